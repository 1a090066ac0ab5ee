package mapping_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"crmsync/mapping"
)

// FuzzCompile looks for documents that are neither compiled nor refused, or that
// take longer than they may.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../config/mapping.yaml") {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		began := time.Now()
		m, err := mapping.Compile("m.yaml", source)
		if (m == nil) == (err == nil) {
			t.Errorf("mapping %v and error %v", m, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// FuzzApply looks for expressions and values that make the program stumble, and for
// texts that are no text any more.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		"upper(first_name)", "cut(first_name, 3)", "part(first_name, ' ', -1)", "replace(first_name, 'a', first_name)", "split(first_name, ',')",
		"find(first_name, '(a|b)+')", "replace_pattern(first_name, '.', '$0$0')", "format_date(last_message_at, 'dd.MM.yyyy', 'Asia/Taipei')",
		"parse_date(first_name, 'dd.MM.yyyy')", "national(phone)", "int(first_name) / unread_count", "join(labels, first_name)", "first_name in labels ? 'a' : 'b'",
		"coalesce(email, first_name)", "title(first_name) + initials(full_name)", "text(unread_count * unread_count)", "lookup('t', first_name, first_name)",
		"timestamp(first_name)", "last_message_at - duration(first_name)", "first_name.matches('^a') ? 'x' : first_name", "greeting + greeting",
	} {
		f.Add(seed, "Zoë \U0001F600, a;b", int64(-3))
	}
	f.Fuzz(func(t *testing.T, expression, name string, number int64) {
		if !utf8.ValidString(name) || len(name) > 4096 {
			t.Skip() // what is recorded is cleaned and cut
		}
		document := "version: 1\ntables: {t: {a: b}}\nfields: {greeting: {value: \"'Ciao ' + first_name\"}, own: {type: number}}\naccounts:\n  crm:\n    contact:\n      x:\n        max_length: 50\n        value: |-\n"
		for line := range strings.SplitSeq(expression, "\n") {
			document += "          " + line + "\n"
		}
		m, err := mapping.Compile("m.yaml", []byte(document))
		if err != nil {
			return
		}
		began := time.Now()
		fields, refused := m.Translate("crm", map[string]any{
			"first_name": name, "full_name": name + " " + name, "phone": name, "unread_count": number, "labels": []string{name, "vip"},
			"last_message_at": time.Unix(number, 0).UTC(), "own": name, "email": nil,
		})
		if text, is := fields["x"].(string); is && (!utf8.ValidString(text) || utf8.RuneCountInString(text) > 50) {
			t.Errorf("%q gives %q", expression, text)
		}
		for _, r := range refused {
			if r.Reason == "" {
				t.Error("refused without a reason")
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%q took %v", expression, took)
		}
	})
}
