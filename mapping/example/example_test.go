package example_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
	"crmsync/mapping/example"
)

const document = `version: 1
fields:
  tier: {type: enum, options: [gold, silver]}
accounts:
  crm:
    contact:
      first: first_name
      last: last_name
      count: unread_count
      since: last_message_at
      tags: labels
      mail: email
      tier: tier
      short: {field: full_name, max_length: 5, overflow: refuse}
`

func compiled(t *testing.T, text string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Compile("mapping.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run compares an example's own contact.
func run(t *testing.T, text string) []string {
	t.Helper()
	m := compiled(t, document)
	e, err := example.Read("x.yaml", []byte(text), m)
	found, invalid := errors.AsType[mapping.Findings](err)
	if err != nil && !invalid {
		t.Fatal(err)
	}
	if err == nil {
		found = e.Compare(m, func(account string) example.Translation {
			fields, refused := m.Translate(account, e.Contact)
			return example.Translation{Reached: true, Fields: fields, Refused: refused, Messages: []string{"in: Hello!", "out: Hi."}}
		})
	}
	var texts []string
	for _, f := range found {
		texts = append(texts, f.String())
	}
	return texts
}

func TestAnExampleIsComparedWithWhatTheMappingDoes(t *testing.T) {
	t.Parallel()
	const ada = "contact: {first_name: Ada, last_name: null, unread_count: 3, last_message_at: 2026-11-22T09:30:00Z, labels: [vip, new], tier: gold}\n"
	tests := map[string]struct {
		text string
		want []string // what each finding begins with
	}{
		"all as it is":       {ada + "expect: {crm: {first: Ada, last: null, count: 3, since: 2026-11-22T10:30:00+01:00, tags: [new, vip], tier: gold}}\nabsent: {crm: [mail]}\nexact: true\n", nil},
		"a number as text":   {ada + "expect: {crm: {count: \"3\"}}\n", nil},
		"another text":       {ada + "expect:\n  crm:\n    first: Eva\n", []string{`x.yaml:4:12: crm first is "Ada", want "Eva"`}},
		"another number":     {ada + "expect: {crm: {count: 4}}\n", []string{`x.yaml:2:23: crm count is 3, want 4`}},
		"another time":       {ada + "expect: {crm: {since: 2026-11-22T09:30:01Z}}\n", []string{`x.yaml:2:23: crm since is 2026-11-22T09:30:00Z, want 2026-11-22T09:30:01Z`}},
		"a label less":       {ada + "expect: {crm: {tags: [new]}}\n", []string{`x.yaml:2:22: crm tags is [vip, new], want [new]`}},
		"what is emptied":    {ada + "expect: {crm: {last: Lovelace}}\n", []string{`x.yaml:2:22: crm last is cleared, want "Lovelace"`}},
		"what is not":        {ada + "expect: {crm: {first: null}}\n", []string{`x.yaml:2:23: crm first is "Ada", want cleared`}},
		"what is left alone": {ada + "expect: {crm: {mail: a@example.com}}\n", []string{`x.yaml:2:22: crm mail is not written, want "a@example.com"`}},
		"not left alone":     {ada + "absent: {crm: [first]}\n", []string{`x.yaml:2:16: crm first is "Ada", want it left alone`}},
		"not exact":          {ada + "expect: {crm: {first: Ada, last: null, count: 3, tier: gold, since: 2026-11-22T09:30:00Z}}\nexact: true\n", []string{`x.yaml:2:10: crm tags is [vip, new], and the example does not name it (exact: true)`}},
		"no such field":      {ada + "expect: {crm: {frist: Ada}}\n", []string{`x.yaml:2:23: the mapping has no field frist in crm; did you mean first?`}},
		"no such account":    {ada + "expect: {cmr: {first: Ada}}\n", []string{`x.yaml:2:10: the mapping has no account "cmr"; did you mean crm?`}},
		"refused":            {"contact: {full_name: Ada Lovelace}\nrefused: {crm: [short]}\n", nil},
		"refused otherwise":  {"contact: {full_name: Ada Lovelace}\nexpect: {crm: {first: Ada}}\n", []string{`x.yaml:2:10: crm refuses the contact, nothing is written: short (line 14 of the mapping)`}},
		"not refused":        {"contact: {full_name: Ada}\nrefused: {crm: [short]}\n", []string{`x.yaml:2:17: crm short lets the contact through, want it refused`}},
		"all messages":       {ada + "messages: {crm: [\"in: Hello!\", \"out: Hi.\"]}\n", nil},
		"another message":    {ada + "messages: {crm: [\"in: Hello!\", Hi.]}\n", []string{`x.yaml:2:32: crm logs the message "out: Hi.", want "Hi."`}},
		"a message less":     {ada + "messages: {crm: [\"in: Hello!\"]}\n", []string{`x.yaml:2:12: crm logs 2 messages, and the example has 1`}},
		"a message more":     {ada + "messages: {crm: [\"in: Hello!\", \"out: Hi.\", more]}\n", []string{`x.yaml:2:44: crm logs 2 messages, want "more" too`}},
		"several at once":    {ada + "expect: {crm: {first: Eva, count: 4}}\n", []string{"x.yaml:2:23: ", "x.yaml:2:35: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, tt.text)
			if len(got) != len(tt.want) {
				t.Fatalf("findings %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("finding %q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
}

func TestEveryFaultOfAnExampleIsFoundAtItsPlace(t *testing.T) {
	t.Parallel()
	const expected = "expect: {crm: {first: Ada}}\n"
	tests := map[string]struct{ text, want string }{
		"empty":                   {"", "x.yaml:1:1: the example is empty"},
		"not YAML":                {"contact: [\n", "x.yaml:2:1: not a YAML document"},
		"a list":                  {"- contact\n", "x.yaml:1:1: an example is a list of key: value lines"},
		"an unknown key":          {"contcat: {}\n" + expected, `x.yaml:1:1: there is no "contcat"; did you mean contact?`},
		"about nobody":            {expected, "x.yaml:1:1: the example has neither a contact nor a payload"},
		"about two":               {"contact: {}\npayload: x.json\n" + expected, "x.yaml:2:1: an example has a contact or a payload, not both"},
		"nothing expected":        {"contact: {}\n", "x.yaml:1:1: nothing is expected"},
		"a misspelt field":        {"contact: {frst_name: Ada}\n" + expected, `x.yaml:1:11: there is no contact field "frst_name"; did you mean first_name?`},
		"a count in words":        {"contact: {unread_count: three}\n" + expected, "x.yaml:1:25: unread_count is a number"},
		"a time in words":         {"contact: {last_message_at: today}\n" + expected, "x.yaml:1:28: last_message_at is a time such as"},
		"an option that is none":  {"contact: {consent: yes}\n" + expected, "x.yaml:1:20: consent is one of unknown, transactional, marketing, opted_out"},
		"a made-up option":        {"contact: {tier: bronze}\n" + expected, "x.yaml:1:17: tier is one of gold, silver"},
		"a label alone":           {"contact: {labels: vip}\n" + expected, "x.yaml:1:19: labels is a list of labels"},
		"a list for a name":       {"contact: {first_name: [Ada]}\n" + expected, "x.yaml:1:23: first_name is one value"},
		"a field twice":           {"contact: {}\nexpect: {crm: {first: Ada, first: Eva}}\n", "x.yaml:2:28: first is there twice"},
		"an alias":                {"contact: &a {}\n" + expected, "x.yaml:1:10: anchors and aliases are not used"},
		"a mapping for a value":   {"contact: {}\nexpect: {crm: {first: {is: Ada}}}\n", "x.yaml:2:23: the value of first is a text"},
		"a word for a list":       {"contact: {}\nabsent: {crm: first}\n", "x.yaml:2:15: absent has a list for each account, such as absent: {hubspot: [email]}"},
		"exact in words":          {"contact: {}\nexact: maybe\n" + expected, "x.yaml:2:8: exact is true or false"},
		"no payload after all":    {"payload:\n" + expected, "x.yaml:1:9: payload is a webhook, or the name of a file"},
		"larger than any webhook": {"about: " + strings.Repeat("x", 5<<20), "x.yaml:1:1: the file is larger than 4 MB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := run(t, tt.text); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("findings %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAPayloadIsWrittenAsYAMLAsJSONOrInAFile(t *testing.T) {
	t.Parallel()
	m := compiled(t, document)
	for text, want := range map[string]string{
		"payload: {object: whatsapp, entry: [{id: \"1\", n: 2}]}\n":   `{"entry":[{"id":"1","n":2}],"object":"whatsapp"}`,
		"payload: |\n  {\"object\": \"whatsapp\", \"entry\": [  ]}\n": `{"object": "whatsapp", "entry": [  ]}`,
		"payload: hello.json\n": "file hello.json",
	} {
		e, err := example.Read("x.yaml", []byte(text+"expect: {crm: {first: Ada}}\n"), m)
		if err != nil {
			t.Fatal(err)
		}
		got := string(e.Payload)
		if e.PayloadFile != "" {
			got = "file " + e.PayloadFile
		}
		if got != want || e.Contact != nil {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
}

// What is written is read again as it is, whatever the values look like.
func TestAnExampleThatIsWrittenPasses(t *testing.T) {
	t.Parallel()
	m := compiled(t, document)
	for _, name := range []string{"Ada", "", "null", "yes", "12", "0x1f", "2026-11-22", "~", "- a", "a: b", "#x", "O'Hara \"x\"\n two", "日本 🙂", "*", "&a", "!!int 3", " x ", "1e3", ".inf", "=", "<<", "\u0085\u2028", "no"} {
		contact := map[string]any{
			"first_name": name, "last_name": nil, "unread_count": int64(3), "labels": []string{"new", name + "x"},
			"last_message_at": time.Date(2026, 11, 22, 9, 30, 0, 123e6, time.UTC), "tier": "gold",
		}
		fields, refused := m.Translate("crm", contact)
		text, err := example.Write("About: \"it\"", contact, []string{"first_name", "last_name", "unread_count", "labels", "last_message_at", "tier"}, m,
			map[string]example.Translation{"crm": {Reached: true, Fields: fields, Refused: refused}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := example.Read("x.yaml", text, m)
		if err != nil {
			t.Errorf("%q: %v\n%s", name, err, text)
			continue
		}
		if e.About != "About: \"it\"" || !reflect.DeepEqual(e.Contact, contact) {
			t.Errorf("%q: read again it is %#v, want %#v\n%s", name, e.Contact, contact, text)
		}
		found := e.Compare(m, func(string) example.Translation {
			return example.Translation{Reached: true, Fields: fields, Refused: refused}
		})
		if len(found) > 0 {
			t.Errorf("%q: %v\n%s", name, found, text)
		}
	}
}

func FuzzRead(f *testing.F) {
	m, err := mapping.Compile("mapping.yaml", []byte(document))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("contact: {first_name: Ada}\nexpect: {crm: {first: Ada}}\n"))
	f.Add([]byte("payload: {a: [1, ~]}\nabsent: {crm: [x]}\nrefused: {crm: [x]}\nexact: true\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		e, err := example.Read("x.yaml", source, m)
		if (e == nil) == (err == nil) {
			t.Fatalf("%v and %v", e, err)
		}
		if e != nil {
			for _, finding := range e.Compare(m, func(string) example.Translation { return example.Translation{Reached: true} }) {
				_ = fmt.Sprint(finding)
			}
		}
	})
}
