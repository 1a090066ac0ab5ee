package store_test

import (
	"fmt"
	"testing"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// Contacts that were in agreement are owed again. They come after everything that
// somebody has reported, and are like any other debt once something is.
func TestWhatIsRemappedCanWait(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		number := lease(t, db, "me")
		agree := func(waID string) int64 {
			id := newContact(t, db, waID)
			want(t, db, directory.ContactEntity, id, 1)
			work, _ := load(t, db, directory.ContactEntity, id)
			work.Link.RecordID, work.Link.State, work.Link.Agreed = "record of "+waID, directory.Agreed, 1
			work.Link.Shadow = map[string]string{"phone": waID}
			settle(t, db, number, work.Link, 1)
			return id
		}
		due := func() (now, later string) {
			t.Helper()
			list, err := db.Due(ctx, "hubspot", 10)
			rest, err2 := db.DueLater(ctx, "hubspot", 10)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			return fmt.Sprint(list), fmt.Sprint(rest)
		}
		names := func(ids ...int64) string {
			list := []directory.Entity{}
			for _, id := range ids {
				list = append(list, directory.Entity{Kind: directory.ContactEntity, ID: id})
			}
			return fmt.Sprint(list)
		}
		one, two, three := agree("15550001"), agree("15550002"), agree("15550003")
		waiting := newContact(t, db, "15550004")
		want(t, db, directory.ContactEntity, waiting, 1)

		var seen []int64
		for after := int64(0); ; {
			page, err := db.InAgreement(ctx, "hubspot", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, w := range page {
				after = w.Link.Entity.ID
				seen = append(seen, after)
				if w.Contact == nil || w.Link.Shadow["phone"] != w.Contact.Text("wa_id") {
					t.Errorf("got %+v", w)
				}
			}
		}
		if names(seen...) != names(one, two, three) {
			t.Errorf("in agreement are %v", seen)
		}
		n, err := db.Remap(ctx, "hubspot", []int64{one, two, waiting, 4711})
		if err != nil || n != 2 {
			t.Errorf("%d are owed again, error %v, want 2", n, err)
		}
		if now, later := due(); now != names(waiting) || later != names(one, two) {
			t.Errorf("due are %s, later %s", now, later)
		}
		// What is written again keeps its record and its shadow, and is settled.
		work, ok := load(t, db, directory.ContactEntity, one)
		if !ok || work.Link.RecordID != "record of 15550001" || work.Link.Shadow["phone"] != "15550001" || !work.Link.Since.IsZero() {
			t.Errorf("got %+v", work.Link)
		}
		work.Link.State, work.Link.Agreed = directory.Agreed, 1
		if still := settle(t, db, number, work.Link, 1); len(still) > 0 {
			t.Errorf("still pending: %v", still)
		}
		// And news of it does not wait.
		want(t, db, directory.ContactEntity, two, 2)
		if now, later := due(); now != names(waiting, two) || later != names() {
			t.Errorf("with news of it due are %s, later %s", now, later)
		}
	})
}

func TestWithWhichMappingAnAccountIsInLine(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		for _, want := range []string{"", "a", "b", "b"} {
			if want != "" {
				if err := db.BroughtInLine(ctx, "hubspot", want); err != nil {
					t.Fatal(err)
				}
			}
			if got, at, err := db.InLine(ctx, "hubspot"); err != nil || got != want || at.IsZero() != (want == "") {
				t.Errorf("got %q at %v, error %v, want %q", got, at, err, want)
			}
			if got, _, err := db.InLine(ctx, "zoho"); err != nil || got != "" {
				t.Errorf("of another account: %q, error %v", got, err)
			}
		}
	})
}
