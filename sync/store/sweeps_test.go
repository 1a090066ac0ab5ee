package store_test

import (
	"fmt"
	"testing"
	"time"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

func TestASweepIsKeptAsItIs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
		want := directory.Sweep{
			Account: "crm", Due: at, Began: at.Add(time.Second), SeenAt: at.Add(time.Minute), Kind: directory.Rolling, AskedBy: "Ada", MassChange: true, Cursor: "7",
			Known: 1, Read: 2, Compared: 3, Skipped: 4, Changed: 5, There: 6, Conflicts: 7, Gone: 8, Emptied: 9, Missed: 10, Repeated: 11,
			Partial: true, Calls: 12, Worked: 13 * time.Second, Remapped: 14,
		}
		for _, read := range []int64{2, 200} {
			want.Read = read
			if err := db.SaveSweep(ctx, &want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := db.OpenSweeps(ctx, "crm"); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, error %v, want %+v", got, err, want)
		}
		want.Ended, want.Problem = at.Add(time.Hour), "a problem"
		if err := db.SaveSweep(ctx, &want); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Sweeps(ctx, "crm", 10); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("ended: got %+v, error %v", got, err)
		}
		open, err := db.OpenSweeps(ctx, "crm")
		ever, err2 := db.EverSwept(ctx, "crm")
		if err != nil || err2 != nil || len(open) != 0 || ever {
			t.Errorf("open %v, ever %v, errors %v %v", open, ever, err, err2)
		}
	})
}

// Whoever asks while somebody has asked already waits for the same sweep.
func TestASweepIsAskedForOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		first, err := db.AskSweep(ctx, "crm", "Ada", false)
		if err != nil || first.State() != "waiting" || first.AskedBy != "Ada" {
			t.Fatalf("got %+v, error %v", first, err)
		}
		second, err := db.AskSweep(ctx, "crm", "Bea", true)
		if err != nil || !second.Due.Equal(first.Due) || !second.MassChange {
			t.Errorf("got %+v, error %v", second, err)
		}
		other, err := db.AskSweep(ctx, "other", "Bea", false)
		if err != nil || other.MassChange {
			t.Errorf("got %+v, error %v", other, err)
		}
		second.SeenAt = time.Now()
		if err := db.SaveSweep(ctx, &second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		third, err := db.AskSweep(ctx, "crm", "Bea", false)
		if err != nil || third.Due.Equal(first.Due) || third.MassChange {
			t.Errorf("of one that has begun: %+v, error %v", third, err)
		}
	})
}

// Who waits for the account's contacts to be listed goes on when they are, or when
// there is news of them. What has failed waits for its own time.
func TestAWaitForAListingEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		number, people := lease(t, db, "me"), 0
		due := func(attempts int, then func()) bool {
			id := newContact(t, db, "1555010"+fmt.Sprint(people))
			people++
			want(t, db, directory.ContactEntity, id, 1)
			work, ok := load(t, db, directory.ContactEntity, id)
			if !ok {
				t.Fatal("what is new is not due")
			}
			work.Link.NextAttempt, work.Link.Attempts = time.Now().Add(time.Hour), attempts
			settle(t, db, number, work.Link, 1)
			if _, ok := load(t, db, directory.ContactEntity, id); ok {
				t.Fatal("it does not wait")
			}
			if then != nil {
				then()
			} else {
				want(t, db, directory.ContactEntity, id, 2)
			}
			_, ok = load(t, db, directory.ContactEntity, id)
			return ok
		}
		end := func(account string) func() {
			return func() {
				if err := db.EndWait(ctx, account); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, tt := range map[string]struct {
			attempts int
			then     func()
			want     bool
		}{
			"when it is listed":       {0, end("hubspot"), true},
			"when another is":         {0, end("zoho"), false},
			"a failure, when listed":  {1, end("hubspot"), false},
			"when there is news":      {0, nil, true},
			"a failure, when changed": {1, nil, false},
		} {
			if got := due(tt.attempts, tt.then); got != tt.want {
				t.Errorf("%s: due %v, want %v", name, got, tt.want)
			}
		}
	})
}

// Who is put off while their record turns up does not wait: they have one.
func TestWhoseRecordTurnsUpDoesNotWait(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		number, id := lease(t, db, "me"), newContact(t, db, "15550100")
		want(t, db, directory.ContactEntity, id, 1)
		work, _ := load(t, db, directory.ContactEntity, id)
		record(t, db, func(tx directory.Tx) error {
			seen := directory.Link{Account: "hubspot", Entity: work.Link.Entity, RecordID: "501", Wanted: 1, State: directory.Pending}
			return tx.SaveRecords([]directory.Link{seen})
		})
		outcome := directory.Outcome{Link: work.Link, Before: work.Link, Loaded: 1}
		outcome.Link.NextAttempt = time.Now().Add(time.Hour)
		if _, err := db.Settle(ctx, "hubspot", number, []directory.Outcome{outcome}); err != nil {
			t.Fatal(err)
		}
		if again, due := load(t, db, directory.ContactEntity, id); !due || again.Link.RecordID != "501" {
			t.Errorf("due %v with record %q, want it at once with 501", due, again.Link.RecordID)
		}
	})
}
