package store_test

import (
	"fmt"
	"testing"
	"time"

	"crmsync/sync/store"
)

// A history: what each replica has put in force, once for as long as that lasts,
// and what people did.
func TestTheHistoryOfTheMapping(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, reopen func() (*store.DB, error)) {
		keep := func(event, revision, holder string) {
			t.Helper()
			if err := db.KeepMapping(ctx, store.MappingEvent{Event: event, Revision: revision, File: "mapping.yaml", Holder: holder, Who: "host " + holder}, []byte("text of "+revision+"\x00\xff")); err != nil {
				t.Fatal(err)
			}
		}
		keep(store.MappingInForce, "a", "1")
		keep(store.MappingInForce, "a", "1") // a restart
		keep(store.MappingInForce, "a", "2")
		keep(store.MappingInForce, "b", "1")
		keep(store.MappingReplaced, "c", "")
		keep(store.MappingRolledBack, "a", "")
		keep(store.MappingInForce, "a", "1")
		again, err := reopen()
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		list, err := again.MappingHistory(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range list {
			got += fmt.Sprintf("%s %s %s, ", e.Event, e.Revision, e.Holder)
			if e.Who != "host "+e.Holder || e.File != "mapping.yaml" || time.Since(e.At) > time.Minute {
				t.Errorf("got %+v", e)
			}
		}
		if want := "in_force a 1, rolled_back a , replaced c , in_force b 1, in_force a 2, in_force a 1, "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		text, err := again.MappingText(ctx, "c")
		if err != nil || string(text) != "text of c\x00\xff" {
			t.Errorf("got %q, error %v", text, err)
		}
		if text, err := again.MappingText(ctx, "x"); err != nil || text != nil {
			t.Errorf("of none: %q, error %v", text, err)
		}
	})
}

// The hundred that were used last are kept, and what is in force among them.
func TestAHundredMappingsAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		for i := range 103 {
			time.Sleep(2 * time.Millisecond) // times are kept to the millisecond
			revision := fmt.Sprint(i)
			if err := db.KeepMapping(ctx, store.MappingEvent{Event: store.MappingInForce, Revision: revision, Holder: "me"}, []byte(revision)); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 { // the first one is used again and again
				time.Sleep(2 * time.Millisecond)
				if err := db.KeepMapping(ctx, store.MappingEvent{Event: store.MappingInForce, Revision: "0", Holder: "me"}, []byte("0")); err != nil {
					t.Fatal(err)
				}
			}
		}
		for revision, kept := range map[string]bool{"0": true, "1": false, "3": false, "4": true, "102": true} {
			if text, err := db.MappingText(ctx, revision); err != nil || (text != nil) != kept {
				t.Errorf("revision %s: kept %v, want %v, error %v", revision, text != nil, kept, err)
			}
		}
		list, err := db.MappingHistory(ctx)
		if err != nil || len(list) != 110 {
			t.Errorf("%d events, error %v, want 110", len(list), err)
		}
	})
}
