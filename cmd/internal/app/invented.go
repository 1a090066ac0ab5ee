package app

import (
	"cmp"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
	"crmsync/mapping"
)

// ownFields are contact fields with texts that say something about the business and
// nothing about who somebody is.
var ownFields = []string{"country", "language", "source_type", "source_id", "source_headline", "business_number", "business_phone"}

// inventions are what stands in place of somebody's values.
var inventions = map[string]string{
	"name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace", "full_name": "Ada Lovelace", "profile_name": "Ada Lovelace",
	"username": "ada.lovelace", "email": "ada@example.com", "source_url": "https://fb.me/example", "click_id": "example-click-id",
}

// invented are a contact's fields with an invented person in place of the real one.
// What a mapping decides by stays: which fields are known, the country of a
// number, the length of a text; labels, consent, times and what is the business's
// own as they are.
func invented(m *mapping.Mapping, fields map[string]any) map[string]any {
	number, digits := "", "15555550100"
	if text, _ := fields["phone"].(string); text != "" {
		country, _ := fields["country"].(string)
		number = phone.Example(cmp.Or(phone.Country(text), country))
		digits = strings.TrimPrefix(number, "+")
	}
	out := make(map[string]any, len(fields))
	for name, value := range fields {
		text, is := value.(string)
		info, _ := m.Field(name)
		switch {
		case !is || text == "", info.Type == mapping.Enum, slices.Contains(ownFields, name): // it stays
		case inventions[name] != "":
			value = inventions[name]
		case name == "phone":
			value = number
		case name == "wa_id":
			value = digits
		case name == "user_id":
			country, _, _ := strings.Cut(text, ".")
			value = country + ".1000000000000001"
		case info.Type == mapping.Phone:
			value = phone.Example(phone.Country(text))
		case info.Type == mapping.Owner && !strings.Contains(text, "@"): // so does an id
		case info.Type == mapping.Owner:
			value = "owner@example.com"
		default:
			value = filler(connectors.Length(text))
		}
		out[name] = value
	}
	return out
}

// filler is a text of about a length.
func filler(length int) string {
	const sentence = "Hello, I have a question about my order. "
	text := strings.Repeat(sentence, length/len(sentence)+1)
	return strings.TrimSpace(text[:max(min(length, len(text)), 1)])
}
