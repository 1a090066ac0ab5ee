package mapping_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
)

// compile is the mapping of one account with these lines, and what stands before
// them.
func compile(t testing.TB, before string, lines ...string) *mapping.Mapping {
	t.Helper()
	text := "version: 1\n" + before + "accounts:\n  crm:\n    contact:\n"
	for _, l := range lines {
		text += "      " + l + "\n"
	}
	m, err := mapping.Compile("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var ada = map[string]any{
	"first_name": "Ada", "last_name": "Lovelace", "full_name": "Ada King Lovelace", "phone": "+393331234567", "language": "it", "country": nil,
	"unread_count": int64(7), "consent": "marketing", "labels": []string{"lead", "vip"}, "last_message_text": strings.Repeat("word ", 100),
	"last_message_at": time.Date(2026, 11, 21, 22, 30, 0, 0, time.UTC), "segment": "gold", "score": "12", "member": "true", "rank": "", "amount": "1234567.5",
}

func TestWhatALineWrites(t *testing.T) {
	t.Parallel()
	const own = "tables:\n  tiers: {gold: A, silver: B}\nfields:\n  segment: {type: enum, options: [gold, silver]}\n  score: {type: number}\n  member: {type: bool}\n  rank: {type: number}\n  amount: {type: decimal}\n" +
		"  greeting: {value: \"'Ciao ' + first_name\"}\n  loud: {value: upper(greeting)}\n"
	nothing := struct{}{}
	tests := map[string]struct {
		line string
		want any
	}{
		"a field":                       {"x: first_name", "Ada"},
		"a field that is empty":         {"x: country", nil},
		"a field that is not known":     {"x: email", nothing},
		"an own number":                 {"x: score", int64(12)},
		"an own yes or no":              {"x: member", true},
		"an own number that is empty":   {"x: rank", nil},
		"a computed field":              {"x: greeting", "Ciao Ada"},
		"one that follows from another": {"x: loud", "CIAO ADA"},
		"a value":                       {"x: {value: \"last_name + ', ' + first_name\"}", "Lovelace, Ada"},
		"a number in a text":            {"x: {value: \"text(unread_count) + ' open'\"}", "7 open"},
		"a choice":                      {"x: {value: \"consent == 'marketing' && unread_count > 5 ? 'hot' : 'cold'\"}", "hot"},
		"an empty value":                {"x: {value: \"consent == 'x' ? 'y' : ''\"}", nil},
		"what is not known is empty":    {"x: {value: \"empty(email) ? 'none' : email\"}", "none"},
		"a label":                       {"x: {value: \"'vip' in labels ? 'VIP' : ''\"}", "VIP"},
		"labels in a text":              {"x: {value: \"join(labels, ';')\"}", "lead;vip"},
		"a list":                        {"x: {value: \"split('a, b,,c', ',')\"}", []string{"a", "b", "c"}},
		"a table":                       {"x: {value: \"lookup('tiers', segment)\"}", "A"},
		"what a table has not":          {"x: {value: \"lookup('tiers', language, 'Z')\"}", "Z"},
		"the first that there is":       {"x: {value: \"coalesce(email, username, phone)\"}", "+393331234567"},
		"a date in its zone":            {"x: {value: \"format_date(last_message_at, 'dd.MM.yyyy HH:mm', 'Asia/Taipei')\"}", "22.11.2026 06:30"},
		"a date that is not known":      {"x: {value: \"format_date(consent_at, 'dd.MM.yyyy')\"}", nil},
		"a date read":                   {"x: {value: \"parse_date('21/11/2026', 'dd/MM/yyyy', 'Europe/Rome')\"}", time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)},
		"a time":                        {"x: last_message_at", time.Date(2026, 11, 21, 22, 30, 0, 0, time.UTC)},
		"a national number":             {"x: {field: phone, write: national(value)}", "333 123 4567"},
		"an international number":       {"x: {value: international(phone)}", "+39 333 123 4567"},
		"the country of a number":       {"x: {value: country_of(phone)}", "IT"},
		"digits":                        {"x: {field: phone, write: digits(value)}", "393331234567"},
		"names":                         {"x: {value: \"given_name(full_name) + '|' + family_name(full_name) + '|' + initials(full_name)\"}", "Ada|King Lovelace|AKL"},
		"a part":                        {"x: {value: \"part('a;b;c', ';', -1)\"}", "c"},
		"a part that there is not":      {"x: {value: \"part('a;b;c', ';', 4)\"}", nil},
		"a pattern":                     {"x: {value: \"find('order #4711 please', '#([0-9]+)')\"}", "4711"},
		"a pattern replaced":            {"x: {value: \"replace_pattern('a1b22', '[0-9]+', '-')\"}", "a-b-"},
		"title":                         {"x: {value: \"title('zoë de la CRUZ')\"}", "Zoë De La Cruz"},
		"an option":                     {"x: {field: language, options: {it: Italian, en: English}}", "Italian"},
		"an option for all else":        {"x: {field: language, options: {en: English, \"*\": Other}}", "Other"},
		"a default":                     {"x: {field: email, default: none@example.com}", "none@example.com"},
		"a default for an empty one":    {"x: {field: country, default: IT}", "IT"},
		"a default number":              {"x: {field: unread_count, default: 0}", int64(7)},
		"an empty one is kept":          {"x: {field: country, when_empty: keep}", nothing},
		"cut at a word":                 {"x: {field: last_message_text, max_length: 12}", "word word…"},
		"a number with decimals":        {"x: {value: amount * 2.0 + 0.5}", 2469135.5},
		"and as a text":                 {"x: {value: text(amount)}", "1234567.5"},
		"compared with a whole number":  {"x: {value: \"amount > 5 ? 'much' : 'little'\"}", "much"},
		"what follows from no time":     {"x: {value: \"consent_at + duration('24h')\"}", nil},
		"the part of no time":           {"x: {value: consent_at.getFullYear()}", nil},
		"a choice by no time":           {"x: {value: \"consent_at < timestamp('2020-01-01T00:00:00Z') ? 'old' : 'new'\"}", nil},
		"whether there is a time":       {"x: {value: \"empty(consent_at) ? 'never' : 'once'\"}", "never"},
		"a pattern as a method":         {"x: {value: \"full_name.matches('^Ada') ? 'y' : 'n'\"}", "y"},
		"only read":                     {"x: {field: first_name, direction: from}", nothing},
		"written in capitals":           {"x: {field: last_name, write: upper(value)}", "LOVELACE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields, refused := compile(t, own, tt.line).Translate("crm", ada)
			got, written := fields["x"]
			switch {
			case len(refused) > 0:
				t.Errorf("refused: %s", refused[0].Reason)
			case !written && tt.want != nothing, written && !reflect.DeepEqual(got, tt.want):
				t.Errorf("got %#v (written: %v), want %#v", got, written, tt.want)
			}
		})
	}
}

