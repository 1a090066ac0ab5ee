package record_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/audit"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
	"crmsync/sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

const threeCRMs = `version: 1
accounts:
  zoho:
    on_delete: recreate
    contact: {Phone: phone, Name: full_name, Email: email}
  hubspot:
    contact: {phone: phone, name: full_name, email: email}
  bitrix24:
    contact: {PHONE: phone, NAME: full_name, EMAIL: email}
`

// town is a directory that three CRMs report to.
type town struct {
	*testing.T
	r       *record.Recorder
	db      *store.DB
	raw     func() (*sql.DB, error) // beside the store
	reports int
}

// inTown runs a test on both databases, with rules added to the mapping.
func inTown(t *testing.T, rules string, test func(town *town)) {
	t.Helper()
	inTownOf(t, threeCRMs+rules, test)
}

func inTownOf(t *testing.T, document string, test func(town *town)) {
	t.Helper()
	m, err := mapping.Compile("m.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	run := func(driver string, place func(t *testing.T) string, open func(place string) (*store.DB, error)) {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			where := place(t)
			db, err := open(where)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			raw := func() (*sql.DB, error) { return sql.Open("pgx", where) }
			if driver == "sqlite" {
				raw = func() (*sql.DB, error) {
					return sql.Open("sqlite", filepath.Join(where, "crmsync.db")+"?_pragma=busy_timeout(5000)")
				}
			}
			town := &town{T: t, db: db, raw: raw, r: &record.Recorder{
				Store: db, Region: "IT", Mapping: func() *mapping.Mapping { return m },
				DeliverTo: func(account string) []string {
					if account == "whatsapp" {
						return []string{"zoho", "hubspot", "bitrix24"}
					}
					return nil
				},
			}}
			test(town)
			town.audit()
		})
	}
	run("sqlite", func(t *testing.T) string { return t.TempDir() }, func(dir string) (*store.DB, error) { return store.OpenSQLite(ctx, dir) })
	run("postgres", func(t *testing.T) string { return storetest.Postgres(t) }, func(url string) (*store.DB, error) { return store.OpenPostgres(ctx, url) })
}

// audit makes sure that nothing is stranded: no debt that nobody will pay.
func (town *town) audit() {
	town.Helper()
	tally, err := town.db.Audit(ctx, audit.Period{}, "", false)
	if err != nil {
		town.Fatal(err)
	}
	for _, f := range tally.Findings {
		town.Errorf("the audit finds in %s: %s: %v", f.Account, f.Problem, f.Names)
	}
}

var inWords = map[string][3]string{"zoho": {"Phone", "Name", "Email"}, "hubspot": {"phone", "name", "email"}, "bitrix24": {"PHONE", "NAME", "EMAIL"}}

// sight is what a record shows: a phone number, a name and an e-mail address.
func (town *town) sight(account, id string, minute int, shows ...string) directory.Fact {
	town.reports++
	f := fact(fmt.Sprint("observed:", id, ":", town.reports), connectors.KindObserved, minute, nil)
	f.ID, f.Account = directory.FactID(account, f.Key), account
	f.Observed = &connectors.Observed{ID: id, Fields: map[string]string{}}
	for i, name := range inWords[account] {
		f.Observed.Fields[name] = ""
		if i < len(shows) {
			f.Observed.Fields[name] = shows[i]
		}
	}
	return f
}

func (town *town) see(account, id string, minute int, shows ...string) {
	town.Helper()
	apply(town.T, town.r, town.sight(account, id, minute, shows...))
}

// news is that of a record, as an account's webhook brings it.
func (town *town) news(account, id string) {
	town.Helper()
	town.reports++
	f := fact(fmt.Sprint("record:", id, ":", town.reports), connectors.KindRecord, 0, nil)
	f.ID, f.Account, f.Record = directory.FactID(account, f.Key), account, &connectors.RecordNews{ID: id, Change: connectors.RecordUpdated}
	apply(town.T, town.r, f)
}

func (town *town) gone(account, id string) {
	town.Helper()
	f := town.sight(account, id, 50)
	f.Observed.Gone, f.Observed.Reported, f.Observed.Fields = true, true, nil
	apply(town.T, town.r, f)
}

func (town *town) say(wamid, number string, minute int) {
	town.Helper()
	apply(town.T, town.r, message(wamid, minute, &connectors.Person{WAID: number, ProfileName: "anna 🌸"}, connectors.In, "text of "+wamid))
}

