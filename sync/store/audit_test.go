package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

const events = "EVENTS of today"

// busy records a day's work for HubSpot: 12 people and messages, one of them
// twice, statuses, a file, what nobody acts upon, what cannot be read, and news;
// and delivers some of it. Messages 1 to 4 are agreed, 5 is dead, 6 skipped.
func busy(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.CountEvents(ctx, events, 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Feeds(ctx, map[string][]string{"whatsapp": {"hubspot"}}); err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	var batch []directory.Fact
	add := func(kind connectors.Kind, key string, fill func(f *directory.Fact)) {
		number++
		f := fact("whatsapp/" + key)
		f.Kind, f.BusinessNumber, f.Event = kind, "1", directory.Event{Stream: events, Number: number}
		fill(&f)
		batch = append(batch, f)
	}
	message := func(n int) {
		add(connectors.KindMessage, fmt.Sprintf("message:1:w%d", n), func(f *directory.Fact) {
			f.Person = &connectors.Person{WAID: fmt.Sprintf("1631555000%d", n)}
			f.Message = &connectors.Message{WAMID: fmt.Sprintf("w%d", n), Direction: connectors.In, Text: "hello"}
			if n == 7 {
				f.Message.Media = &connectors.Media{ID: "9", MIMEType: "image/png"}
			}
		})
	}
	r := recorder(db)
	r.WantsFiles = func(string) bool { return true }
	flush := func() {
		t.Helper()
		if _, err := r.Record(ctx, batch); err != nil {
			t.Fatal(err)
		}
		batch = nil
	}
	for n := 1; n <= 12; n++ {
		message(n)
		flush()
	}
	message(3) // again
	add(connectors.KindStatus, "status:1:w20:sent", func(f *directory.Fact) {
		f.Person = &connectors.Person{WAID: "16315550020"}
		f.Status = &connectors.Status{WAMID: "w20", Status: "sent"}
	})
	add(connectors.KindOther, "other:1", func(*directory.Fact) {})
	add(connectors.KindMalformed, "malformed:1", func(f *directory.Fact) { f.Reason, f.Raw = "entry is missing", []byte("{}") })
	flush()
	add(connectors.KindRecord, "record:1", func(*directory.Fact) {})
	flush()

	holder := lease(t, db, "a")
	deliver := func(kind directory.EntityKind, id int64, finish func(l *directory.Link)) {
		t.Helper()
		work, ok := load(t, db, kind, id)
		if !ok {
			t.Fatalf("%s %d is not owed", kind, id)
		}
		link, version := work.Link, work.Link.Wanted
		link.State, link.RecordID, link.Agreed = directory.Agreed, fmt.Sprintf("%s-%d", kind, id), version
		finish(&link)
		settle(t, db, holder, link, version)
	}
	for id := int64(1); id <= 8; id++ {
		deliver(directory.ContactEntity, id, func(*directory.Link) {})
	}
	for id := int64(1); id <= 4; id++ {
		deliver(directory.MessageEntity, id, func(*directory.Link) {})
	}
	deliver(directory.MessageEntity, 5, func(l *directory.Link) { l.State, l.RecordID, l.Agreed = directory.Dead, "", 0 })
	dead := deadletter.Letter{
		ID: "hubspot.message.5", Account: "hubspot", Entity: directory.Entity{Kind: directory.MessageEntity, ID: 5},
		Class: connectors.Rejected, Reason: "refused", State: deadletter.Open, CreatedAt: time.Now(), UpdatedAt: time.Now(), DueAt: time.Now(),
	}
	if err := db.PutLetters(ctx, []deadletter.Letter{dead}); err != nil {
		t.Fatal(err)
	}
	deliver(directory.MessageEntity, 6, func(l *directory.Link) { l.State, l.RecordID, l.Reason = directory.Skipped, "", "not wanted" })
	deliver(directory.MessageEntity, 7, func(*directory.Link) {})
}

func audited(t *testing.T, db *store.DB, p audit.Period, held audit.Held) *audit.Report {
	t.Helper()
	tally, err := db.Audit(ctx, p, held.Stream, held.Letters > 0)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Close(p, tally, &held, "", []string{"hubspot"})
}

// twoWait is what EVENTS holds while two more facts wait.
var twoWait = audit.Held{Stream: events, First: 18, Last: 19, Waiting: 2, Facts: []audit.HeldFacts{{Account: "whatsapp", Kind: "message", N: 2}}}

func TestTheSumsCloseAfterABusyDay(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		busy(t, db)
		r := audited(t, db, audit.Period{}, twoWait)
		if !r.Closes {
			t.Errorf("it does not close: %+v", r.Findings)
		}
		if want := (audit.Events{Known: true, Stored: 19, Recorded: 17, Waiting: 2}); r.Events != want {
			t.Errorf("events %+v, want %+v", r.Events, want)
		}
		s := r.Sources[0]
		if s.Received != 17 || s.Recorded != 15 || *s.Waiting != 2 || s.Applied != 13 || s.Skipped != 1 || s.Unreadable != 1 || s.SkippedByReason["not acted upon"] != 1 {
			t.Errorf("source %+v", s)
		}
		a := r.Accounts[0]
		if want := (audit.Counts{Recorded: 27, Agreed: 13, Pending: 12, DeadLettered: 1, Skipped: 1}); a.Counts != want || !a.Closes() || a.SkippedByReason["not wanted"] != 1 {
			t.Errorf("account %+v, want %+v", a, want)
		}
		for kind, want := range map[directory.EntityKind]audit.Counts{
			directory.ContactEntity: {Recorded: 13, Agreed: 8, Pending: 5},
			directory.MessageEntity: {Recorded: 13, Agreed: 5, Pending: 6, DeadLettered: 1, Skipped: 1},
			directory.FileEntity:    {Recorded: 1, Pending: 1},
		} {
			if a.Entities[kind] != want {
				t.Errorf("%s %+v, want %+v", kind, a.Entities[kind], want)
			}
		}
		if a.OldestPending.IsZero() || time.Since(a.OldestPending) > time.Minute {
			t.Errorf("oldest pending %v", a.OldestPending)
		}
		before := audited(t, db, audit.Period{Until: time.Now().Add(-time.Hour)}, twoWait)
		if !before.Closes || len(before.Sources) != 1 || before.Sources[0].Received != 0 || before.Accounts[0].Recorded != 0 || !before.Accounts[0].OldestPending.IsZero() {
			t.Errorf("an hour ago: %+v %+v", before.Sources, before.Accounts)
		}
		if last := audited(t, db, audit.Period{Since: time.Now().Add(-time.Hour)}, twoWait); last.Accounts[0].Counts != a.Counts || last.Sources[0].Received != s.Received {
			t.Errorf("of the last hour: %+v", last.Accounts)
		}
	})
}