func TestWhatALineDoesNotLetThrough(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, want string }{
		"a default is not for others": {"x: {field: language, options: {en: English}, default: Other}", "the options of x have none"},
		"no number any more":          {"x: {value: 100.0 / double(unread_count - 7)}", "division by zero"},
		"an option that there is not": {"x: {field: language, options: {en: English}}", "the options of x have none"},
		"a required field":            {"x: {field: email, required: true}", "the contact has nothing for x"},
		"a text that is too long":     {"x: {field: last_message_text, max_length: 12, overflow: refuse}", "longer than 12 characters"},
		"a number that is none":       {"x: {value: int(first_name)}", "cannot be computed from this contact's values"},
		"a division by zero":          {"x: {value: unread_count / (unread_count - 7)}", "division by zero"},
		"a date that is none":         {"x: {value: \"parse_date(first_name, 'dd.MM.yyyy')\"}", "no date of the form dd.MM.yyyy"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, refused := compile(t, "", tt.line, "y: last_name").Translate("crm", ada)
			if len(refused) != 1 || refused[0].Line.To != "x" || !strings.Contains(refused[0].Reason, tt.want) {
				t.Fatalf("refused: %+v, want %q", refused, tt.want)
			}
			for _, secret := range []string{"Ada", "Lovelace", "393331234567", "word word"} {
				if strings.Contains(refused[0].Reason, secret) {
					t.Errorf("the reason repeats the contact's %q", secret)
				}
			}
		})
	}
}