// link is whose record it is, with how the account stands to it.
func (town *town) link(account, id string) directory.Link {
	town.Helper()
	links, err := town.db.Shadows(ctx, account, []string{id})
	if err != nil {
		town.Fatal(err)
	}
	return links[id]
}

// whose is the contact of a record, 0 for nobody's.
func (town *town) whose(account, id string) int64 {
	town.Helper()
	return town.link(account, id).Entity.ID
}

// links are a contact's, by account.
func (town *town) links(contact int64) map[string]directory.Link {
	town.Helper()
	all := map[string]directory.Link{}
	town.tx(func(tx directory.Tx) error {
		list, err := tx.Links([]int64{contact})
		for _, l := range list {
			all[l.Account] = l
		}
		return err
	})
	return all
}

func (town *town) tx(f func(tx directory.Tx) error) {
	town.Helper()
	if err := town.db.Record(ctx, f); err != nil {
		town.Fatal(err)
	}
}

func (town *town) contact(id int64) *directory.Contact {
	town.Helper()
	var c *directory.Contact
	town.tx(func(tx directory.Tx) error {
		list, err := tx.Contacts([]int64{id})
		if err == nil && len(list) == 1 {
			c = list[0]
		}
		return err
	})
	if c == nil {
		town.Fatalf("there is no contact %d", id)
	}
	return c
}

// talker is the contact that a message belongs to.
func (town *town) talker(wamid string) int64 {
	town.Helper()
	return town.message(wamid).ContactID
}

// message is what is known of a message, nothing if there is none.
func (town *town) message(wamid string) (m directory.Message) {
	town.Helper()
	town.tx(func(tx directory.Tx) error {
		list, err := tx.Messages([]directory.MessageKey{{BusinessNumber: "1000", WAMID: wamid}})
		if err == nil && len(list) == 1 {
			m = *list[0]
		}
		return err
	})
	return m
}

// doubles are the duplicates, as "account: linked + others".
func (town *town) doubles() string {
	town.Helper()
	list, err := town.db.Doubles(ctx, "")
	if err != nil {
		town.Fatal(err)
	}
	text := ""
	for _, d := range list {
		text += d.Account + ": " + d.Linked + " +"
		for _, o := range d.Others {
			text += " " + o.Record
		}
		text += "\n"
	}
	return text
}

func (town *town) joins() []directory.Join {
	town.Helper()
	list, err := town.db.JoinList(ctx, false, 100)
	if err != nil {
		town.Fatal(err)
	}
	return list
}

func (town *town) wantDoubles(when, want string) {
	town.Helper()
	if got := town.doubles(); got != want {
		town.Errorf("%s the duplicates are %q, want %q", when, got, want)
	}
}

// One person has three records in Zoho. The first is linked, the others are
// listed; when the first is deleted another one takes its place.
func TestDuplicatesAreListedAndInherit(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.see("zoho", "z1", 0, "+39 333 123 4567", "Anna Rossi")
		town.see("zoho", "z2", 1, "333 1234567", "Anna R.")
		apply(town.T, town.r, town.sight("zoho", "z3", 2, "+393331234567"), town.sight("zoho", "z9", 2, "+393331234568", "Somebody Else"))
		town.wantDoubles("at first", "zoho: z1 + z2 z3\n")
		anna := town.whose("zoho", "z1")
		if town.whose("zoho", "z2") != 0 || town.whose("zoho", "z3") != 0 {
			town.Error("a duplicate is linked")
		}
		if got := town.contact(anna).Text("full_name"); got != "Anna Rossi" {
			town.Errorf("her name is %q: what a duplicate shows says nothing", got)
		}
		town.see("zoho", "z3", 3, "+393331234599", "Carla Verdi")
		town.wantDoubles("after one has become somebody else's,", "zoho: z1 + z2\n")
		if c := town.whose("zoho", "z3"); c == 0 || c == anna {
			town.Errorf("z3 is %d's", c)
		}
		town.gone("zoho", "z1")
		pulls, err := town.db.Pulls(ctx, "zoho", 10)
		if err != nil || len(pulls) != 1 || pulls[0].ID != "z2" {
			town.Errorf("to be read are %v (%v), want the duplicate", pulls, err)
		}
		town.see("zoho", "z2", 4, "+393331234567", "Anna R.")
		if town.whose("zoho", "z2") != anna {
			town.Error("the duplicate has not taken the place")
		}
		town.wantDoubles("at last", "")
	})
}

