package record_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

const erasing = `version: 1
accounts:
  zoho:
    on_delete: erase
    contact: {Phone: phone, Name: full_name, Email: email}
  hubspot:
    contact: {phone: phone, name: full_name, email: email}
  bitrix24:
    contact: {PHONE: phone, NAME: full_name, EMAIL: email}
`

const (
	annas    = "393331234567"
	annasKey = "wamid.HBgMMzkzMzMxMjM0NTY3"
)

// everything is what all tables hold.
func (town *town) everything() string {
	town.Helper()
	db, err := town.raw()
	if err != nil {
		town.Fatal(err)
	}
	defer db.Close()
	tables := strings.Fields("facts contacts identities messages files links dead_letters duplicates joins pulls merges sweeps erased_records letter_actions")
	var all strings.Builder
	for _, table := range tables {
		town.table(&all, db, table)
	}
	return all.String()
}

func (town *town) table(all *strings.Builder, db *sql.DB, table string) {
	town.Helper()
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		town.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	for rows.Next() {
		row := make([]any, len(names))
		for i := range row {
			row[i] = new(any)
		}
		if err := rows.Scan(row...); err != nil {
			town.Fatal(err)
		}
		for i := range row {
			value := *row[i].(*any)
			if b, is := value.([]byte); is {
				value = string(b)
			}
			fmt.Fprintf(all, "%s.%s=%v\n", table, names[i], value)
		}
	}
	if err := rows.Err(); err != nil {
		town.Fatal(err)
	}
}

// wantNothingOf makes sure that texts are in no table.
func (town *town) wantNothingOf(texts ...string) {
	town.Helper()
	for line := range strings.Lines(town.everything()) {
		for _, text := range texts {
			if strings.Contains(line, text) {
				town.Errorf("there is still %q in %s", text, line)
			}
		}
	}
}

func (town *town) write(minute int, text string) {
	town.Helper()
	f := message(annasKey+fmt.Sprint(minute), minute, &connectors.Person{WAID: annas, ProfileName: "anna 🌸", UserID: "IT.anna"}, connectors.In, text)
	f.Raw = []byte(`{"text":"` + text + `"}`)
	f.Message.Media = &connectors.Media{ID: "media of anna", MIMEType: "image/jpeg", Filename: "anna.jpg"}
	apply(town.T, town.r, f)
}

// settled stores that an account has something of an entity now.
func (town *town) settled(account string, e directory.Entity, record string, shadow map[string]string) {
	town.Helper()
	lease, _, err := town.db.Acquire(ctx, account, "me", false, time.Minute)
	if err != nil {
		town.Fatal(err)
	}
	work, err := town.db.Load(ctx, account, e.Kind, []int64{e.ID})
	if err != nil || len(work) != 1 {
		town.Fatalf("%s owes %d of %s, error %v", account, len(work), e, err)
	}
	before := work[0].Link
	done := directory.Link{Account: account, Entity: e, RecordID: record, Shadow: shadow, State: directory.Agreed, Agreed: before.Wanted}
	if _, err := town.db.Settle(ctx, account, lease, []directory.Outcome{{Link: done, Before: before, Loaded: before.Wanted}}); err != nil {
		town.Fatal(err)
	}
}

// paid stores that an account has deleted the record of an entity.
func (town *town) paid(account string, e directory.Entity) {
	town.Helper()
	lease, _, err := town.db.Acquire(ctx, account, "me", false, time.Minute)
	if err != nil {
		town.Fatal(err)
	}
	work, err := town.db.Load(ctx, account, e.Kind, []int64{e.ID})
	if err != nil || len(work) != 1 || !work[0].Link.Erase {
		town.Fatalf("%s owes %+v of %s, error %v", account, work, e, err)
	}
	l := work[0].Link
	done := directory.Link{Account: account, Entity: e, State: directory.Skipped, Reason: directory.Erased}
	if _, err := town.db.Settle(ctx, account, lease, []directory.Outcome{{Link: done, Before: l, Loaded: l.Wanted}}); err != nil {
		town.Fatal(err)
	}
}

// anna is somebody whom all CRMs know, with a message and a file, who was once two
// contacts.
func (town *town) anna() (contact, message directory.Entity) {
	town.Helper()
	town.see("zoho", "z1", 0, "+"+annas, "Anna Rossi", "anna@example.com")
	town.see("hubspot", "h1", 0, "+"+annas, "Anna Rossi", "anna@example.com")
	town.see("bitrix24", "b1", 0, "+393339999999", "Anna Rossi", "anna@example.com")
	town.write(1, "hello from anna")
	town.see("bitrix24", "b1", 2, "+"+annas, "Anna Rossi", "anna@example.com") // which joins them
	contact = directory.Entity{Kind: directory.ContactEntity, ID: town.whose("zoho", "z1")}
	message = directory.Entity{Kind: directory.MessageEntity, ID: town.message(annasKey + "1").ID}
	town.settled("hubspot", message, "m1", map[string]string{"text": "hello from anna"})
	if len(town.joins()) != 1 || town.whose("bitrix24", "b1") != contact.ID {
		town.Fatalf("joins %+v", town.joins())
	}
	return contact, message
}