// Whatever is broken behind the program's back is found, by its name, and
// nothing else is.
func TestWhatIsBrokenByHandIsFound(t *testing.T) {
	breakages := []struct {
		world, statement, account, problem, name string
	}{
		{"a message's link is deleted", "DELETE FROM links WHERE kind = 'message' AND entity_id = 2", "hubspot", "owed nothing", "message 2"},
		{"a contact's link is deleted", "DELETE FROM links WHERE kind = 'contact' AND entity_id = 3", "hubspot", "owed nothing", "contact 3"},
		{"a file's link is deleted", "DELETE FROM links WHERE kind = 'file' AND entity_id = 7", "hubspot", "owed nothing", "file 7"},
		{"a message waits for a contact that was skipped", "UPDATE links SET state = 'skipped', reason = 'x' WHERE kind = 'contact' AND entity_id = 9", "hubspot", "waiting for a contact", "message 9"},
		{"a link is in no state", "UPDATE links SET state = 'stuck' WHERE kind = 'message' AND entity_id = 8", "hubspot", "no known state", "message 8"},
		{"a link claims an agreement that is not", "UPDATE links SET agreed = agreed - 1 WHERE kind = 'contact' AND entity_id = 1", "hubspot", "older version", "contact 1"},
		{"a link claims an agreement without a record", "UPDATE links SET record_id = '' WHERE kind = 'message' AND entity_id = 4", "hubspot", "without a record", "message 4"},
		{"a delivery is put off for ever", "UPDATE links SET next_attempt = '2999-01-01 00:00:00+00:00' WHERE kind = 'message' AND entity_id = 10", "hubspot", "put off", "message 10"},
		{"a change is forgotten", "UPDATE contacts SET version = version + 1 WHERE id = 4", "hubspot", "not owed the change", "contact 4"},
		{"a message's change is forgotten", "UPDATE messages SET version = version + 1 WHERE id = 11", "hubspot", "not owed the change", "message 11"},
		{"a link is skipped for no reason", "UPDATE links SET reason = '' WHERE kind = 'message' AND entity_id = 6", "hubspot", "nothing says why", "message 6"},
		{"a letter is closed behind its back", "UPDATE dead_letters SET state = 'discarded' WHERE entity_id = 5", "hubspot", "no open letter", "message 5"},
		{"a dead link comes to life, its letter stays", "UPDATE dead_letters SET state = 'open', entity_id = 1, id = 'hubspot.message.1' WHERE entity_id = 5", "hubspot", "on the worklist", "message 1"},
		{"a message is deleted", "DELETE FROM messages WHERE id = 12", "whatsapp", "nothing is there", "fact "},
		{"a letter of an unreadable fact is deleted", "DELETE FROM dead_letters WHERE kind = ''", "whatsapp", "no letter says so", "fact "},
		{"a contact is deleted", "DELETE FROM contacts WHERE id = 2", "whatsapp", "contact that is not there", "message 2"},
		{"a fact is deleted", "DELETE FROM facts WHERE kind = 'status'", "", "no fact says so", ""},
		{"a fact has an outcome of its own", "UPDATE facts SET outcome = 'whatever' WHERE kind = 'other'", "whatsapp", "neither applied", ""},
		{"events are forgotten", "UPDATE recorded_events SET last = last - 2", "", "neither recorded nor waiting", "events 16 to 17"},
	}
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		busy(t, db)
		known := audited(t, db, audit.Period{}, twoWait)
		for _, b := range breakages {
			if n, err := db.Exec(b.statement); err != nil || n == 0 {
				t.Fatalf("%s: %d rows, error %v", b.world, n, err)
			}
			r := audited(t, db, audit.Period{}, twoWait)
			if r.Closes {
				t.Errorf("%s: it closes", b.world)
			}
			found := slices.ContainsFunc(r.Findings, func(f audit.Finding) bool {
				named := b.name == "" || slices.ContainsFunc(f.Names, func(n string) bool { return strings.HasPrefix(n, b.name) })
				was := slices.ContainsFunc(known.Findings, func(k audit.Finding) bool {
					return k.Account == f.Account && k.Problem == f.Problem && k.Count == f.Count
				})
				return f.Account == b.account && strings.Contains(f.Problem, b.problem) && named && !was
			})
			if !found {
				t.Errorf("%s: not found in %+v", b.world, r.Findings)
			}
			for _, f := range r.Findings {
				if text := fmt.Sprint(f); strings.Contains(text, "1631555") || strings.Contains(text, "hello") || strings.Contains(text, ":w") {
					t.Errorf("%s: it gives away %s", b.world, text)
				}
			}
			known = r
		}
		a := known.Accounts[0]
		if a.Closes() {
			t.Errorf("the sums close: %+v", a.Counts)
		}
	})
}