func TestADuplicateThatIsDeletedOrMergedIsNone(t *testing.T) {
	inTown(t, "", func(town *town) {
		for i, id := range []string{"h1", "h2", "h3"} {
			town.see("hubspot", id, i, "+393331234567", "Anna Rossi")
		}
		town.wantDoubles("at first", "hubspot: h1 + h2 h3\n")
		town.gone("hubspot", "h3")
		town.wantDoubles("after a deletion", "hubspot: h1 + h2\n")
		f := town.sight("hubspot", "h4", 5, "+393331234567", "Anna Rossi")
		f.Observed.Asked = "h2"
		apply(town.T, town.r, f) // h2 lives on as h4
		town.wantDoubles("after a merge with somebody unknown", "hubspot: h1 + h4\n")
		f = town.sight("hubspot", "h5", 6, "+393331234567", "Anna Rossi")
		f.Observed.Asked = "h1"
		anna := town.whose("hubspot", "h1")
		apply(town.T, town.r, f)
		g := town.sight("hubspot", "h5", 6, "+393331234567", "Anna Rossi")
		g.Observed.Asked = "h4"
		apply(town.T, town.r, g)
		town.wantDoubles("after the merge of both", "")
		if town.whose("hubspot", "h5") != anna {
			town.Error("the merged record is not hers")
		}
	})
}

// What follows a deletion is the account's own rule.
func TestADeletedRecordIsMadeAgainWhereTheMappingSaysSo(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.see("zoho", "z1", 0, "+393331234567", "Anna Rossi")
		town.see("hubspot", "h1", 0, "+393331234567", "Anna Rossi")
		anna := town.whose("zoho", "z1")
		town.gone("zoho", "z1")
		town.gone("hubspot", "h1")
		links := town.links(anna)
		if l := links["zoho"]; l.State != directory.Pending || l.RecordID != "" {
			town.Errorf("zoho, to be made again: %+v", l)
		}
		if l := links["hubspot"]; l.State != directory.Skipped || l.Reason != directory.Deleted {
			town.Errorf("hubspot, to be left alone: %+v", l)
		}
	})
}

// Somebody who is known from CRMs alone gets the number of another contact.
func TestACRMsContactThatGetsAKnownNumberIsThatPerson(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331234567", 0)
		town.see("zoho", "z1", 1, "+393331234567", "")
		town.see("zoho", "z2", 1, "+393339999999", "Anna Rossi", "anna@rossi.it")
		town.see("hubspot", "h2", 1, "+393339999999", "Anna Rossi", "anna@rossi.it")
		anna, other := town.whose("zoho", "z1"), town.whose("zoho", "z2")
		if anna == other || town.whose("hubspot", "h2") != other {
			town.Fatal("they are not two to begin with")
		}
		town.see("hubspot", "h2", 9, "+39 333 123 4567", "Anna Rossi", "anna@rossi.it")
		joins := town.joins()
		if len(joins) != 1 || joins[0].Survivor != anna || joins[0].Joined != other || joins[0].Why == "" || joins[0].Fact == "" || joins[0].Account != "hubspot" {
			town.Fatalf("joins %+v", joins)
		}
		c := town.contact(anna)
		if c.Text("full_name") != "Anna Rossi" || c.Text("email") != "anna@rossi.it" || c.Text("wa_id") != "393331234567" {
			town.Errorf("she is %+v", c.Fields)
		}
		if l := town.link("hubspot", "h2"); l.Entity.ID != anna || l.State != directory.Pending || l.Wanted != c.Version {
			town.Errorf("hubspot's record %+v, want it hers and pending", l)
		}
		if l := town.link("zoho", "z1"); l.Entity.ID != anna || l.State != directory.Pending || l.Wanted != c.Version {
			town.Errorf("zoho's record %+v, want it hers and pending", l)
		}
		town.wantDoubles("after the join", "zoho: z1 + z2\n")
		for account, l := range town.links(other) {
			if l.State != directory.Skipped || l.Reason != directory.Joined || l.RecordID != "" {
				town.Errorf("%s of the one that is no more: %+v", account, l)
			}
		}
		// Deliveries that were under way for it end so too.
		lease, _, err := town.db.Acquire(ctx, "zoho", "me", false, time.Minute)
		if err != nil {
			town.Fatal(err)
		}
		late := directory.Link{Account: "zoho", Entity: directory.Entity{Kind: directory.ContactEntity, ID: other}, RecordID: "z2", State: directory.Agreed, Agreed: 1}
		if still, err := town.db.Settle(ctx, "zoho", lease, []directory.Outcome{{Link: late, Loaded: 1}}); err != nil || len(still) != 0 {
			town.Errorf("still %v, %v", still, err)
		}
		if l := town.links(other)["zoho"]; l.State != directory.Skipped || l.Reason != directory.Joined || l.RecordID != "" {
			town.Errorf("after a late delivery: %+v", l)
		}
		// And whatever is heard of the old number is hers.
		town.say("w2", "393339999999", 10)
		if got := town.talker("w2"); got != anna {
			town.Errorf("a message from the other number is %d's, want %d's", got, anna)
		}
	})
}

