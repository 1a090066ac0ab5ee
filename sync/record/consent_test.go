package record_test

import (
	"fmt"
	"testing"

	"crmsync/connectors"
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