var traces = []string{annas, "MzkzMzMxMjM0NTY3", "3339999999", "Anna", "Rossi", "anna", "hello", "IT.anna", "image/jpeg"}

// Somebody deletes Anna in Zoho CRM, whose rule is that people are erased then.
// Nothing is left of her but what the other accounts owe.
func TestWhoIsDeletedIsErasedWhereTheMappingSaysSo(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		anna, hello := town.anna()
		town.gone("zoho", "z1")
		town.wantNothingOf(traces...)
		c := town.contact(anna.ID)
		if c == nil || !c.Erased.Is() || c.Erased.Account != "zoho" || c.Erased.Record != "z1" || len(c.Fields) != 0 {
			town.Errorf("the contact: %+v", c)
		}
		links := town.links(anna.ID)
		for account, record := range map[string]string{"hubspot": "h1", "bitrix24": "b1"} {
			if l := links[account]; l.State != directory.Pending || !l.Erase || l.RecordID != record || len(l.Shadow) > 0 {
				town.Errorf("%s: %+v, want %s to be deleted", account, l, record)
			}
		}
		if l := links["zoho"]; l.State != directory.Skipped || l.Reason != directory.Erased || l.RecordID != "" {
			town.Errorf("zoho: %+v", l)
		}
		due, err := town.db.Due(ctx, "hubspot", 10)
		if err != nil || !slices.Contains(due, anna) || !slices.Contains(due, hello) || len(due) != 2 {
			town.Errorf("hubspot has to do %v, error %v", due, err)
		}
		if due, err := town.db.Due(ctx, "bitrix24", 10); err != nil || !slices.Equal(due, []directory.Entity{anna}) {
			town.Errorf("bitrix24 has to do %v, error %v", due, err)
		}
		town.audit()
		town.paid("hubspot", anna)
		town.paid("hubspot", hello)
		town.paid("bitrix24", anna)
		for account, l := range town.links(anna.ID) {
			if l.State != directory.Skipped || l.Reason != directory.Erased || l.RecordID != "" {
				town.Errorf("%s in the end: %+v", account, l)
			}
		}
		town.wantNothingOf(traces...)
	})
}

// A record that is only not found may be hidden. Nobody is erased for that.
func TestWhatIsOnlyNotFoundErasesNobody(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		anna, _ := town.anna()
		f := town.sight("zoho", "z1", 50)
		f.Observed.Gone, f.Observed.Fields = true, nil
		apply(town.T, town.r, f)
		if c := town.contact(anna.ID); c == nil || c.Erased.Is() || c.Text("email") == "" {
			town.Errorf("the contact: %+v", c)
		}
		if l := town.links(anna.ID)["zoho"]; l.RecordID != "" || l.Reason != directory.Deleted {
			town.Errorf("zoho: %+v, want it unlinked", l)
		}
	})
}

// Whatever comes late about somebody who was erased brings nobody back: reports
// that were read before, what is repeated, statuses and edits. Who writes again is
// somebody new.
func TestNothingBringsAnErasedPersonBack(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		anna, _ := town.anna()
		late := []directory.Fact{
			town.sight("hubspot", "h1", 3, "+"+annas, "Anna Bianchi"),
			town.sight("zoho", "z1", 3, "+"+annas, "Anna Bianchi"),
			status(annasKey+"1", "read", 4, &connectors.Person{WAID: annas}),
		}
		edit := message(annasKey+"edit", 4, &connectors.Person{WAID: annas}, connectors.In, "hello, edited")
		edit.Message.Target, edit.Raw = annasKey+"1", []byte(`"hello, edited"`)
		late = append(late, edit)
		town.gone("zoho", "z1")
		bring := func(when string) {
			town.Helper()
			for range 2 {
				apply(town.T, town.r, late...)
				town.write(1, "hello from anna") // once more
				town.gone("zoho", "z1")
			}
			town.wantNothingOf(traces...)
			if n := town.people(); n != 0 {
				town.Errorf("%s there are %d people", when, n)
			}
		}
		bring("before the records are deleted")
		if l := town.links(anna.ID)["hubspot"]; l.State != directory.Pending || !l.Erase || l.RecordID != "h1" {
			town.Errorf("hubspot: %+v", l)
		}
		town.gone("hubspot", "h1") // by somebody else
		town.paid("hubspot", anna)
		town.paid("bitrix24", anna)
		bring("afterwards")
		town.write(9, "here I am")
		if n := town.people(); n != 1 || town.talker(annasKey+"9") == anna.ID {
			town.Errorf("%d people, the message is contact %d's", n, town.talker(annasKey+"9"))
		}
		// Somebody takes the record out of the recycle bin.
		back := town.sight("hubspot", "h1", 30, "+"+annas, "Anna Rossi")
		back.Observed.Read = time.Now().Add(time.Hour)
		apply(town.T, town.r, back)
		if got := town.whose("hubspot", "h1"); got != town.talker(annasKey+"9") {
			town.Errorf("the record is %d's", got)
		}
	})
}

