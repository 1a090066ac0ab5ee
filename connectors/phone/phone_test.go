package phone_test

import (
	"slices"
	"testing"

	"crmsync/connectors/phone"
)

func TestThePhoneNumberBehindAWhatsAppID(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ waID, want string }{
		"United States":                         {"16315555555", "+16315555555"},
		"Brazil without the ninth digit":        {"551187654321", "+5511987654321"},
		"Brazil with it":                        {"5511987654321", "+5511987654321"},
		"a landline in Brazil never had one":    {"551133334444", "+551133334444"},
		"Mexico with the 1":                     {"5215512345678", "+525512345678"},
		"Mexico without it":                     {"525512345678", "+525512345678"},
		"Argentina with the 9":                  {"5491123456789", "+5491123456789"},
		"Italy keeps the zero of its landlines": {"390212345678", "+390212345678"},
		"Taiwan":                                {"886912345678", "+886912345678"},
		"Ivory Coast":                           {"2250701234567", "+2250701234567"},
		"an unknown country stays as it is":     {"999123456789", "+999123456789"},
		"too short":                             {"12345", ""},
		"letters":                               {"US.13491208655302741918", ""},
		"empty":                                 {"", ""},
	}
	for name, tt := range tests {
		if got := phone.Of(tt.waID); got != tt.want {
			t.Errorf("%s: Of(%q) = %q, want %q", name, tt.waID, got, tt.want)
		}
	}
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, region, want string }{
		"Taiwan, national":     {"0912-345-678", "TW", "+886912345678"},
		"Taiwan, full-width":   {"０９１２３４５６７８", "TW", "+886912345678"},
		"Italy, national":      {"02 1234 5678", "IT", "+390212345678"},
		"with a country code":  {"+39 333 123 4567", "TW", "+393331234567"},
		"no region, national":  {"0912-345-678", "", ""},
		"Mexico, the old form": {"+521 55 1234 5678", "", "+525512345678"},
		"dialled abroad":       {"00886 912 345 678", "", "+886912345678"},
		"words":                {"call me", "IT", ""},
	}
	for name, tt := range tests {
		if got := phone.Normalize(tt.text, tt.region); got != tt.want {
			t.Errorf("%s: Normalize(%q, %q) = %q, want %q", name, tt.text, tt.region, got, tt.want)
		}
	}
}

func TestVariantsGoBothWays(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"5511987654321", "551187654321"}, {"5215512345678", "525512345678"}, {"5491123456789", "541123456789"}} {
		for _, p := range [][2]string{pair, {pair[1], pair[0]}} {
			if got := phone.Variants(p[0]); !slices.Equal(got, p[:]) {
				t.Errorf("variants of %s = %v, want %v", p[0], got, p)
			}
		}
	}
	for _, alone := range []string{"551133334444", "5511933334444", "16315555555", "390212345678"} {
		if got := phone.Variants(alone); len(got) != 1 {
			t.Errorf("variants of %s = %v, want itself only", alone, got)
		}
	}
}

func TestWhichNumberAPersonMeans(t *testing.T) {
	t.Parallel()
	italy := []string{"+393337654321"}
	argentina := []string{"+5491134567892", "+541134567892"}
	tests := map[string]struct {
		text, region string
		numbers      []string
		want         int
	}{
		"as it is":                        {"+393337654321", "", italy, 0},
		"with blanks":                     {"+39 333 765-4321", "", italy, 0},
		"digits only":                     {"393337654321", "", italy, 0},
		"with the exit code":              {"0039 333 7654321", "", italy, 0},
		"national, at home":               {"333 765 4321", "IT", italy, 0},
		"national, region unknown":        {"333 765 4321", "", italy, -1},
		"national, elsewhere":             {"333 765 4321", "US", italy, -1},
		"another number":                  {"+393337654322", "IT", italy, -1},
		"with an extension":               {"+39 333 765 4321 ext. 12", "", italy, 0},
		"with another extension":          {"333 765 4321 x7", "IT", italy, 0},
		"in other digits":                 {"+٣٩ ٣٣٣ ٧٦٥ ٤٣٢١", "", italy, 0},
		"only its end":                    {"7654321", "IT", italy, -1},
		"Argentina, the 15 of home":       {"+54 11 15-3456-7892", "", argentina, 0},
		"Argentina, at home":              {"011 15-3456-7892", "AR", argentina, 0},
		"Argentina, without the 9":        {"+54 11 3456-7892", "", argentina, 1},
		"Brazil, without the ninth digit": {"(11) 8765-4321", "BR", []string{"+5511987654321", "+551187654321"}, 0},
		"nothing":                         {"", "IT", italy, -1},
		"words":                           {"call me", "IT", italy, -1},
		"somebody without a number":       {"+393337654321", "IT", nil, -1},
	}
	for name, tt := range tests {
		if got := phone.Index(tt.text, tt.region, tt.numbers); got != tt.want {
			t.Errorf("%s: Index(%q, %q) = %d, want %d", name, tt.text, tt.region, got, tt.want)
		}
	}
}
