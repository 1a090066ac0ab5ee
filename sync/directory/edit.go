package directory

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"crmsync/connectors"
	"crmsync/connectors/phone"
	"crmsync/mapping"
)

// fixed are the contact fields that nobody edits, and why.
var fixed = func() map[string]string {
	why := map[string]string{
		"wa_id":   "it says who the contact is in WhatsApp",
		"user_id": "it says who the contact is in WhatsApp",
		"name":    "it is made of other fields; edit full_name, or first_name and last_name",
	}
	for _, name := range []string{
		"first_message_at", "first_inbound_at", "last_message_at", "last_inbound_at", "last_outbound_at", "last_message_text",
		"last_message_direction", "last_status", "last_status_at", "unread_count",
	} {
		why[name] = "it follows from the messages"
	}
	return why
}()

// Editable are the contact fields that a person may edit, sorted.
func Editable() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(mapping.Contact)), func(name string) bool { return fixed[name] != "" })
}

// longest is how many characters an edited text may have.
var longest = map[mapping.Type]int{mapping.Text: 255, mapping.Owner: 255, mapping.Long: 1000, mapping.Labels: 1000}

// Editing returns the text form of a value that a person gives a contact
// field: E.164 for phone numbers, labels separated by commas. Errors do not
// repeat the value.
func Editing(name, value string) (text string, err error) {
	info, known := mapping.Contact[name]
	if !known {
		hint := "the fields are " + strings.Join(Editable(), ", ")
		if near := mapping.Nearest(name); near != "" {
			hint = "did you mean " + near + "? " + strings.ToUpper(hint[:1]) + hint[1:]
		}
		return "", fmt.Errorf("there is no contact field %q; %s", name, hint)
	}
	if why := fixed[name]; why != "" {
		return "", fmt.Errorf("%s cannot be edited: %s", name, why)
	}
	text = strings.TrimSpace(connectors.Clean(value))
	if text == "" {
		return "", nil
	}
	if text, err = typed(info, text); err != nil {
		return "", fmt.Errorf("%s %w", name, err)
	}
	if name == "email" {
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
			return "", fmt.Errorf("%s is an address such as anna@example.com", name)
		}
	}
	if most := longest[info.Type]; most > 0 && connectors.Length(text) > most {
		return "", fmt.Errorf("%s has at most %d characters, this has %d", name, most, connectors.Length(text))
	}
	return text, nil
}

// typed is the text form of a value of a catalogue's type.
func typed(info mapping.Info, text string) (string, error) {
	switch info.Type {
	case mapping.Phone:
		number := phone.Normalize(text, "")
		if number == "" {
			return "", fmt.Errorf("is a phone number with its country code, such as +393331234567")
		}
		return number, nil
	case mapping.Number:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return "", fmt.Errorf("is a whole number")
		}
	case mapping.Time:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return "", fmt.Errorf("is a time such as 2026-11-21T09:00:00Z")
		}
		return TimeText(at), nil
	case mapping.Enum:
		if !slices.Contains(info.Options, text) {
			return "", fmt.Errorf("is one of %s", strings.Join(info.Options, ", "))
		}
	case mapping.Labels:
		var labels []string
		for label := range strings.SplitSeq(text, ",") {
			if label = strings.TrimSpace(label); label != "" && !slices.Contains(labels, label) {
				labels = append(labels, label)
			}
		}
		return strings.Join(labels, "\n"), nil
	case mapping.Text, mapping.Owner:
		if strings.ContainsFunc(text, unicode.IsControl) {
			return "", fmt.Errorf("is one line of text")
		}
	}
	return text, nil
}

// Edit gives a field the value of a person who mends a letter. It is newer than
// everything that has been reported so far.
func (c *Contact) Edit(name, text string, now time.Time, letter string) {
	at := now.UTC()
	if old, known := c.Fields[name]; known && !at.After(old.At) {
		at = old.At.Add(time.Millisecond)
	}
	c.Set(name, Value{Text: text, At: at, Fact: "edit of " + letter, Entered: true})
}
