package phone

import "github.com/nyaruka/phonenumbers"

// Example returns a mobile number of a country (ISO 3166) in E.164 that stands
// for others, a made-up American one if it is not known.
func Example(country string) string {
	n := phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE)
	if n == nil {
		return "+15555550100"
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}