// What a batch holds twice, what comes again and what comes out of order is
// noted once.
func TestEventsAreNotedOnceHoweverTheyCome(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		pass := func(numbers ...uint64) []audit.Range {
			t.Helper()
			list := make([]directory.Event, len(numbers))
			for i, n := range numbers {
				list[i] = directory.Event{Stream: events, Number: n}
			}
			record(t, db, func(tx directory.Tx) error { return tx.Passed(list) })
			tally, err := db.Audit(ctx, audit.Period{}, events, false)
			if err != nil {
				t.Fatal(err)
			}
			if tally.Owed != 0 {
				t.Errorf("after %v: %d facts are owed", numbers, tally.Owed)
			}
			return tally.Recorded
		}
		if err := db.CountEvents(ctx, events, 5); err != nil { // four went before
			t.Fatal(err)
		}
		if err := db.CountEvents(ctx, events, 9); err != nil { // the next start
			t.Fatal(err)
		}
		for _, step := range []struct {
			numbers []uint64
			want    []audit.Range
		}{
			{[]uint64{5, 6, 6, 7}, []audit.Range{{First: 0, Last: 7}}},
			{[]uint64{6, 7}, []audit.Range{{First: 0, Last: 7}}},
			{[]uint64{12, 10}, []audit.Range{{First: 0, Last: 7}, {First: 10, Last: 10}, {First: 12, Last: 12}}},
			{[]uint64{11}, []audit.Range{{First: 0, Last: 7}, {First: 10, Last: 11}, {First: 12, Last: 12}}},
			{[]uint64{7, 8, 9, 10}, []audit.Range{{First: 0, Last: 11}, {First: 12, Last: 12}}},
			{[]uint64{13, 14}, []audit.Range{{First: 0, Last: 11}, {First: 12, Last: 14}}},
		} {
			if got := pass(step.numbers...); !slices.Equal(got, step.want) {
				t.Errorf("after %v: %v, want %v", step.numbers, got, step.want)
			}
		}
	})
}