// Somebody who talks on WhatsApp is not taken for another because of a number
// in a record.
func TestATalkerIsNotJoinedByANumber(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331234567", 0)
		town.say("w2", "393339999999", 0)
		town.see("zoho", "z2", 1, "+393339999999", "Anna Rossi")
		town.see("zoho", "z2", 2, "+393331234567", "Anna Rossi")
		if joins := town.joins(); len(joins) != 0 {
			town.Errorf("joins %+v", joins)
		}
	})
}

func TestAChangeOfNumberJoinsTwoKnownContacts(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331111111", 0)
		town.see("zoho", "z1", 1, "+393331111111", "Anna Rossi")
		town.say("w2", "393332222222", 4) // she writes from the new number before the news
		town.see("zoho", "z2", 4, "+393332222222")
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		is := town.talker("w2")
		if got := town.talker("w1"); got != is {
			town.Fatalf("the old message is %d's, the new one %d's", got, is)
		}
		c := town.contact(is)
		if c.Text("full_name") != "Anna Rossi" || c.Text("wa_id") != "393332222222" || c.Text("unread_count") != "2" {
			town.Errorf("she is %+v", c.Fields)
		}
		town.wantDoubles("then", "zoho: z2 + z1\n")
		for _, account := range []string{"zoho", "hubspot", "bitrix24"} {
			if l := town.links(is)[account]; l.State != directory.Pending || l.Wanted != c.Version {
				town.Errorf("%s: %+v", account, l)
			}
		}
		// The old number is given to somebody else.
		town.say("w3", "393331111111", 100)
		if town.talker("w3") == is {
			town.Error("the next owner of the old number is taken for her")
		}
	})
}

// A number that was in use long before is somebody else's conversation.
func TestANumberThatHadAnotherOwnerIsNotJoined(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w0", "393332222222", -60*24*90)
		town.say("w1", "393331111111", 0)
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		if town.talker("w0") == town.talker("w1") {
			town.Error("two people's conversations have become one")
		}
	})
}

// HubSpot merges records of two contacts.
func TestAMergeInTheAccountJoins(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331234567", 0)
		town.see("hubspot", "h1", 1, "+393331234567", "")
		town.see("hubspot", "h2", 1, "+393339999999", "Anna Rossi", "anna@rossi.it")
		town.see("bitrix24", "b2", 1, "+393339999999", "Anna Rossi", "anna@rossi.it")
		talker := town.whose("hubspot", "h1")
		f := town.sight("hubspot", "h2", 5, "+393331234567", "Anna Rossi", "anna@rossi.it")
		f.Observed.Asked = "h1"
		apply(town.T, town.r, f)
		if len(town.joins()) != 1 {
			town.Fatalf("joins %+v", town.joins())
		}
		for account, id := range map[string]string{"hubspot": "h2", "bitrix24": "b2"} {
			if got := town.whose(account, id); got != talker {
				town.Errorf("%s in %s is %d's, want %d's", id, account, got, talker)
			}
		}
		town.wantDoubles("then", "")
		if got := town.contact(talker).Text("email"); got != "anna@rossi.it" {
			town.Errorf("her e-mail address is %q", got)
		}
	})
}