func TestWhatALineReads(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line, shows, want string
		ok                bool
	}{
		"as it is":                       {"x: first_name", "Ada", "Ada", true},
		"an option":                      {"x: {field: language, options: {it: Italian, en: English}}", "Italian", "it", true},
		"an option that nobody knows":    {"x: {field: language, options: {it: Italian, en: English}}", "Klingon", "", false},
		"nothing":                        {"x: {field: language, options: {it: Italian, en: English}}", "", "", true},
		"undone":                         {"x: {field: last_name, write: upper(value), read: title(value)}", "LOVELACE", "Lovelace", true},
		"undone, of a field of its own":  {"x: {field: score, write: text(value) + '%', read: \"int(replace(value, '%', ''))\"}", "17%", "17", true},
		"undone, of what cannot be read": {"x: {field: score, write: text(value) + '%', read: \"int(replace(value, '%', ''))\"}", "much", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := compile(t, "fields:\n  score: {type: number}\n", tt.line).Lines("crm")[0]
			if got, ok := line.Reads(tt.shows); got != tt.want || ok != tt.ok || !line.Read {
				t.Errorf("reads %q as %q (%v), want %q (%v); read: %v", tt.shows, got, ok, tt.want, tt.ok, line.Read)
			}
		})
	}
	line := compile(t, "", "x: {field: last_name, write: upper(value)}").Lines("crm")[0]
	if line.Read {
		t.Error("a line that says how it is written and not how it is read is read")
	}
}

// What expressions can cost is bounded, whatever they say.
func TestAnExpressionCannotRunAway(t *testing.T) {
	t.Parallel()
	began := time.Now()
	nested := "first_name"
	for range 30 {
		nested = "replace(" + nested + " + " + "last_name, 'a', first_name + last_name + full_name + full_name)"
	}
	m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: {value: \""+nested+"\"}}}}\n"))
	if err == nil {
		_, refused := m.Translate("crm", ada)
		if len(refused) == 0 || !strings.Contains(refused[0].Reason, "longer than") {
			t.Errorf("refused: %v", refused)
		}
	}
	for _, pattern := range []string{"(.{0,1000}){40}Z", ".{0,1000}.{0,1000}Z", "((a{1,100}){1,100}){1,100}", "(a|b|c|d){600}"} {
		if _, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: {value: \"find(first_name, '"+pattern+"')\"}}}}\n")); err == nil || !strings.Contains(err.Error(), "repeats too much") && !strings.Contains(err.Error(), "not a regular") {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	hostile := map[string]any{"first_name": strings.Repeat("a", 4000) + "!"}
	m = compile(t, "", `x: {value: "matches(first_name, '^(a+)+$') ? 'y' : 'n'"}`, `y: {value: "find(first_name, '(a*)*b')"}`)
	if fields, refused := m.Translate("crm", hostile); fields["x"] != "n" || len(refused) > 0 {
		t.Errorf("fields %v, refused %v", fields, refused)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// BenchmarkTranslate applies a mapping of 25 fields, 5 of them computed.
func BenchmarkTranslate(b *testing.B) {
	lines := []string{
		"c1: {value: \"last_name + ', ' + first_name\"}", "c2: {value: \"consent == 'marketing' && unread_count > 5 ? 'hot' : 'cold'\"}",
		"c3: {value: \"coalesce(email, username, phone)\"}", "c4: {value: \"lookup('languages', language, 'Other')\"}", "c5: {field: last_name, write: upper(value)}",
		"o1: {field: consent, options: {marketing: M, transactional: T, unknown: U, opted_out: O}, direction: to}", "m1: {field: last_message_text, max_length: 255}",
	}
	view := map[string]any{}
	for _, name := range []string{"first_name", "last_name", "full_name", "phone", "language", "consent", "profile_name", "username", "user_id", "wa_id", "business_phone", "source_type", "source_id", "source_url", "source_headline", "click_id", "name", "owner"} {
		view[name] = "value of " + name
		lines = append(lines, fmt.Sprintf("f_%s: {field: %s, direction: to}", name, name))
	}
	for k, v := range ada {
		view[k] = v
	}
	m := compile(b, "tables:\n  languages: {it: Italian, en: English}\n", lines...)
	if n := len(m.Lines("crm")); n != 25 {
		b.Fatalf("%d lines", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		if fields, _ := m.Translate("crm", view); len(fields) != 25 {
			b.Fatal(len(fields))
		}
	}
}
