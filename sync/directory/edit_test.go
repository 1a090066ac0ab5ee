package directory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

func TestWhatAPersonMayGiveAField(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ field, value, want, says string }{
		"an address":                   {"email", " anna@example.com ", "anna@example.com", ""},
		"nothing clears it":            {"email", "", "", ""},
		"not an address":               {"email", "Anna <anna@example.com>", "", "email is an address"},
		"a number as people write it":  {"phone", "+39 333 123 4567", "+393331234567", ""},
		"a number without a country":   {"phone", "333 123 4567", "", "country code"},
		"a consent":                    {"consent", "opted_out", "opted_out", ""},
		"a consent never heard of":     {"consent", "maybe", "", "unknown, transactional"},
		"a time":                       {"consent_at", "2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00Z", ""},
		"a day is no time":             {"consent_at", "2026-11-22", "", "is a time such as"},
		"labels":                       {"labels", "vip, b2b,,vip", "vip\nb2b", ""},
		"two lines":                    {"full_name", "Anna\nBianchi", "", "one line"},
		"too long":                     {"full_name", strings.Repeat("x", 256), "", "at most 255 characters, this has 256"},
		"NUL":                          {"full_name", "Anna\x00", "Anna\uFFFD", ""},
		"an account":                   {"account", "zoho", "", `there is no contact field "account"; the fields are business_number`},
		"a header":                     {"mapping-revision", "x", "", "there is no contact field"},
		"a misspelt field":             {"fullname", "Anna", "", "did you mean full_name? The fields are"},
		"what follows from messages":   {"last_message_text", "x", "", "follows from the messages"},
		"what is made of other fields": {"name", "x", "", "edit full_name"},
		"who it is":                    {"wa_id", "1", "", "who the contact is"},
	} {
		got, err := directory.Editing(tt.field, tt.value)
		if tt.says == "" && (err != nil || got != tt.want) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %q, error %v", name, got, err)
		}
		if err != nil && len(tt.value) > 8 && strings.Contains(err.Error(), tt.value) {
			t.Errorf("%s: the error repeats the value: %v", name, err)
		}
	}
}

// Each field of the catalogue is either edited and then shown, or refused.
func TestEveryFieldThatIsEditedShows(t *testing.T) {
	t.Parallel()
	values := map[mapping.Type]string{
		mapping.Phone: "+393331234567", mapping.Number: "7", mapping.Time: "2026-11-21T09:00:00Z", mapping.Labels: "vip",
	}
	editable := directory.Editable()
	for name, info := range mapping.Contact {
		value := values[info.Type]
		switch {
		case len(info.Options) > 0:
			value = info.Options[len(info.Options)-1]
		case value == "":
			value = "anna@example.com" // fits every text
		}
		text, err := directory.Editing(name, value)
		if (err == nil) != slices.Contains(editable, name) {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil {
			continue
		}
		c := &directory.Contact{Fields: map[string]directory.Value{"profile_name": {Text: "Somebody Else", At: time.Now().Add(time.Hour)}}}
		before := c.View()
		c.Edit(name, text, time.Now(), "hubspot.contact.1")
		if after := c.View(); before[name] == after[name] && name != "labels" || after[name] == nil {
			t.Errorf("%s is edited and not shown: %v", name, after[name])
		}
		if v := c.Fields[name]; v.Fact != "edit of hubspot.contact.1" {
			t.Errorf("%s: provenance %+v", name, v)
		}
	}
}