// split undoes the newest join.
func (town *town) split() {
	town.Helper()
	id := town.joins()[0].ID
	town.tx(func(tx directory.Tx) error {
		_, err := record.Split(tx, id, "ops", start.Add(2*time.Hour))
		return err
	})
}

// What a join has moved goes back, and the two stay two.
func TestASplitUndoesAJoin(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331111111", 0)
		town.see("zoho", "z1", 1, "+393331111111", "Anna Rossi", "anna@rossi.it")
		town.see("hubspot", "h1", 1, "+393331111111", "Anna Rossi", "anna@rossi.it")
		town.say("w2", "393332222222", 4)
		town.see("zoho", "z2", 4, "+393332222222")
		was, is := town.talker("w1"), town.talker("w2")
		before := [2]*directory.Contact{town.contact(was), town.contact(is)}
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		if town.talker("w1") != is || town.whose("hubspot", "h1") != is {
			town.Fatal("they are not joined")
		}
		town.split()
		for i, id := range []int64{was, is} {
			c := town.contact(id)
			for name, v := range before[i].Fields {
				if got := c.Fields[name]; got.Text != v.Text {
					town.Errorf("%s of %d is %q, was %q", name, i, got.Text, v.Text)
				}
			}
			if len(c.Fields) != len(before[i].Fields) {
				town.Errorf("%d has the fields %v, had %v", i, c.Fields, before[i].Fields)
			}
			for account, l := range town.links(id) {
				if l.State != directory.Pending || l.Wanted != c.Version {
					town.Errorf("%s of %d: %+v, want version %d pending", account, i, l, c.Version)
				}
			}
		}
		if town.talker("w1") != was || town.talker("w2") != is || town.whose("zoho", "z1") != was || town.whose("hubspot", "h1") != was || town.whose("zoho", "z2") != is {
			town.Error("not everything is where it was")
		}
		town.wantDoubles("after the split", "")
		joins := town.joins()
		if len(joins) != 1 || joins[0].SplitBy != "ops" || joins[0].SplitAt.IsZero() {
			town.Errorf("joins %+v", joins)
		}
		// A person has said that they are two.
		again := fact("moved again", connectors.KindIdentity, 5, &connectors.Person{WAID: "393331111111"})
		again.Identity = moved.Identity
		again.At = moved.At.Add(-time.Minute)
		apply(town.T, town.r, again)
		if town.talker("w1") != was {
			town.Error("they have been joined again")
		}
		if err := town.db.Record(ctx, func(tx directory.Tx) error {
			_, err := record.Split(tx, joins[0].ID, "ops", start)
			return err
		}); !errors.Is(err, record.ErrNoJoin) {
			town.Errorf("split twice: %v", err)
		}
	})
}

// The account where the two had one record each, and one that knew of the other
// one only.
func TestASplitGivesBackTheRecords(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.see("zoho", "z1", 1, "+393331234567", "Anna Rossi")
		town.see("zoho", "z2", 1, "+393339999999", "Berta Bianchi", "berta@bianchi.it")
		town.see("hubspot", "h2", 1, "+393339999999", "Berta Bianchi", "berta@bianchi.it")
		town.see("bitrix24", "b2", 1, "+393339999999", "Berta Bianchi", "berta@bianchi.it")
		anna, berta := town.whose("zoho", "z1"), town.whose("zoho", "z2")
		town.see("hubspot", "h2", 9, "+393331234567", "Berta Bianchi", "berta@bianchi.it") // a slip of the pen
		if town.whose("hubspot", "h2") != anna || town.whose("bitrix24", "b2") != anna || town.contact(anna).Text("email") == "" {
			town.Fatal("they are not joined")
		}
		town.gone("zoho", "z2") // as a duplicate, by somebody who tidies up
		town.split()
		if town.whose("hubspot", "h2") != berta || town.whose("bitrix24", "b2") != berta || town.whose("zoho", "z1") != anna {
			town.Error("not all records are back")
		}
		if l := town.links(berta)["zoho"]; l.State != directory.Skipped || l.Reason != directory.Deleted {
			town.Errorf("the record that was deleted: %+v", l)
		}
		if links := town.links(anna); len(links) != 1 {
			town.Errorf("she is known in %v, want Zoho alone", links)
		}
		if got := town.contact(anna).Text("email"); got != "" {
			town.Errorf("her e-mail address is %q", got)
		}
	})
}

