package mapping_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"crmsync/mapping"
)

func TestAMappingTranslatesWhatIsKnownAndLeavesOutTheRest(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts:\n  hubspot:\n    contact:\n      firstname: first_name\n      phone: phone\n      score: unread_count\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := m.Translate("hubspot", map[string]any{"first_name": "Zoë", "unread_count": int64(3), "last_name": "not mapped"})
	if want := map[string]any{"firstname": "Zoë", "score": int64(3)}; !reflect.DeepEqual(got, want) {
		t.Errorf("fields = %v, want %v", got, want)
	}
	if got, _ := m.Translate("zoho", map[string]any{"first_name": "Zoë"}); len(got) != 0 {
		t.Errorf("an account that is not mapped gets %v", got)
	}
}

// What an account's lines say: what is written, what is read, and whose it is.
func TestALineHasADirectionAndAFieldAnOwner(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m.yaml", []byte(`version: 1
fields:
  email: {owner: zoho}
  language: {owner: newest}
people: {match: [phone, email], same_phone: by_name}
accounts:
  zoho:
    on_delete: recreate
    duplicates: report
    contact: {Email: email, Lang: language, Unread: unread_count}
  hubspot:
    duplicates: merge
    contact:
      email: {field: email}
      lang: {field: language, direction: to}
      firstname: {field: first_name, direction: from}
      mobile: phone
      phone: {field: phone, direction: both}
      fax: phone
  bitrix24: {on_delete: erase}
`))
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		written, read bool
		owner         string
	}
	got := map[string]line{}
	for _, account := range m.Accounts() {
		for _, l := range m.Lines(account) {
			got[account+"."+l.To] = line{l.Written, l.Read, l.Owner}
		}
	}
	want := map[string]line{
		"zoho.Email": {true, true, "zoho"}, "zoho.Lang": {true, true, ""}, "zoho.Unread": {true, false, ""},
		"hubspot.email": {true, true, "zoho"}, "hubspot.lang": {true, false, ""}, "hubspot.firstname": {false, true, ""}, "hubspot.phone": {true, true, ""},
		"hubspot.mobile": {true, false, ""}, "hubspot.fax": {true, false, ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("lines %+v, want %+v", got, want)
	}
	fields, _ := m.Translate("hubspot", map[string]any{"first_name": "Zoë", "language": "it"})
	if want := map[string]any{"lang": "it"}; !reflect.DeepEqual(fields, want) {
		t.Errorf("written is %v, want %v", fields, want)
	}
	if m.People() != (mapping.People{ByEmail: true, ByName: true}) || m.OnDelete("zoho") != mapping.Recreate || m.OnDelete("hubspot") != mapping.Unlink || m.OnDelete("bitrix24") != mapping.Erase {
		t.Errorf("people %+v, deletions %s and %s", m.People(), m.OnDelete("zoho"), m.OnDelete("hubspot"))
	}
	if !m.Merges("hubspot") || m.Merges("zoho") || m.Merges("bitrix24") {
		t.Error("merged are duplicates where the document does not say so, or not where it does")
	}
}

func TestTheRevisionFollowsTheText(t *testing.T) {
	t.Parallel()
	compile := func(text string) string {
		m, err := mapping.Compile("m.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m.Revision()
	}
	const text = "version: 1\naccounts: {a: {contact: {x: phone}}}\n"
	a, b := compile(text), compile(text+"# a comment\n")
	if a != compile(text) || a == b || len(a) != 12 {
		t.Errorf("revisions %q and %q", a, b)
	}
}

func TestEveryFaultIsFoundAtItsPlace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string // what each finding contains, in order
	}{
		"empty":                              {"", []string{"m.yaml:1:1: "}},
		"not YAML":                           {"version: 1\naccounts: [\n", []string{"not a YAML document"}},
		"a tab":                              {"version: 1\naccounts:\n\thubspot: {}\n", []string{"m.yaml:3:1: not a YAML document"}},
		"two documents":                      {"version: 1\n---\nversion: 1\n", []string{"not a YAML document"}},
		"no version":                         {"accounts: {}\n", []string{"version is missing"}},
		"a version of the future":            {"version: 2\n", []string{`m.yaml:1:10: version is "2"`}},
		"an unknown key":                     {"version: 1\naccount: {}\n", []string{`m.yaml:2:1: there is no "account"; did you mean accounts?`}},
		"a list for a mapping":               {"version: 1\naccounts: [hubspot]\n", []string{"m.yaml:2:11: accounts must be"}},
		"a key twice":                        {"version: 1\naccounts:\n  a: {}\n  a: {}\n", []string{"m.yaml:4:3: a is there twice"}},
		"a field twice":                      {"version: 1\naccounts: {a: {contact: {x: phone, x: name}}}\n", []string{"x is there twice"}},
		"a misspelt contact field":           {"version: 1\naccounts:\n  a:\n    contact:\n      lastname: lst_name\n", []string{`m.yaml:5:17: there is no "lst_name"; did you mean last_name?`}},
		"a made-up contact field":            {"version: 1\naccounts: {a: {contact: {x: shoe_size_of_aunt}}}\n", []string{`there is no "shoe_size_of_aunt"; see config/mapping.yaml`}},
		"a mapping for a field":              {"version: 1\naccounts: {a: {contact: {x: {from: phone}}}}\n", []string{`there is no "from"; there are field, value, direction, write`}},
		"a mapping without a field":          {"version: 1\naccounts: {a: {contact: {x: {direction: to}}}}\n", []string{"m.yaml:2:29: x needs the name of a contact field"}},
		"a misspelt direction":               {"version: 1\naccounts:\n  a:\n    contact:\n      x: {field: email, direction: form}\n", []string{"m.yaml:5:36: the direction is both, to or from; did you mean from?"}},
		"a list for a direction":             {"version: 1\naccounts: {a: {contact: {x: {field: email, direction: [to]}}}}\n", []string{"the direction is both, to or from"}},
		"reading what follows from WhatsApp": {"version: 1\naccounts:\n  a:\n    contact:\n      x: {field: unread_count, direction: from}\n", []string{"m.yaml:5:43: unread_count follows from WhatsApp"}},
		"both ways for what follows":         {"version: 1\naccounts: {a: {contact: {x: {field: owner, direction: both}}}}\n", []string{"owner follows from WhatsApp"}},
		"an owner that is no account":        {"version: 1\nfields:\n  email: {owner: zohoo}\naccounts: {zoho: {contact: {Email: email}}}\n", []string{`m.yaml:3:18: there is no "zohoo"; did you mean zoho?`}},
		"an owner far from all":              {"version: 1\nfields: {email: {owner: salesforce}}\naccounts: {zoho: {contact: {Email: email}}}\n", []string{`there is no "salesforce"; owners are zoho and newest`}},
		"an owner without a line":            {"version: 1\nfields: {email: {owner: a}}\naccounts: {a: {contact: {x: phone}}}\n", []string{"m.yaml:2:25: a cannot own email: none of its lines reads it"}},
		"an owner that only gets":            {"version: 1\nfields: {email: {owner: a}}\naccounts: {a: {contact: {x: {field: email, direction: to}}}}\n", []string{"a cannot own email"}},
		"an owner of what follows":           {"version: 1\nfields: {unread_count: {owner: a}}\naccounts: {a: {contact: {x: phone}}}\n", []string{"m.yaml:2:25: unread_count follows from WhatsApp and has no owner"}},
		"an owner of labels":                 {"version: 1\nfields: {labels: {owner: a}}\naccounts: {a: {contact: {x: labels}}}\n", []string{"labels has no owner"}},
		"a rule for no field":                {"version: 1\nfields: {emial: {owner: a}}\naccounts: {a: {contact: {x: email}}}\n", []string{`there is no "emial"; did you mean email?`}},
		"an unknown rule":                    {"version: 1\nfields: {email: {woner: a}}\naccounts: {a: {contact: {x: email}}}\n", []string{`m.yaml:2:18: there is no "woner"; did you mean owner?`}},
		"matching by nothing":                {"version: 1\npeople: {match: [email]}\naccounts: {a: {contact: {x: email}}}\n", []string{"m.yaml:2:17: match is [phone] or [phone, email]"}},
		"matching by a made-up key":          {"version: 1\npeople: {match: [phone, e-mail]}\naccounts: {a: {contact: {x: email}}}\n", []string{"m.yaml:2:25: a name in match is phone or email; did you mean email?"}},
		"matching by a word":                 {"version: 1\npeople: {match: phone}\naccounts: {a: {contact: {x: email}}}\n", []string{"match is [phone] or [phone, email]"}},
		"a family of another kind":           {"version: 1\npeople: {same_phone: byname}\naccounts: {a: {contact: {x: email}}}\n", []string{"m.yaml:2:22: same_phone is same_person or by_name; did you mean by_name?"}},
		"a rule for duplicates that is none": {"version: 1\naccounts: {a: {duplicates: delete, contact: {x: email}}}\n", []string{"m.yaml:2:28: "}},
		"one field read twice":               {"version: 1\naccounts:\n  a:\n    contact:\n      x: {field: phone, direction: both}\n      y: {field: phone, direction: from}\n", []string{"m.yaml:6:10: phone is read from x already (line 5); of two fields nobody knows which is right: write y: {field: phone, direction: to}"}},
		"deleting somehow":                   {"version: 1\naccounts: {a: {on_delete: cascade, contact: {x: email}}}\n", []string{"on_delete is unlink, recreate or erase"}},
		"no accounts":                        {"version: 1\n", []string{"there are no accounts"}},
		"none of the accounts":               {"version: 1\naccounts: {}\n", []string{"there are no accounts"}},
		"nothing for a field":                {"version: 1\naccounts: {a: {contact: {x: }}}\n", []string{"x needs the name of a contact field"}},
		"a field without a name":             {"version: 1\naccounts: {a: {contact: {'': phone}}}\n", []string{`m.yaml:2:26: "" is not the name`}},
		"a field with a blank":               {"version: 1\naccounts: {a: {contact: {last name: phone}}}\n", []string{`"last name" is not the name`}},
		"an alias":                           {"version: 1\naccounts:\n  a: &x {contact: {}}\n  b: *x\n", []string{"m.yaml:3:", "m.yaml:4:"}},
		"two faults":                         {"version: 1\naccounts:\n  a:\n    contact:\n      x: phne\n      y: nme\n", []string{"m.yaml:5:10: ", "m.yaml:6:10: "}},
		"too large":                          {strings.Repeat("# padding\n", 30_000), []string{"larger than 256 KB"}},
		"NUL":                                {"version: 1\x00\n", []string{"not a YAML document"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Compile("m.yaml", []byte(tt.text))
			found, ok := errors.AsType[mapping.Findings](err)
			if !ok || len(found) != len(tt.want) {
				t.Fatalf("findings = %v, want %d", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(found[i].String(), want) {
					t.Errorf("finding %q does not say %q", found[i], want)
				}
			}
		})
	}
}

func TestTheSampleMapsEnough(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../config/mapping.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Compile("mapping.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	mapped := map[string]bool{}
	for _, l := range m.Lines("hubspot") {
		mapped[l.From] = true
	}
	for _, name := range strings.Fields(`phone first_name last_name language labels owner consent consent_at first_message_at
		last_message_at last_message_text last_message_direction last_status unread_count click_id profile_name business_phone`) {
		if !mapped[name] {
			t.Errorf("%s is not mapped", name)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte("version: 1\naccounts: {a: {contact: {x: phone}}}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, source []byte) {
		m, err := mapping.Compile("m.yaml", source)
		if (m == nil) == (err == nil) {
			t.Errorf("mapping %v and error %v", m, err)
		}
	})
}
