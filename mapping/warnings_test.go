package mapping_test

import (
	"strings"
	"testing"
)

func TestWhatIsAllowedAndProbablyNotMeant(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line string
		want string // what the only warning says; empty for none
	}{
		"a value without an option":        {"x: {field: consent, options: {marketing: Yes, opted_out: No}}", "m.yaml:5:7: consent may be unknown or transactional too"},
		"an option for all else":           {"x: {field: consent, options: {marketing: Yes, opted_out: Never, \"*\": No}, direction: to}", ""},
		"a language without an option":     {"x: {field: language, options: {it: Italian}}", "m.yaml:5:7: a contact whose language is none of it is not written"},
		"a default":                        {"x: {field: language, options: {it: Italian}, default: Other}", "m.yaml:5:7: a contact whose language is none of it is not written"},
		"an opt-out like all else":         {"x: {field: consent, options: {marketing: Yes, \"*\": Unknown}}", "who has opted out is shown as \"Unknown\" like others"},
		"read as what it never was":        {"x: {field: first_name, read: \"'x' + value\"}", "change a value each time"},
		"reading undoes writing":           {"x: {field: language, write: upper(value), read: lower(value)}", "\"zh-TW\" comes back as \"zh-tw\""},
		"reading undoes writing, really":   {"x: {field: phone, write: \"replace(value, '+', '00')\", read: \"'+' + cut(replace_pattern(value, '^00', ''), 20)\"}", ""},
		"names are not capitals":           {"x: {field: last_name, write: upper(value), read: title(value)}", "\"de la Cruz\" comes back as \"De La Cruz\""},
		"a value that grows":               {"x: {field: first_name, write: \"value + '!'\", read: value}", "change a value each time: \"Ada\" becomes \"Ada!\" and then \"Ada!!\""},
		"a value that cannot be read":      {"x: {field: score, write: \"text(value) + ' %'\", read: int(value)}", "cannot be read again"},
		"a number and its per cent":        {"x: {field: score, write: \"text(value) + ' %'\", read: \"int(replace(value, ' %', ''))\"}", ""},
		"only written, and nothing to say": {"x: {field: last_name, write: upper(value)}", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := ""
			if strings.Contains(tt.line, "score") {
				before = "fields: {score: {type: number}}\n"
			}
			got := compile(t, before, tt.line).Warnings("m.yaml")
			if len(got) != min(len(tt.want), 1) || len(got) == 1 && !strings.Contains(got[0].String(), tt.want) {
				t.Errorf("warnings %v, want %q", got, tt.want)
			}
		})
	}
}
