package directory

import (
	"strings"
	"testing"

	"crmsync/mapping"
)

func TestWhatIsWrongWithAValue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		field, text, region, want string
	}{
		"a number":                     {"phone", "+39 333 123 4567", "", ""},
		"no number":                    {"phone", "ask Anna", "", "not a phone number"},
		"a number without its country": {"phone", "0912-345-678", "", "a phone number without its country"},
		"the same with a region":       {"phone", "0912-345-678", "TW", ""},
		"an address":                   {"email", " A@x.it ", "", ""},
		"no address":                   {"email", "a@", "", "not an e-mail address"},
		"a consent that nobody knows":  {"consent", "maybe", "", "not one of unknown, transactional, marketing, opted_out"},
		"a text, of which all are":     {"first_name", "?", "", ""},
		"a long one":                   {"phone", KeptText(KeptAs(strings.Repeat("call Anna ", 20))), "", "not a phone number: it is longer than any"},
	} {
		l := mapping.Line{From: tt.field, Info: mapping.Contact[tt.field]}
		got := Fault(l, tt.text, tt.region)
		if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if tt.text != "" && got != "" && strings.Contains(got, tt.text) {
			t.Errorf("%s: %q repeats the value", name, got)
		}
	}
}

// What a CRM has shown is told with the mapping's revision and line, so that
// whoever asks later knows by what it came.
func TestAValueRemembersByWhichLineItCame(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("mapping.yaml", []byte("version: 1\naccounts:\n  crm:\n    contact:\n      Phone: phone\n      Mail: email\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Contact{}
	c.Observe(Sighting{
		Lines: m.Lines("crm"), Seen: map[string]string{"Mail": "b@x.it", "Phone": "+393331234567"},
		At: dawn, Fact: "f", Account: "crm", Revision: m.Revision(),
	}, nil)
	for field, line := range map[string]int{"phone": 5, "email": 6} {
		if v := c.Fields[field]; v.Revision != m.Revision() || v.Line != line || v.Account != "crm" {
			t.Errorf("%s: %+v, want line %d", field, v, line)
		}
	}
}
