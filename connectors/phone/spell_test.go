package phone

import (
	"slices"
	"testing"
)

func TestHowPeopleSpellANumber(t *testing.T) {
	tests := map[string]struct {
		number, region string
		want, not      []string
	}{
		"an Italian mobile at home": {
			"+393471234567", "it",
			[]string{"+393471234567", "393471234567", "00393471234567", "+39 347 123 4567", "+39 3471234567", "347 123 4567", "3471234567"},
			nil,
		},
		"a German landline at home": {
			"+4930123456", "DE",
			[]string{"+4930123456", "+49 30 123456", "030123456", "030 123456", "30123456"},
			nil,
		},
		"an American at home": {
			"+12025550123", "US",
			[]string{"+1 202-555-0123", "+1 202 555 0123", "(202) 555-0123", "202 555 0123", "202-555-0123", "2025550123"},
			nil,
		},
		"abroad":    {"+393471234567", "DE", []string{"+39 347 123 4567"}, []string{"3471234567"}},
		"no region": {"+393471234567", "", []string{"+39 347 123 4567"}, []string{"3471234567"}},
		"no number": {"", "IT", nil, []string{"", "00"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Spellings(test.number, test.region)
			for _, s := range test.want {
				if !slices.Contains(got, s) {
					t.Errorf("%q is missing in %q", s, got)
				}
			}
			for _, s := range test.not {
				if slices.Contains(got, s) {
					t.Errorf("%q is in %q", s, got)
				}
			}
		})
	}
}