const byName = "people: {same_phone: by_name}\n"

// A family shares a telephone. Each of them is somebody, in every CRM, and the
// conversation is whose it was first.
func TestAFamilyOfOneNumber(t *testing.T) {
	inTown(t, byName, func(town *town) {
		town.say("w1", "393331234567", 0)
		town.see("zoho", "z1", 1, "+393331234567", "Anna  Rossi")
		town.see("zoho", "z2", 1, "+393331234567", "Carlo Rossi")
		town.see("hubspot", "h2", 2, "+393331234567", "CARLO ROSSI")
		town.see("hubspot", "h1", 2, "+393331234567", "anna rossi")
		anna, carlo := town.whose("zoho", "z1"), town.whose("zoho", "z2")
		if anna == carlo || carlo == 0 || town.whose("hubspot", "h1") != anna || town.whose("hubspot", "h2") != carlo {
			town.Fatalf("Anna is %d and %d, Carlo %d and %d", anna, town.whose("hubspot", "h1"), carlo, town.whose("hubspot", "h2"))
		}
		town.say("w2", "393331234567", 3)
		if town.talker("w1") != anna || town.talker("w2") != anna {
			town.Error("the conversation has changed hands")
		}
		town.see("zoho", "z3", 4, "+393331234567", "Carlo Rossi")
		town.wantDoubles("then", "zoho: z2 + z3\n")
		if joins := town.joins(); len(joins) != 0 {
			town.Errorf("joins %+v", joins)
		}
		a, c := town.contact(anna), town.contact(carlo)
		if a.CRMKey() == c.CRMKey() || c.Text("phone") != a.Text("phone") {
			town.Errorf("keys %q and %q; phones %q and %q", a.CRMKey(), c.CRMKey(), a.Text("phone"), c.Text("phone"))
		}
		// Where he has no record yet hers is not taken for his.
		town.gone("hubspot", "h2")
		town.tx(func(tx directory.Tx) error {
			return tx.Want([]directory.Want{{Account: "hubspot", Entity: directory.Entity{Kind: directory.ContactEntity, ID: carlo}, Version: c.Version + 1, Revive: true}})
		})
		work, err := town.db.Load(ctx, "hubspot", directory.ContactEntity, []int64{carlo})
		if err != nil || len(work) != 1 || len(work[0].Namesakes) != 1 || work[0].Namesakes[0].RecordID != "h1" {
			town.Errorf("his work in HubSpot is %+v (%v), want Anna's record as a namesake's", work, err)
		}
	})
}

// Without that rule all of them are one.
func TestSamePhoneSamePerson(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.see("zoho", "z1", 1, "+393331234567", "Anna Rossi")
		town.see("hubspot", "h2", 2, "+393331234567", "Carlo Rossi")
		if town.whose("zoho", "z1") != town.whose("hubspot", "h2") {
			town.Error("two people with one number")
		}
	})
}

// A family's number does not join two of them either.
func TestAKnownNumberUnderAnotherNameDoesNotJoin(t *testing.T) {
	inTown(t, byName, func(town *town) {
		town.see("zoho", "z1", 1, "+393331234567", "Anna Rossi")
		town.see("zoho", "z2", 1, "+393339999999", "Carlo Rossi")
		town.see("zoho", "z2", 2, "+393331234567", "Carlo Rossi")
		if joins := town.joins(); len(joins) != 0 {
			town.Errorf("joins %+v", joins)
		}
		carlo := town.whose("zoho", "z2")
		town.see("hubspot", "h2", 3, "+393331234567", "Carlo Rossi")
		if got := town.whose("hubspot", "h2"); got != carlo {
			town.Errorf("Carlo is %d in HubSpot and %d in Zoho CRM", got, carlo)
		}
	})
}

