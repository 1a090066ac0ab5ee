// Package phone knows telephone numbers: E.164, and the forms in which people,
// WhatsApp and CRMs write the same one.
package phone

import (
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nyaruka/phonenumbers"
)

// The same people write again and again, and reading a number takes tens of
// microseconds.
var (
	numberOf  = remember(of)
	countryOf = remember(country)
)

// remember returns f with what it said about the 10,000 texts asked for last. Of
// what is too long for a number it says nothing.
func remember(f func(string) string) func(string) string {
	known, err := lru.New[string, string](10_000)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return func(text string) string {
		if len(text) > 16 { // a plus and 15 digits
			return ""
		}
		said, ok := known.Get(text)
		if !ok {
			said = f(text)
			known.Add(text, said)
		}
		return said
	}
}

// Of returns the phone number behind a WhatsApp id in E.164, such as
// +5511987654321 for 551187654321. WhatsApp's ids are not always phone
// numbers: mobiles in Brazil may lack their ninth digit, in Mexico they may
// carry a 1 after the country code. It is empty for what is no number at all.
func Of(waID string) string { return numberOf(waID) }

func of(waID string) string {
	digits := Digits(waID)
	if len(digits) < 7 || len(digits) > 15 || len(digits) != len(strings.TrimPrefix(waID, "+")) {
		return ""
	}
	for _, candidate := range variants(digits) {
		if n, err := phonenumbers.Parse("+"+candidate, ""); err == nil && phonenumbers.IsValidNumber(n) {
			return phonenumbers.Format(n, phonenumbers.E164)
		}
	}
	return "+" + digits
}

// Normalize returns a number as people write it in E.164. Numbers without
// a country code belong to region (ISO 3166, such as TW). It is empty for what
// is no valid number.
func Normalize(text, region string) string {
	n, err := phonenumbers.Parse(text, strings.ToUpper(region))
	if rest, found := strings.CutPrefix(strings.TrimSpace(text), "00"); err != nil && found {
		n, err = phonenumbers.Parse("+"+rest, "") // as most of the world dials abroad
	}
	if err != nil {
		return ""
	}
	if !phonenumbers.IsValidNumber(n) {
		return Of(phonenumbers.Format(n, phonenumbers.E164))
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

// Index returns which of numbers (in E.164, the exact one and its variants) a
// text that a person wrote stands for, -1 for none. A text without a country
// code belongs to region; without a region it stands for nothing.
func Index(text, region string, numbers []string) int {
	text = strings.TrimSpace(text)
	digits := Digits(text)
	if i := slices.IndexFunc(numbers, func(n string) bool { return Digits(n) == strings.TrimPrefix(digits, "00") }); i >= 0 && digits != "" {
		return i
	}
	if !slices.ContainsFunc(numbers, func(n string) bool { return endAlike(text, digits, n) }) {
		return -1
	}
	if strings.HasPrefix(digits, "00") && !strings.HasPrefix(text, "+") {
		text = "+" + digits[2:]
	}
	number := Normalize(text, region)
	return slices.Index(numbers, number)
}

// endAlike reports whether a text with these digits may stand for a number, without
// much ado: countries and areas write what stands before the last six digits in
// several ways, and those always the same. A text with anything unusual in it, such
// as an extension, may.
func endAlike(text, digits, number string) bool {
	const last = 6
	usual := strings.Trim(text, "+0123456789 -.()") == ""
	return !usual || len(digits) < last || len(number) < last || digits[len(digits)-last:] == number[len(number)-last:]
}

// National are the forms of a number in E.164 without its country, as a
// program or a person may have stored it.
func National(number string) []string {
	n, err := phonenumbers.Parse(number, "")
	if err != nil {
		return nil
	}
	all := []string{phonenumbers.GetNationalSignificantNumber(n)}
	// Within Argentina mobiles are written with a 15 between area and number
	// where abroad a 9 stands before the area.
	if rest, ok := strings.CutPrefix(all[0], "9"); ok && n.GetCountryCode() == 54 && len(rest) == 10 {
		for area := 2; area <= 4; area++ {
			all = append(all, rest[:area]+"15"+rest[area:])
		}
	}
	return all
}

// Country returns the ISO country of a number in E.164, empty if unknown.
func Country(e164 string) string { return countryOf(e164) }

func country(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	region := phonenumbers.GetRegionCodeForNumber(n)
	if len(region) != 2 || region == "ZZ" {
		return ""
	}
	return region
}

// Variants returns the digits under which a number may be known, the
// given ones first.
func Variants(number string) []string {
	digits := Digits(number)
	if digits == "" {
		return nil
	}
	return variants(digits)
}

// variants are the forms in which WhatsApp and people write the same mobile:
// Brazil with and without the ninth digit (mobiles only, a landline never had
// one), Mexico with and without 1, Argentina with and without 9.
func variants(digits string) []string {
	rest := func(n int) string { return digits[n:] }
	all := []string{digits}
	switch {
	case strings.HasPrefix(digits, "55") && len(digits) == 13 && digits[4] == '9' && digits[5] >= '6':
		all = append(all, digits[:4]+rest(5))
	case strings.HasPrefix(digits, "55") && len(digits) == 12 && digits[4] >= '6':
		all = append(all, digits[:4]+"9"+rest(4))
	case strings.HasPrefix(digits, "521") && len(digits) == 13:
		all = append(all, "52"+rest(3))
	case strings.HasPrefix(digits, "52") && len(digits) == 12:
		all = append(all, "521"+rest(2))
	case strings.HasPrefix(digits, "549") && len(digits) == 13:
		all = append(all, "54"+rest(3))
	case strings.HasPrefix(digits, "54") && len(digits) == 12:
		all = append(all, "549"+rest(2))
	}
	return all
}

// Digits are the digits of a text.
func Digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// InCountry is a number in E.164 as people write it within its country, Abroad as
// others do; both are the text itself if it is no number.
func InCountry(e164 string) string { return formatted(e164, phonenumbers.NATIONAL) }

// Abroad is a number with its country's code and spaces; see [InCountry].
func Abroad(e164 string) string { return formatted(e164, phonenumbers.INTERNATIONAL) }

func formatted(e164 string, format phonenumbers.PhoneNumberFormat) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return e164
	}
	return phonenumbers.Format(n, format)
}