// An account that was added later owes nothing of what came before, and one
// that was taken away nothing of what came after.
func TestWhatWasNotForAnAccountIsNotMissing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		busy(t, db)
		time.Sleep(2 * time.Millisecond)
		if err := db.Feeds(ctx, map[string][]string{"whatsapp": {"zoho"}}); err != nil {
			t.Fatal(err)
		}
		if r := audited(t, db, audit.Period{}, twoWait); !r.Closes {
			t.Errorf("it does not close: %+v", r.Findings)
		}
		f := fact("whatsapp/message:1:late")
		f.BusinessNumber, f.Person = "1", &connectors.Person{WAID: "16315550099"}
		f.Message = &connectors.Message{WAMID: "late", Direction: connectors.In, Text: "x"}
		if _, err := recorder(db).Record(ctx, []directory.Fact{f}); err != nil { // for hubspot still
			t.Fatal(err)
		}
		r := audited(t, db, audit.Period{}, twoWait)
		if len(r.Findings) != 1 || r.Findings[0].Account != "zoho" || !slices.Equal(r.Findings[0].Names, []string{"contact 14", "message 14"}) {
			t.Errorf("findings %+v, want what zoho is owed nothing of", r.Findings)
		}
	})
}

// A loss that somebody has settled is none any more; one in a stream that was
// replaced is named by where that ended.
func TestALossIsSettledOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		busy(t, db)
		if n, err := db.Exec("UPDATE recorded_events SET last = last - 2"); err != nil || n == 0 {
			t.Fatalf("%d rows, error %v", n, err)
		}
		settle := func(held audit.Held) {
			t.Helper()
			lost := audited(t, db, audit.Period{}, held)
			if lost.Closes || len(lost.Losses) != 1 {
				t.Fatalf("closes %v, %+v", lost.Closes, lost.Losses)
			}
			for range 2 {
				if err := db.SettleLosses(ctx, lost.Losses, "anna", "the disk of node 2"); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(twoWait)
		r := audited(t, db, audit.Period{}, twoWait)
		if want := (audit.Events{Known: true, Stored: 19, Recorded: 15, Waiting: 2, Settled: 2}); !r.Closes || r.Events != want {
			t.Errorf("closes %v, %+v, want %+v", r.Closes, r.Events, want)
		}

		later := audit.Held{Stream: "EVENTS of tomorrow", First: 1}
		if err := db.CountEvents(ctx, later.Stream, later.First); err != nil {
			t.Fatal(err)
		}
		r = audited(t, db, audit.Period{}, later)
		if r.Closes || len(r.Findings) != 1 || !slices.Equal(r.Findings[0].Names, []string{"whatever came after event 15 of " + events}) {
			t.Errorf("findings %+v", r.Findings)
		}
		settle(later)
		if r = audited(t, db, audit.Period{}, later); !r.Closes || len(r.Notes) != 2 {
			t.Errorf("closes %v, notes %q", r.Closes, r.Notes)
		}
	})
}

