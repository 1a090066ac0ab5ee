package directory_test

import (
	"testing"
	"time"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

// A CRM that has a field in a form of its own: what it shows is compared as it is,
// and taken over in the contact's form.
func TestWhatATranslatedLineShows(t *testing.T) {
	t.Parallel()
	const (
		language  = "x: {field: language, options: {it: Italian, en: English, '*': Other}}"
		consent   = "x: {field: consent, options: {marketing: Yes, opted_out: No, unknown: '?', transactional: '?'}, direction: to}"
		choice    = "x: {field: consent, options: {marketing: Yes, opted_out: No, '*': Maybe}}"
		capitals  = "x: {field: last_name, write: upper(value), read: title(value)}"
		byDefault = "x: {field: consent, default: none}"
		cut       = "x: {field: full_name, max_length: 8}"
	)
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		line, field, has string // the contact's
		shadow, shows    string // the account's
		later            bool   // the account's is the newer
		want             string // the contact's
		written          bool   // the account is to be written to
		kept             bool   // the account's is left to its people
	}{
		"its own echo":                                {language, "language", "it", "Italian", "Italian", true, "it", false, false},
		"another option":                              {language, "language", "it", "Italian", "English", true, "en", false, false},
		"an option that stands for several":           {language, "language", "it", "Italian", "Other", true, "it", false, true},
		"an option that nobody knows":                 {language, "language", "it", "Italian", "Klingon", true, "it", false, true},
		"nothing any more":                            {language, "language", "it", "Italian", "", true, "", false, false},
		"what was written has lost something":         {capitals, "last_name", "de la Cruz", "DE LA CRUZ", "DE LA CRUZ", true, "de la Cruz", false, false},
		"somebody has changed it":                     {capitals, "last_name", "de la Cruz", "DE LA CRUZ", "BYRON", true, "Byron", false, false},
		"both have, and the contact's is newer":       {capitals, "last_name", "King", "LOVELACE", "BYRON", false, "King", true, false},
		"both have come to the same":                  {language, "language", "en", "Italian", "English", true, "en", false, false},
		"our own word for all else":                   {language, "language", "fr", "Other", "Other", true, "fr", false, false},
		"our own default":                             {byDefault, "consent", "", "none", "none", true, "", false, false},
		"a choice by who did not see the opt-out":     {"x: {field: consent, options: {marketing: Newsletter, transactional: Service, '*': Unknown}}", "consent", "opted_out", "Unknown", "Newsletter", true, "opted_out", true, false},
		"one by who saw it":                           {choice, "consent", "opted_out", "No", "Yes", true, "marketing", false, false},
		"an option that was none when it was seen":    {language, "language", "it", "\x00keptEnglish", "English", true, "en", false, false},
		"only read, in another form":                  {"x: {field: last_name, direction: from, read: title(value)}", "last_name", "Lovelace", "LOVELACE", "BYRON", false, "Byron", false, false},
		"what was cut":                                {cut, "full_name", "Ada King Lovelace", "Ada Kin…", "Ada Kin…", true, "Ada King Lovelace", false, false},
		"an opt-out in the account's word":            {choice, "consent", "marketing", "Yes", "No", false, "opted_out", false, false},
		"an opt-out that the account has not told of": {choice, "consent", "opted_out", "Yes", "Yes", true, "opted_out", true, false},
		"an edit that did not know of an opt-out":     {choice, "consent", "opted_out", "Maybe", "Yes", true, "opted_out", true, false},
		"a line that is only written":                 {consent, "consent", "marketing", "Yes", "No", true, "marketing", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts:\n  crm:\n    contact:\n      "+tt.line+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			c := &directory.Contact{Fields: map[string]directory.Value{}}
			if tt.has != "" {
				c.Fields[tt.field] = directory.Value{Text: tt.has, At: noon, Fact: "f", Account: "other", Entered: true}
			}
			at := noon.Add(-time.Hour)
			if tt.later {
				at = noon.Add(time.Hour)
			}
			line := m.Lines("crm")[0]
			if same := directory.Shows(line, map[string]string{"x": tt.shadow}, tt.shows, ""); same != (tt.shows == tt.shadow) {
				t.Errorf("news: %v", !same)
			}
			after := c.Observe(directory.Sighting{
				Lines: m.Lines("crm"), Seen: map[string]string{"x": tt.shows}, At: at, Fact: "g", Account: "crm", Revision: m.Revision(),
			}, map[string]string{"x": tt.shadow})
			if got := c.Text(tt.field); got != tt.want {
				t.Errorf("the contact has %q, want %q", got, tt.want)
			}
			if v := c.Fields[tt.field]; v.Text == tt.has && tt.has != "" && v.Fact != "f" {
				t.Errorf("the value is the same and comes from %s now", v.Fact)
			}
			fields, refused := m.Translate("crm", c.View())
			if len(refused) > 0 {
				t.Fatal(refused)
			}
			if kept := directory.Kept(after["x"]); kept != tt.kept {
				t.Errorf("kept: %v, want %v (shadow %q)", kept, tt.kept, after["x"])
			}
			if owed := !directory.Kept(after["x"]) && m.Lines("crm")[0].Written && directory.ShadowOf(fields["x"]) != after["x"]; owed != tt.written {
				t.Errorf("to be written: %v, want %v (writes %v, shadow %q)", owed, tt.written, fields["x"], after["x"])
			}
		})
	}
}
