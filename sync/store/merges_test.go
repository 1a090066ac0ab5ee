package store_test

import (
	"errors"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// Only a record that is nobody's is merged, and only into the one with which
// crmsync works, of which nothing is unread; by who has the lease; and what is
// begun, refused or put off is not begun again.
func TestWhatMayBeMerged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		number := lease(t, db, "a")
		ada, bea := newContact(t, db, "15550100"), newContact(t, db, "15550101")
		want(t, db, directory.ContactEntity, ada, 1)
		want(t, db, directory.ContactEntity, bea, 1)
		link := func(contact int64, id string) {
			t.Helper()
			entity := directory.Entity{Kind: directory.ContactEntity, ID: contact}
			l := directory.Link{Account: "hubspot", Entity: entity, RecordID: id, State: directory.Agreed, Wanted: 1}
			record(t, db, func(tx directory.Tx) error { return tx.SaveRecords([]directory.Link{l}) })
		}
		find := func(contact int64, id, seen string) {
			t.Helper()
			d := directory.Duplicate{RecordKey: directory.RecordKey{Account: "hubspot", ID: id}, ContactID: contact, FoundAt: time.Now(), Seen: seen}
			record(t, db, func(tx directory.Tx) error { return tx.SaveDuplicates([]directory.Duplicate{d}, nil) })
		}
		expect := func(when string, lease int64, want *directory.Merge) {
			t.Helper()
			got, err := db.NextMerge(ctx, "hubspot", lease)
			if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("%s: to be merged is %+v (%v), want %+v", when, got, err, want)
			}
		}
		begin := func(m directory.Merge, pause time.Duration) bool {
			t.Helper()
			ok, err := db.BeginMerge(ctx, number, "replica", m, pause)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		read := func() {
			t.Helper()
			pulls, err := db.Pulls(ctx, "hubspot", 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Pulled(ctx, pulls); err != nil {
				t.Fatal(err)
			}
		}
		m := directory.Merge{Account: "hubspot", ContactID: ada, Kept: "501", Other: "502", Seen: "x"}

		find(ada, "502", "x")
		expect("without a linked record", number, nil)
		link(ada, "501")
		expect("with one", number, &m)
		link(bea, "502")
		expect("while it is somebody else's", number, nil)
		if begin(m, 0) {
			t.Error("a merge with somebody else's record was begun")
		}
		link(bea, "503")
		for _, id := range []string{"501", "502"} {
			if err := db.WantPulls(ctx, []directory.Pull{{RecordKey: directory.RecordKey{Account: "hubspot", ID: id}, Change: connectors.RecordUpdated, At: time.Now()}}); err != nil {
				t.Fatal(err)
			}
			expect("with unread news of "+id, number, nil)
			read()
		}
		expect("read", number, &m)

		for _, other := range []directory.Merge{
			{Account: "hubspot", ContactID: bea, Kept: "501", Other: "502", Seen: "x"},
			{Account: "hubspot", ContactID: ada, Kept: "500", Other: "502", Seen: "x"},
			{Account: "hubspot", ContactID: ada, Kept: "501", Other: "502", Seen: "y"},
		} {
			if begin(other, 0) {
				t.Errorf("what has changed was begun: %+v", other)
			}
		}
		if _, err := db.BeginMerge(ctx, number+1, "replica", m, 0); !errors.Is(err, store.ErrFenced) {
			t.Errorf("without the lease: %v", err)
		}
		if !begin(m, time.Hour) {
			t.Error("it was not begun")
		}
		expect("begun", number, nil)
		if err := db.EndMerge(ctx, m, "600"); err != nil {
			t.Fatal(err)
		}
		pulls, err := db.Pulls(ctx, "hubspot", 10)
		if err != nil || len(pulls) != 2 || pulls[0].ID != "501" || pulls[1].ID != "502" || pulls[1].Change != connectors.RecordMerged {
			t.Errorf("to be read are %+v (%v)", pulls, err)
		}
		read()

		find(ada, "504", "x")
		n := directory.Merge{Account: "hubspot", ContactID: ada, Kept: "501", Other: "504", Seen: "x"}
		expect("another one", number, &n)
		if err := db.RefuseMerge(ctx, number, n, "by hand only", false); err != nil {
			t.Fatal(err)
		}
		expect("refused", number, nil)
		doubles, err := db.Doubles(ctx, "hubspot")
		if err != nil || len(doubles) != 1 || len(doubles[0].Others) != 2 || doubles[0].Others[0].NotMerged != "" || doubles[0].Others[1].NotMerged != "by hand only" {
			t.Errorf("listed are %+v (%v)", doubles, err)
		}
		find(ada, "504", "x")
		expect("refused and unchanged", number, nil)
		expect("under another lease", number+1, &n)
		find(ada, "504", "y")
		n.Seen = "y"
		expect("changed", number, &n)
		if err := db.RefuseMerge(ctx, number, n, "by hand only", true); err != nil {
			t.Fatal(err)
		}
		if doubles, _ := db.Doubles(ctx, "hubspot"); doubles[0].Others[0].NotMerged != "by hand only" {
			t.Errorf("listed of an account that merges none are %+v", doubles)
		}
	})
}