// A fact that the recorder passes over is missed, however its event came, and
// what had come before or is not stored is not.
func TestAFactThatIsPassedOverIsMissed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		saved := func(ids ...string) []directory.FactOutcome {
			list := make([]directory.FactOutcome, len(ids))
			for i, id := range ids {
				f := fact(id)
				list[i] = directory.FactOutcome{Fact: &f, Outcome: directory.Applied}
			}
			return list
		}
		step := func(events []directory.Event, save []directory.FactOutcome, missing int64) {
			t.Helper()
			record(t, db, func(tx directory.Tx) error {
				var asked []directory.Fact
				for i := range events {
					if events[i].Stream = "EVENTS of today"; events[i].Fact != "" {
						asked = append(asked, fact(events[i].Fact))
					}
				}
				if _, err := tx.Known(asked); err != nil {
					return err
				}
				return errors.Join(tx.Passed(events), tx.SaveFacts(save))
			})
			tally, err := db.Audit(ctx, audit.Period{}, "EVENTS of today", false)
			if err != nil || tally.Owed-tally.Kept != missing {
				t.Errorf("%v: %d owed, %d kept (error %v), want %d missing", events, tally.Owed, tally.Kept, err, missing)
			}
		}
		// What was recorded before anybody counted is as it should be.
		record(t, db, func(tx directory.Tx) error { return tx.SaveFacts(saved("a/1", "a/2", "a/3")) })
		if err := db.CountEvents(ctx, "EVENTS of today", 6); err != nil {
			t.Fatal(err)
		}
		step(nil, nil, 0)
		step([]directory.Event{{Number: 6, Fact: "a/6"}, {Number: 7, Fact: "a/6"}, {Number: 8}, {Number: 9, Fact: "a/1"}}, saved("a/6"), 0)
		step([]directory.Event{{Number: 8}, {Number: 9, Fact: "a/1"}, {Number: 10, Fact: "a/10"}}, saved("a/10"), 0) // some come again
		step([]directory.Event{{Number: 13, Fact: "a/13"}}, saved("a/13"), 0)                                        // out of order
		step([]directory.Event{{Number: 11, Fact: "a/11"}, {Number: 12, Fact: "a/13"}}, saved("a/11"), 0)
		step([]directory.Event{{Number: 14, Fact: "a/14"}, {Number: 15, Fact: "a/15"}}, saved("a/15"), 1)
		step([]directory.Event{{Number: 16, Fact: "a/16"}}, saved("a/16"), 1)
		if err := db.CountEvents(ctx, "EVENTS of tomorrow", 1); err != nil {
			t.Fatal(err)
		}
		step(nil, nil, 1) // also when the stream is replaced
	})
}

// A broker that was put back to an earlier state gives its numbers again; what
// was recorded does not stand for what comes under them.
func TestAStreamThatWasSetBackIsNoProof(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		busy(t, db)
		for stored, want := range map[uint64]bool{17: false, 19: false} {
			if back, err := db.SetBack(ctx, events, stored); back != want || err != nil {
				t.Errorf("with %d stored: %v, error %v", stored, back, err)
			}
		}
		if back, err := db.SetBack(ctx, events, 12); !back || err != nil {
			t.Fatalf("set back %v, error %v", back, err)
		}
		if err := db.CountEvents(ctx, events, 10); err != nil { // 10 to 12 wait again
			t.Fatal(err)
		}
		again := audit.Held{Stream: events, First: 10, Last: 12, Waiting: 3}
		r := audited(t, db, audit.Period{}, again)
		if r.Closes || r.Events.Waiting != 3 || len(r.Findings) != 1 || len(r.Losses) != 1 || r.Losses[0].Last != 17 {
			t.Fatalf("events %+v, findings %+v", r.Events, r.Findings)
		}
		if err := db.SettleLosses(ctx, r.Losses, "anna", "a snapshot"); err != nil {
			t.Fatal(err)
		}
		again.First, again.Last, again.Waiting = 15, 15, 1 // 13 and 14 are lost
		record(t, db, func(tx directory.Tx) error {
			return tx.Passed([]directory.Event{{Stream: events, Number: 10}, {Stream: events, Number: 11}, {Stream: events, Number: 12}})
		})
		if r = audited(t, db, audit.Period{}, again); r.Closes || r.Events.Lost != 2 || len(r.Findings) != 1 || !slices.Equal(r.Findings[0].Names, []string{"events 13 to 14"}) {
			t.Errorf("events %+v, findings %+v", r.Events, r.Findings)
		}
	})
}
