package app_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/config"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// A shelf is a directory with contacts, of a configuration with two numbers and two
// CRMs: south feeds only zoho.
type shelf struct {
	t      *testing.T
	config *config.Config
	db     *store.DB
}

func newShelf(t *testing.T, mapping string) *shelf {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "crmsync.yaml")
	write(t, filepath.Join(dir, "mapping.yaml"), mapping)
	write(t, file, `accounts:
  - {name: north, kind: whatsapp, app_secret: a, verify_token: b}
  - {name: south, kind: whatsapp, app_secret: a, verify_token: b, deliver_to: [zoho]}
  - {name: hubspot, kind: hubspot, token: c}
  - {name: zoho, kind: zoho, client_id: d, client_secret: e, refresh_token: f}
`)
	c, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenSQLite(t.Context(), c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &shelf{t, c, db}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// has is a contact with fields, and what each account stands to it: nil for one
// that has never heard of it.
func (s *shelf) has(fields map[string]directory.Value, hubspot, zoho *directory.Link) int64 {
	s.t.Helper()
	c := &directory.Contact{Version: 1, Fields: fields}
	err := s.db.Record(s.t.Context(), func(tx directory.Tx) error {
		if err := tx.SaveContacts([]*directory.Contact{c}); err != nil {
			return err
		}
		var links []directory.Link
		for account, l := range map[string]*directory.Link{"hubspot": hubspot, "zoho": zoho} {
			if l != nil {
				l.Account, l.Entity = account, directory.Entity{Kind: directory.ContactEntity, ID: c.ID}
				links = append(links, *l)
			}
		}
		return tx.SaveRecords(links)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.ID
}

// told is a record that an account was told this of, as field and value in turn.
func told(record string, pairs ...string) *directory.Link {
	l := &directory.Link{RecordID: record, State: directory.Agreed, Shadow: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		l.Shadow[pairs[i]] = pairs[i+1]
	}
	return l
}

func (s *shelf) diff(next string, o app.DiffOptions) *app.MappingDiff {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "new.yaml")
	write(s.t, file, next)
	d, err := app.DiffMapping(s.t.Context(), s.config, file, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// sums are what changes in an account, a line each.
func sums(d *app.MappingDiff, account string) string {
	i := slices.IndexFunc(d.Accounts, func(a app.AccountDiff) bool { return a.Account == account })
	a := d.Accounts[i]
	lines := []string{fmt.Sprintf("%d of %d, %d refused, %d accepted", a.Changed, a.Contacts, a.Refused, a.Accepted)}
	for _, f := range a.Fields {
		lines = append(lines, fmt.Sprintf("%s +%d ~%d 0%d x%d", f.Field, f.Added, f.Changed, f.Cleared, f.Stopped))
	}
	for _, r := range a.Refusals {
		lines = append(lines, fmt.Sprintf("%s refuses %d", r.Field, r.Contacts))
	}
	return strings.Join(lines, "; ")
}

func text(value string) directory.Value {
	return directory.Value{Text: value, At: time.Now(), Fact: "north/1", Account: "north"}
}

const asItIs = `version: 1
accounts:
  hubspot: {contact: {first: full_name, mail: email, lang: language}}
  zoho: {contact: {First: full_name, Source: source_id}}
`

func TestWhatTheOldMappingWouldWriteAnywayDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newShelf(t, asItIs)
	person := func(name string) map[string]directory.Value {
		return map[string]directory.Value{"full_name": text(name), "email": text("ada@example.com"), "language": text("it")}
	}
	s.has(person("Ada"), told("1", "first", "Ada", "mail", "ada@example.com", "lang", "it"), nil)  // all agreed
	s.has(person("Bob"), told("2", "first", "Robert", "mail", "ada@example.com"), nil)             // a name and a language are on their way
	s.has(person("Cid"), told("3", "first", directory.KeptAs("ask"), "mail", "", "lang", ""), nil) // the name is the people's
	s.has(person("Dot"), &directory.Link{State: directory.Pending}, nil)                           // no record yet
	s.has(person("Eve"), &directory.Link{State: directory.Skipped, Reason: directory.Deleted}, nil)
	s.has(person("Fay"), nil, nil)

	for name, tt := range map[string]struct{ hubspot, want string }{
		"the same":               {"first: full_name, mail: email, lang: language", "0 of 4, 0 refused, 0 accepted"},
		"in another order":       {"lang: language, mail: email, first: full_name", "0 of 4, 0 refused, 0 accepted"},
		"a new field":            {"first: full_name, mail: email, lang: language, also: language", "4 of 4, 0 refused, 0 accepted; also +4 ~0 00 x0"},
		"another value":          {"first: {field: full_name, write: upper(value)}, mail: email, lang: language", "3 of 4, 0 refused, 0 accepted; first +0 ~3 00 x0"},
		"a line less":            {"first: full_name, mail: email", "0 of 4, 0 refused, 0 accepted; lang +0 ~0 00 x2"},
		"a line of names less":   {"mail: email, lang: language", "0 of 4, 0 refused, 0 accepted; first +0 ~0 00 x3"},
		"the other way only":     {"first: full_name, mail: email, lang: {field: language, direction: from}", "0 of 4, 0 refused, 0 accepted; lang +0 ~0 00 x2"},
		"empty where it was not": {"first: full_name, mail: {value: \"''\"}, lang: language", "2 of 4, 0 refused, 0 accepted; mail +0 ~0 02 x1"},
		"refused":                {"first: {field: full_name, max_length: 2, overflow: refuse}, mail: email, lang: language", "0 of 4, 4 refused, 0 accepted; first refuses 4"},
	} {
		d := s.diff("version: 1\naccounts:\n  hubspot: {contact: {"+tt.hubspot+"}}\n  zoho: {contact: {First: full_name, Source: source_id}}\n", app.DiffOptions{})
		if got := sums(d, "hubspot"); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if got := sums(d, "zoho"); got != "0 of 0, 0 refused, 0 accepted" || d.Contacts != 6 {
			t.Errorf("%s: zoho %s, of %d contacts", name, got, d.Contacts)
		}
	}
	refusing := filepath.Join(t.TempDir(), "old.yaml")
	write(t, refusing, strings.Replace(asItIs, "first: full_name", "first: {field: full_name, max_length: 2, overflow: refuse}", 1))
	d := s.diff(asItIs, app.DiffOptions{Old: refusing})
	if got := sums(d, "hubspot"); got != "3 of 4, 0 refused, 4 accepted; first +1 ~1 00 x0; mail +2 ~0 00 x0; lang +3 ~0 00 x0" {
		t.Errorf("not refused any more: %s", got)
	}
}

// Examples are the first contacts, and their values masked unless they say nothing
// about anybody.
func TestExamplesOfADiffAreMasked(t *testing.T) {
	t.Parallel()
	s := newShelf(t, asItIs)
	for i := range 1200 { // pages are compared beside each other
		fields := map[string]directory.Value{"full_name": text("Zoë O'Hara 3"), "email": text(strings.Repeat("long@", 20) + "example.com"), "consent": text("opted_out")}
		if i%500 == 99 {
			fields["source_id"] = text("ad-7")
		}
		s.has(fields, told("1", "first", "Ada", "mail", directory.ShadowOf(strings.Repeat("x", 100))), nil)
	}
	next := "version: 1\naccounts:\n  hubspot: {contact: {first: full_name, mail: {field: email, write: upper(value)}, lang: language, consent: consent, long: email, rare: source_id, other: {value: 'full_name == \"\" ? \"\" : \"constant\"'}}}\n  zoho: {contact: {First: full_name}}\n"
	d := s.diff(next, app.DiffOptions{})
	examples := func(d *app.MappingDiff, field string) []app.DiffExample {
		for _, f := range d.Accounts[0].Fields {
			if f.Field == field {
				return f.Examples
			}
		}
		t.Fatalf("there is no field %s in %+v", field, d.Accounts[0])
		return nil
	}
	if got := sums(d, "hubspot"); got != "1200 of 1200, 0 refused, 0 accepted; mail +0 ~1200 00 x0; consent +1200 ~0 00 x0; long +1200 ~0 00 x0; rare +3 ~0 00 x0; other +1200 ~0 00 x0" {
		t.Errorf("it is %s", got)
	}
	mail := examples(d, "mail")
	if len(mail) != 3 || mail[0].Contact != 1 || mail[1].Contact != 2 || mail[2].Contact != 3 {
		t.Errorf("examples %+v", mail)
	}
	if rare := examples(d, "rare"); len(rare) != 3 || rare[0].Contact != 100 || rare[1].Contact != 600 || rare[2].Contact != 1100 {
		t.Errorf("examples from all pages: %+v", rare)
	}
	if mail[0].Before != "(a long text)" || !strings.HasPrefix(mail[0].After, "XXXX@XXXX@") || !strings.HasSuffix(mail[0].After, "…") {
		t.Errorf("mail: %+v", mail[0])
	}
	if e := examples(d, "consent")[0]; e.Before != "" || e.After != "opted_out" || e.What != "added" {
		t.Errorf("consent: %+v", e)
	}
	shown := s.diff(next, app.DiffOptions{Values: true})
	if e := examples(shown, "long")[0]; e.After != strings.Repeat("long@", 20)+"example.com" {
		t.Errorf("with values: %+v", e)
	}
}

// An account is compared by what it sees: what a number has said that does not feed
// it is left out.
func TestADiffLeavesOutWhatIsNoneOfAnAccountsBusiness(t *testing.T) {
	t.Parallel()
	s := newShelf(t, asItIs)
	south := directory.Value{Text: "ad-7", At: time.Now(), Fact: "south/1", Account: "south"}
	s.has(map[string]directory.Value{"full_name": text("Ada"), "source_id": south}, told("1", "first", "Ada"), told("2", "First", "Ada", "Source", "ad-7"))
	d := s.diff("version: 1\naccounts:\n  hubspot: {contact: {first: full_name, source: source_id}}\n  zoho: {contact: {First: full_name, Source: source_id, Again: source_id}}\n", app.DiffOptions{})
	if got := sums(d, "hubspot"); got != "0 of 1, 0 refused, 0 accepted" {
		t.Errorf("hubspot: %s", got)
	}
	if got := sums(d, "zoho"); got != "1 of 1, 0 refused, 0 accepted; Again +1 ~0 00 x0" {
		t.Errorf("zoho: %s", got)
	}
	tried, err := app.RehearseContact(t.Context(), s.config, s.config.Mapping, "contact:1")
	if err != nil {
		t.Fatal(err)
	}
	if zoho := tried.Contacts[0].Accounts["zoho"]; zoho.Fields["Source"].Value != "ad-7" || zoho.Fields["Source"].Written {
		t.Errorf("zoho would get %+v", zoho)
	}
}

func TestADiffSaysWhatElseIsAnother(t *testing.T) {
	t.Parallel()
	s := newShelf(t, asItIs)
	d := s.diff(`version: 1
people: {match: [phone, email]}
fields:
  language: {owner: hubspot}
accounts:
  hubspot:
    on_delete: erase
    duplicates: merge
    message: {language: it, text: "${direction_word}: ${text}"}
    contact: {first: full_name, mail: {field: email, direction: to}, lang: language}
`, app.DiffOptions{})
	want := []string{
		"the new mapping has no fields for zoho: crmsync would not start with it",
		"hubspot: on_delete becomes erase, it was unlink", "hubspot: duplicates become merge, which cannot be undone",
		"hubspot: what people enter in mail would not be taken over any more", "hubspot: the owner of language becomes hubspot, it was newest (line 10)",
		`hubspot: messages would be logged in another form: "ricevuto: Hello! (ricevuto)", "da noi: Hi. (da noi) (letto)", and not "Hello!", "Hi."`,
		"zoho: what people enter in First would not be taken over any more",
		"people: other rules say who is one person; they count for what comes from now on",
	}
	if !slices.Equal(d.Notes, want) {
		t.Errorf("notes %q, want %q", d.Notes, want)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, bad, "version: 1\naccounts: {hubspot: {contact: {first: ful_name, mail: emial}}}\n")
	_, err := app.DiffMapping(t.Context(), s.config, bad, app.DiffOptions{})
	if found, ok := errors.AsType[mapping.Findings](err); !ok || len(found) != 2 {
		t.Errorf("a mapping that is not valid: %v", err)
	}
}
