package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// A pause outlives the program, and the first one to pause is remembered.
func TestAnAccountIsPausedUntilItIsResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, reopen func() (*store.DB, error)) {
		for i, by := range []string{"anna", "bob"} {
			p, fresh, err := db.Pause(ctx, "hubspot", by, "they migrate")
			if err != nil || fresh != (i == 0) || p.PausedBy != "anna" || p.Reason != "they migrate" || time.Since(p.PausedAt) > time.Minute {
				t.Fatalf("pause by %s: %+v, fresh %v, error %v", by, p, fresh, err)
			}
		}
		other, err := reopen()
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if list, err := other.Pauses(ctx); err != nil || len(list) != 1 || list[0].Account != "hubspot" {
			t.Fatalf("paused are %+v (error %v)", list, err)
		}
		if was, ok, err := other.Resume(ctx, "hubspot"); err != nil || !ok || was.PausedBy != "anna" {
			t.Errorf("resume: %+v, %v, error %v", was, ok, err)
		}
		if _, ok, err := db.Resume(ctx, "hubspot"); err != nil || ok {
			t.Errorf("resumed twice: %v, error %v", ok, err)
		}
		if list, err := db.Pauses(ctx); err != nil || len(list) != 0 {
			t.Errorf("paused are %+v (error %v)", list, err)
		}
	})
}

// What a replica says replaces what it said before, but a success is not
// forgotten by a restart.
func TestWhatReplicasReport(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		at := time.Now().Add(-time.Hour)
		for _, r := range []store.Report{
			{Account: "hubspot", Holder: "one", State: "working", QuotaUsed: 0.25, LastSuccess: &at},
			{Account: "hubspot", Holder: "two", State: "standing_by"},
			{Account: "hubspot", Holder: "one", State: "breaker_open", Problem: "transient: no answer in time"},
		} {
			if err := db.KeepReports(ctx, []store.Report{r}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := db.Reports(ctx)
		if err != nil || len(list) != 2 {
			t.Fatalf("reports %+v, error %v", list, err)
		}
		for _, r := range list {
			if time.Since(r.ReportedAt) > time.Minute {
				t.Errorf("reported at %v", r.ReportedAt)
			}
			if r.Holder == "one" && (r.State != "breaker_open" || r.Problem == "" || r.LastSuccess == nil || r.LastSuccess.Sub(at).Abs() > time.Second) {
				t.Errorf("one says %+v", r)
			}
		}
	})
}

func TestWhatWaitsForAnAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		first := time.Now().Add(-time.Minute)
		record(t, db, func(tx directory.Tx) error {
			return tx.Want([]directory.Want{
				{Account: "hubspot", Entity: directory.Entity{Kind: directory.ContactEntity, ID: 2}, Version: 1, ReceivedAt: time.Now()},
				{Account: "hubspot", Entity: directory.Entity{Kind: directory.ContactEntity, ID: 1}, Version: 1, ReceivedAt: first},
			})
		})
		list, err := db.Waiting(ctx)
		if err != nil || len(list) != 1 || list[0].Account != "hubspot" || list[0].N != 2 || list[0].Oldest.Sub(first).Abs() > time.Second {
			t.Errorf("waiting: %+v, error %v", list, err)
		}
	})
}

// What came through another number is not summed up.
func TestAConversationWithoutOtherNumbers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		at := time.Now().UTC().Truncate(time.Second)
		contact := &directory.Contact{}
		record(t, db, func(tx directory.Tx) error {
			if err := tx.SaveContacts([]*directory.Contact{contact}); err != nil {
				return err
			}
			return tx.SaveMessages([]*directory.Message{
				{Account: "north", BusinessNumber: "1", WAMID: "n1", ContactID: contact.ID, Direction: "in", Type: "text", Text: "to north", At: at},
				{Account: "south", BusinessNumber: "2", WAMID: "s1", ContactID: contact.ID, Direction: "in", Type: "text", Text: "to south", At: at.Add(time.Minute)},
				{Account: "south", BusinessNumber: "2", WAMID: "s2", ContactID: contact.ID, Direction: "out", Type: "text", Text: "from south", At: at.Add(time.Hour)},
			})
		})
		talks, err := db.ConversationsWithout(ctx, []string{"south", "west"}, []int64{contact.ID})
		if err != nil {
			t.Fatal(err)
		}
		if talk := talks[contact.ID]; talk.LastIn == nil || talk.LastIn.Text != "to north" || talk.LastOut != nil || talk.Unanswered != 1 || !talk.FirstIn.Equal(at) {
			t.Errorf("without the south: %+v", talk)
		}
	})
}

// Any name will do for a folder.
func TestADataDirectoryWithSpecialCharacters(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "70% of it, what? #1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenSQLite(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil {
		t.Error(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 || files[0].Name() != "crmsync.db" {
		t.Errorf("it holds %v (error %v)", files, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "crmsync.db")); err != nil || info.Size() == 0 {
		t.Errorf("the database is empty or elsewhere: %v", err)
	}
}