// A Zoho and a HubSpot record without numbers.
func TestSameEmailSamePersonWhereTheMappingSaysSo(t *testing.T) {
	inTown(t, "people: {match: [phone, email]}\n", func(town *town) {
		town.see("zoho", "z1", 1, "", "Anna Rossi", "Anna@Rossi.IT")
		town.see("hubspot", "h1", 2, "", "A. Rossi", " anna@rossi.it ")
		town.see("bitrix24", "b1", 2, "", "Nobody", "not an address")
		anna := town.whose("zoho", "z1")
		if anna == 0 || town.whose("hubspot", "h1") != anna || town.whose("bitrix24", "b1") != 0 {
			town.Fatalf("z1 is %d's, h1 %d's, b1 %d's", anna, town.whose("hubspot", "h1"), town.whose("bitrix24", "b1"))
		}
		if key := town.contact(anna).CRMKey(); key == "" {
			town.Error("she has no key for other accounts")
		}
		// Her record in Bitrix24 has the number too, by which somebody on WhatsApp is known.
		town.say("w1", "393331234567", 3)
		town.see("bitrix24", "b2", 4, "+393331234567", "Anna Rossi", "anna@rossi.it")
		talker := town.talker("w1")
		for account, id := range map[string]string{"zoho": "z1", "hubspot": "h1", "bitrix24": "b2"} {
			if got := town.whose(account, id); got != talker {
				town.Errorf("%s is %d's, want %d's", id, got, talker)
			}
		}
		if joins := town.joins(); len(joins) != 1 || joins[0].Survivor != talker {
			town.Errorf("joins %+v", joins)
		}
	})
}

func TestAnEmailNamesNobodyByItself(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.see("zoho", "z1", 1, "", "Anna Rossi", "anna@rossi.it")
		if got := town.whose("zoho", "z1"); got != 0 {
			town.Errorf("z1 is %d's", got)
		}
	})
}

// What waits for somebody who has become a part of another one finds a record to
// wait for, whatever the account did to that one's.
func TestNothingWaitsForNobodyAfterAJoin(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w2", "393332222222", 4)
		town.see("hubspot", "h2", 5, "+393332222222", "Anna Rossi")
		town.gone("hubspot", "h2")
		town.say("w1", "393331111111", 0)
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		if l := town.links(town.talker("w1"))["hubspot"]; l.State != directory.Pending {
			town.Errorf("hubspot: %+v, and is owed a message", l)
		}
	})
}

// A message of which nobody knows whether Zoho CRM has it is looked for in the
// record where it may be: that one stays in use.
func TestAJoinKeepsTheRecordWhereAMessageIsInDoubt(t *testing.T) {
	inTown(t, "", func(town *town) {
		town.say("w1", "393331111111", 0)
		town.see("zoho", "z1", 1, "+393331111111", "Anna Rossi")
		town.say("w2", "393332222222", 4)
		town.see("zoho", "z2", 4, "+393332222222")
		lease, _, err := town.db.Acquire(ctx, "zoho", "me", false, time.Minute)
		if err != nil {
			town.Fatal(err)
		}
		doubt := func(wamid string) {
			var id int64
			town.tx(func(tx directory.Tx) error {
				list, err := tx.Messages([]directory.MessageKey{{BusinessNumber: "1000", WAMID: wamid}})
				id = list[0].ID
				return err
			})
			if err := town.db.Doubt(ctx, "zoho", lease, []directory.Entity{{Kind: directory.MessageEntity, ID: id}}); err != nil {
				town.Fatal(err)
			}
		}
		settle := func(wamid string) {
			var e directory.Entity
			town.tx(func(tx directory.Tx) error {
				list, err := tx.Messages([]directory.MessageKey{{BusinessNumber: "1000", WAMID: wamid}})
				e = directory.Entity{Kind: directory.MessageEntity, ID: list[0].ID}
				return err
			})
			done := directory.Link{Account: "zoho", Entity: e, RecordID: "n", State: directory.Agreed, Agreed: 1}
			if _, err := town.db.Settle(ctx, "zoho", lease, []directory.Outcome{{Link: done, Loaded: 1}}); err != nil {
				town.Fatal(err)
			}
		}
		doubt("w1")
		doubt("w2") // both, for now
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		if town.talker("w1") == town.talker("w2") {
			town.Error("they are joined while nobody knows where the messages of both are")
		}
		if joins := town.joins(); len(joins) != 0 {
			town.Errorf("a join that is yet to be made is listed: %+v", joins)
		}
		settle("w2")
		town.news("hubspot", "h9") // any news will do
		town.wantDoubles("then", "zoho: z1 + z2\n")
		id := town.joins()[0].ID
		if err := town.db.Record(ctx, func(tx directory.Tx) error {
			_, err := record.Split(tx, id, "ops", start)
			return err
		}); err == nil {
			town.Error("they are split although it is not known where a message is")
		}
	})
}
