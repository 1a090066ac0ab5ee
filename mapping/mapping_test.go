package mapping_test

import (
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
