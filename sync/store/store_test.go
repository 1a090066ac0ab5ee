package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
	"crmsync/sync/store"
	"crmsync/sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// onBoth runs a test on SQLite and on PostgreSQL. reopen opens the same
// database once more.
func onBoth(t *testing.T, test func(t *testing.T, db *store.DB, reopen func() (*store.DB, error))) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		run(t, func() (*store.DB, error) { return store.OpenSQLite(context.Background(), dir) }, test)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := storetest.Postgres(t)
		run(t, func() (*store.DB, error) { return store.OpenPostgres(context.Background(), url) }, test)
	})
}

func run(t *testing.T, open func() (*store.DB, error), test func(*testing.T, *store.DB, func() (*store.DB, error))) {
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	test(t, db, func() (*store.DB, error) { return open() })
}

func record(t *testing.T, db *store.DB, f func(tx directory.Tx) error) {
	t.Helper()
	if err := db.Record(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

func fact(id string) directory.Fact {
	return directory.Fact{
		ID: id, Account: "whatsapp", ReceivedAt: time.Now(),
		Fact: connectors.Fact{Key: id, Kind: connectors.KindMessage, At: time.Now()},
	}
}

func TestAFactIsKnownOnceRecorded(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		a, b := fact("a"), fact("b")
		record(t, db, func(tx directory.Tx) error {
			return tx.SaveFacts([]directory.FactOutcome{{Fact: &a, Outcome: directory.Applied}})
		})
		record(t, db, func(tx directory.Tx) error {
			known, err := tx.Known([]directory.Fact{a, b})
			if !known["a"] || known["b"] {
				t.Errorf("known = %v, want only a", known)
			}
			return err
		})
	})
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		a := fact("a")
		err := db.Record(context.Background(), func(tx directory.Tx) error {
			if err := tx.SaveFacts([]directory.FactOutcome{{Fact: &a}}); err != nil {
				t.Fatal(err)
			}
			return fmt.Errorf("the disk is on fire")
		})
		if err == nil {
			t.Fatal("the error was swallowed")
		}
		record(t, db, func(tx directory.Tx) error {
			known, err := tx.Known([]directory.Fact{a})
			if len(known) != 0 {
				t.Errorf("known = %v after a rollback, want none", known)
			}
			return err
		})
	})
}

// newContact stores a contact with a phone number and returns its id.
func newContact(t *testing.T, db *store.DB, waID string) int64 {
	t.Helper()
	c := &directory.Contact{Version: 1}
	c.Describe(&connectors.Person{WAID: waID, ProfileName: "Zoë 🌊 شيماء"}, time.Now(), "f", "whatsapp")
	record(t, db, func(tx directory.Tx) error {
		if err := tx.SaveContacts([]*directory.Contact{c}); err != nil {
			return err
		}
		return tx.SaveIdentities([]directory.Identity{{
			IdentityKey: directory.IdentityKey{Kind: directory.PhoneIdentity, Value: waID}, ContactID: c.ID,
		}})
	})
	return c.ID
}

func TestContactsAndIdentitiesRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		retired := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("Taipei", 8*3600))
		record(t, db, func(tx directory.Tx) error {
			found, err := tx.Identities([]directory.IdentityKey{{Kind: directory.PhoneIdentity, Value: "15550100"}})
			if err != nil {
				return err
			}
			if len(found) != 1 || found[0].ContactID != id || !found[0].RetiredAt.IsZero() {
				t.Errorf("identities = %+v, want one of contact %d in force", found, id)
			}
			found[0].RetiredAt = retired
			return tx.SaveIdentities(found)
		})
		record(t, db, func(tx directory.Tx) error {
			found, err := tx.Identities([]directory.IdentityKey{{Kind: directory.PhoneIdentity, Value: "15550100"}})
			if err != nil {
				return err
			}
			if !found[0].RetiredAt.Equal(retired) {
				t.Errorf("retired at %v, want %v", found[0].RetiredAt, retired)
			}
			contacts, err := tx.Contacts([]int64{id})
			if err != nil {
				return err
			}
			if got := contacts[0].Text("profile_name"); got != "Zoë 🌊 شيماء" {
				t.Errorf("profile name = %q", got)
			}
			return nil
		})
	})
}

func TestAConversationIsSummedUpFromItsMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		start := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
		message := func(wamid string, direction connectors.Direction, minute int) *directory.Message {
			return &directory.Message{
				Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: wamid, ContactID: id,
				Direction: direction, Type: "text", Text: wamid, At: start.Add(time.Duration(minute) * time.Minute),
			}
		}
		group := message("g", connectors.In, 99)
		group.GroupID = "group"
		undated := message("u", connectors.In, 0)
		undated.At = time.Time{}
		record(t, db, func(tx directory.Tx) error {
			return tx.SaveMessages([]*directory.Message{
				message("in3", connectors.In, 3), message("in1", connectors.In, 1), message("out2", connectors.Out, 2),
				message("in4", connectors.In, 4), group, undated,
			})
		})
		record(t, db, func(tx directory.Tx) error {
			talks, err := tx.Conversations([]int64{id})
			if err != nil {
				return err
			}
			talk := talks[id]
			if talk.LastIn == nil || talk.LastIn.WAMID != "in4" || talk.LastOut == nil || talk.LastOut.WAMID != "out2" {
				t.Errorf("last in %v, last out %v; want in4, out2", talk.LastIn, talk.LastOut)
			}
			if talk.Unanswered != 2 {
				t.Errorf("unanswered = %d, want 2", talk.Unanswered)
			}
			if !talk.FirstIn.Equal(start.Add(time.Minute)) || !talk.FirstOut.Equal(start.Add(2*time.Minute)) {
				t.Errorf("first in %v, first out %v", talk.FirstIn, talk.FirstOut)
			}
			return nil
		})
	})
}

func TestAMigrationMayBeRunByFourReplicasAtOnce(t *testing.T) {
	t.Parallel()
	open := map[string]func() (*store.DB, error){}
	dir := t.TempDir()
	open["sqlite"] = func() (*store.DB, error) { return store.OpenSQLite(context.Background(), dir) }
	url := storetest.Postgres(t)
	open["postgres"] = func() (*store.DB, error) { return store.OpenPostgres(context.Background(), url) }
	for name, open := range open {
		t.Run(name, func(t *testing.T) {
			errs := make(chan error)
			for range 4 {
				go func() {
					db, err := open()
					if err == nil {
						err = db.Close()
					}
					errs <- err
				}()
			}
			for range 4 {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestADirectoryThatCannotBeOpenedIsNamed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing")
	if _, err := store.OpenSQLite(context.Background(), dir); err == nil {
		t.Fatal("a database in a missing directory was opened")
	}
}
