package phone

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Spellings are the forms in which people commonly store a number in E.164,
// for vendors that keep numbers as typed and compare them letter by letter:
// the international ones and, for a number of region (ISO 3166), the national
// ones. Others exist; no list of them is complete.
func Spellings(number, region string) []string {
	var all []string
	add := func(s string) {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	digits := Digits(number)
	add(number)
	add(digits)
	if digits != "" {
		add("00" + digits)
	}
	n, err := phonenumbers.Parse(number, "")
	if err != nil {
		return all
	}
	// The groups apart, which people put a space, a hyphen or nothing between.
	spread := phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
	add(spread)
	add(strings.ReplaceAll(spread, "-", " "))
	add(strings.ReplaceAll(spread, " ", "-"))
	country, rest, _ := strings.Cut(spread, " ")
	add(country + " " + Digits(rest))
	if region == "" || Country(number) != strings.ToUpper(region) {
		return all
	}
	dialled := phonenumbers.Format(n, phonenumbers.NATIONAL)
	add(dialled)
	add(strings.NewReplacer("(", "", ")", "", "-", " ").Replace(dialled))
	add(strings.ReplaceAll(strings.NewReplacer("(", "", ")", "").Replace(dialled), " ", "-"))
	add(Digits(dialled))
	for _, s := range National(number) {
		add(s)
	}
	return all
}