// people are the contacts that were not erased.
func (town *town) people() (n int) {
	town.Helper()
	db, err := town.raw()
	if err != nil {
		town.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM contacts WHERE erased_at IS NULL").Scan(&n); err != nil {
		town.Fatal(err)
	}
	return n
}

// Whoever deletes one of two records tidies up. Who deletes the last one means the
// person, of whom the other accounts delete all records that are known.
func TestADuplicateThatIsDeletedErasesNobody(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		anna, _ := town.anna()
		town.see("zoho", "z2", 3, "+"+annas, "Anna R.")
		town.see("hubspot", "h2", 3, "+"+annas, "Anna R.")
		town.gone("zoho", "z1")
		if c := town.contact(anna.ID); c.Erased.Is() {
			town.Fatal("she is erased, and has another record")
		}
		town.see("zoho", "z2", 4, "+"+annas, "Anna R.")
		town.gone("zoho", "z2")
		if c := town.contact(anna.ID); !c.Erased.Is() {
			town.Fatal("she has no record any more, and is not erased")
		}
		town.paid("hubspot", anna)
		if l := town.links(anna.ID)["hubspot"]; l.State != directory.Pending || !l.Erase || l.RecordID != "h2" {
			town.Errorf("hubspot: %+v, want h2 to be deleted next", l)
		}
		town.paid("hubspot", anna)
		town.wantDoubles("in the end", "")
		town.wantNothingOf(traces...)
	})
}

// Who writes in the same moment is not erased with what there was.
func TestAMessageBehindADeletionIsOfSomebodyNew(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		anna, _ := town.anna()
		gone := town.sight("zoho", "z1", 50)
		gone.Observed.Gone, gone.Observed.Reported, gone.Observed.Fields = true, true, nil
		again := message("w2", 51, &connectors.Person{WAID: annas}, connectors.In, "here I am")
		apply(town.T, town.r, gone, again)
		if who := town.talker("w2"); who == anna.ID || who == 0 || town.contact(who).Erased.Is() {
			town.Errorf("the message is contact %d's", who)
		}
	})
}

// A worker that is just writing about somebody who is erased meanwhile stores
// nothing but what has to be deleted.
func TestWhatIsWrittenWhileSomebodyIsErasedIsDeleted(t *testing.T) {
	inTownOf(t, erasing, func(town *town) {
		town.see("zoho", "z1", 0, "+"+annas, "Anna Rossi")
		town.write(1, "hello from anna")
		anna := directory.Entity{Kind: directory.ContactEntity, ID: town.whose("zoho", "z1")}
		hello := directory.Entity{Kind: directory.MessageEntity, ID: town.message(annasKey + "1").ID}
		lease, _, err := town.db.Acquire(ctx, "hubspot", "me", false, time.Minute)
		if err != nil {
			town.Fatal(err)
		}
		var outcomes [][]directory.Outcome
		for _, e := range []directory.Entity{anna, hello} {
			work, err := town.db.Load(ctx, "hubspot", e.Kind, []int64{e.ID})
			if err != nil || len(work) != 1 {
				town.Fatal(len(work), err)
			}
			done := directory.Link{Account: "hubspot", Entity: e, RecordID: "r" + string(e.Kind), Shadow: map[string]string{"x": "hello from anna"}, State: directory.Agreed, Agreed: 1}
			outcomes = append(outcomes, []directory.Outcome{{Link: done, Before: work[0].Link, Loaded: work[0].Link.Wanted}})
		}
		town.gone("zoho", "z1")
		for _, o := range outcomes {
			still, err := town.db.Settle(ctx, "hubspot", lease, o)
			if err != nil || !slices.Equal(still, []directory.Entity{o[0].Link.Entity}) {
				town.Errorf("still to be done: %v, error %v", still, err)
			}
		}
		town.wantNothingOf(traces...)
		if l := town.links(anna.ID)["hubspot"]; !l.Erase || l.RecordID != "rcontact" || l.State != directory.Pending {
			town.Errorf("hubspot: %+v", l)
		}
		town.paid("hubspot", anna)
		town.paid("hubspot", hello)
	})
}
