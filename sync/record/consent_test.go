package record_test

import (
	"fmt"
	"testing"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/record"
)

func TestWhoWritesStopAndNothingElseOptsOut(t *testing.T) {
	t.Parallel()
	type line struct {
		text      string
		direction connectors.Direction
	}
	in := func(texts ...string) (lines []line) {
		for _, text := range texts {
			lines = append(lines, line{text, connectors.In})
		}
		return lines
	}
	tests := map[string]struct {
		lines []line
		want  string
	}{
		"a first message":                    {in("Hello!"), "transactional"},
		"stop":                               {in("Hello!", "Stop"), "opted_out"},
		"as a first message":                 {in("STOP"), "opted_out"},
		"with what stands around it":         {in("  «stop!» 🙏"), "opted_out"},
		"without its accents":                {in("arret"), "opted_out"},
		"with accents made of two parts":     {in("Arre\u0302t"), "opted_out"},
		"in Chinese":                         {in("退訂"), "opted_out"},
		"of two words":                       {in("darme  de Baja."), "opted_out"},
		"in a sentence":                      {in("Please stop by tomorrow"), "transactional"},
		"by the business":                    {append(in("Hello!"), line{"STOP", connectors.Out}), "transactional"},
		"and start again":                    {in("Stop", "start"), "transactional"},
		"and stop again":                     {in("Stop", "start", "STOP"), "opted_out"},
		"start, which is not a word to stop": {in("Start"), "transactional"},
	}
	words := record.Words{Stop: []string{"STOP", "ARRÊT", "退訂", "DARME DE BAJA"}, Start: []string{"START"}}
	for name, tt := range tests {
		for _, backwards := range []bool{false, true} {
			r, db := recorder(t)
			r.Words = func() record.Words { return words }
			for i := range tt.lines {
				if backwards {
					i = len(tt.lines) - 1 - i
				}
				apply(t, r, message(fmt.Sprint("w", i), i, kerry(), tt.lines[i].direction, tt.lines[i].text))
			}
			if got := read(t, db).Contacts["16315555555"]["consent"]; got != tt.want {
				t.Errorf("%s (backwards %v): %s, want %s", name, backwards, got, tt.want)
			}
		}
	}
}

// What people have entered does not outlast a STOP that they had not heard of, but
// it does one from a history that is taken in later.
func TestAStopFromAHistoryIsNotANewerChoice(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m.yaml", []byte(`version: 1
accounts:
  hubspot:
    contact: {phone: phone, consent: consent}
`))
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * 60
	for name, tt := range map[string]struct {
		minute int
		want   string
	}{
		"of the same day":             {10, "opted_out"},
		"reported again for six days": {-6 * day, "opted_out"},
		"of the year before":          {-365 * day, "marketing"},
		"after the choice":            {40, "opted_out"},
	} {
		r, db := recorder(t)
		r.Mapping = func() *mapping.Mapping { return m }
		r.Words = func() record.Words { return record.Words{Stop: []string{"STOP"}} }
		apply(t, r, message("w1", 5, kerry(), connectors.In, "Hello!"))
		entered := fact("observed:1", connectors.KindObserved, 30, nil)
		entered.ID, entered.Account = directory.FactID("hubspot", entered.Key), "hubspot"
		entered.Observed = &connectors.Observed{ID: "1", Fields: map[string]string{"phone": "+16315555555", "consent": "marketing"}}
		apply(t, r, entered)
		if got := read(t, db).Contacts["16315555555"]["consent"]; got != "marketing" {
			t.Fatalf("entered: %s", got)
		}
		apply(t, r, message("w2", tt.minute, kerry(), connectors.In, "STOP"))
		if got := read(t, db).Contacts["16315555555"]["consent"]; got != tt.want {
			t.Errorf("a STOP %s: %s, want %s", name, got, tt.want)
		}
	}
}
