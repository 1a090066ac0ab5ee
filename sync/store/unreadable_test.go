package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	recording "crmsync/sync/record"
	"crmsync/sync/store"
)

func recorder(db *store.DB) *recording.Recorder {
	m := &mapping.Mapping{}
	return &recording.Recorder{Store: db, Mapping: func() *mapping.Mapping { return m }, DeliverTo: func(string) []string { return []string{"hubspot"} }}
}

// Whatever happens after the transaction, a part that could not be read is on
// the worklist.
func TestAnUnreadableFactIsOnTheWorklistOnceRecorded(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		bad := fact("whatsapp/malformed:1")
		bad.Kind, bad.Reason, bad.Raw = connectors.KindMalformed, "entry is missing", []byte("{}")
		for range 2 {
			if _, err := recorder(db).Record(ctx, []directory.Fact{bad}); err != nil {
				t.Fatal(err)
			}
		}
		letters := open(t, db, deadletter.Filter{})
		if len(letters) != 1 || letters[0].FactID != bad.ID || letters[0].Reason != bad.Reason || letters[0].DueAt.Before(time.Now().Add(23*time.Hour)) {
			t.Errorf("letters = %+v, want one due in 24 hours", letters)
		}
	})
}

// A fact that one database takes and another does not is never lost, and can
// be tried again as what it was.
func TestAFactThatIsRefusedHoldsUpNobodyAndCanBeReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		var long []byte // longer than PostgreSQL indexes, and not compressible
		for range 9000 {
			long = append(long, fmt.Sprintf("%02x", rand.IntN(256))...)
		}
		message := func(wamid string) directory.Fact {
			f := fact("whatsapp/" + wamid[:2])
			f.BusinessNumber, f.Person = "1", &connectors.Person{WAID: "16315555555"}
			f.Message = &connectors.Message{WAMID: wamid, Direction: connectors.In, Text: "x"}
			return f
		}
		bad := message(string(long))
		bad.ID = "whatsapp/long"
		result, err := recorder(db).Record(ctx, []directory.Fact{message("w1"), bad, message("w2")})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Recorded) != 3 {
			t.Errorf("%d facts recorded, want 3", len(result.Recorded))
		}
		if strings.HasSuffix(t.Name(), "postgres") && len(result.Malformed) != 1 {
			t.Errorf("%d facts refused, want the long one", len(result.Malformed))
		}
		for _, f := range result.Malformed {
			again, ok := recording.Refused(f.Raw)
			if !ok || again.Kind != connectors.KindMessage || again.Message.Text != "x" || again.Key == bad.Key {
				t.Errorf("the refused fact came back as %v %v", again.Kind, ok)
			}
			if len(open(t, db, deadletter.Filter{})) != 1 {
				t.Error("it is not on the worklist")
			}
		}
	})
}

func TestRefusedAndAwayAreNotTheSame(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := recorder(db).Record(ctx, []directory.Fact{fact("a")})
		if err == nil || db.Refuses(err) {
			t.Errorf("error %v of a database that is away, refused %v", err, db.Refuses(err))
		}
	})
}

func TestMessagesDoNotWaitForADiscardedContact(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		f := fact("whatsapp/w1")
		f.BusinessNumber, f.Person = "1", &connectors.Person{WAID: "16315555555"}
		f.Message = &connectors.Message{WAMID: "w1", Direction: connectors.In, Text: "x"}
		if _, err := recorder(db).Record(ctx, []directory.Fact{f}); err != nil {
			t.Fatal(err)
		}
		work, ok := load(t, db, directory.ContactEntity, 1)
		if !ok {
			t.Fatal("no contact is owed")
		}
		link := work.Link
		link.State = directory.Dead
		settle(t, db, lease(t, db, "a"), link, work.Contact.Version)
		if err := db.PutLetters(ctx, []deadletter.Letter{letter("hubspot", 1, time.Now())}); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Discard(ctx, deadletter.Filter{}, "me", "a test"); err != nil || n != 1 {
			t.Fatalf("discarded %d, error %v", n, err)
		}
		counts, err := db.CountLinks(ctx)
		if err != nil || len(counts) != 1 || counts[0].State != directory.Skipped || counts[0].N != 2 {
			t.Errorf("links = %+v, error %v; want both skipped", counts, err)
		}
	})
}
