package directory

import (
	"testing"
	"time"

	"crmsync/mapping"
)

// Two CRMs each have a rule by which they change what the other one wants. That
// ends, with one of the two values; what people enter afterwards is taken.
func TestRulesOfTwoCRMsDoNotChangeAFieldForEver(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m", []byte("version: 1\naccounts:\n  a: {contact: {Name: full_name, Tags: labels, Consent: consent}}\n  b: {contact: {Name: full_name, Tags: labels, Consent: consent}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		field, to   string
		rules       map[string]string // what each account makes of what it is told
		later, want string
		apart       time.Duration
		settles     bool
	}{
		"a name":                      {field: "full_name", to: "Name", rules: map[string]string{"a": "ANNA", "b": "Anna"}, later: "Eva", want: "Eva", apart: time.Second, settles: true},
		"labels":                      {field: "labels", to: "Tags", rules: map[string]string{"a": "x\ny", "b": "x"}, later: "x\nz", want: "x\nz", apart: time.Second, settles: true},
		"one that clears it":          {field: "full_name", to: "Name", rules: map[string]string{"a": "Anna", "b": ""}, later: "Eva", want: "Eva", apart: time.Second, settles: true},
		"consent":                     {field: "consent", to: "Consent", rules: map[string]string{"a": "marketing", "b": "opted_out"}, later: "marketing", want: "opted_out", apart: time.Second, settles: true},
		"people, who take their time": {field: "full_name", to: "Name", rules: map[string]string{"a": "ANNA", "b": "Anna"}, apart: time.Hour},
	} {
		c, shadows, at, turns := &Contact{Fields: map[string]Value{tt.field: {Text: "x", At: dawn}}}, map[string]map[string]string{}, dawn, 0
		for _, account := range []string{"a", "b"} {
			shadows[account] = map[string]string{tt.to: "x"}
		}
		observe := func(account, shows string) bool {
			at = at.Add(tt.apart)
			before := c.Text(tt.field)
			shadows[account] = c.Observe(Sighting{Lines: m.Lines(account), Seen: map[string]string{tt.to: shows}, At: at, Fact: "f", Account: account}, shadows[account])
			return c.Text(tt.field) != before
		}
		for account := "a"; turns < 20; turns++ {
			if !observe(account, tt.rules[account]) {
				break
			}
			account = map[string]string{"a": "b", "b": "a"}[account]
			if !Kept(shadows[account][tt.to]) {
				shadows[account][tt.to] = c.Text(tt.field) // it is told
			}
		}
		if settled := turns < 8; settled != tt.settles {
			t.Errorf("%s: changed %d times", name, turns)
		}
		if !tt.settles {
			continue
		}
		if !Kept(shadows["a"][tt.to]) && !Kept(shadows["b"][tt.to]) {
			t.Errorf("%s: neither has been left its value: %v", name, shadows)
		}
		if observe("a", tt.later); c.Text(tt.field) != tt.want {
			t.Errorf("%s, entered later: %q, want %q", name, c.Text(tt.field), tt.want)
		}
	}
}
