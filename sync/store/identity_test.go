package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// The ids of records mean something in one account only: which that is follows
// it through renamings, and is replaced while nothing is linked.
func TestWhichAccountANameStandsFor(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, reopen func() (*store.DB, error)) {
		lease, _, err := db.Acquire(ctx, "crm", "one", true, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		account := func(kind string, names ...string) directory.Account {
			return directory.Account{Name: "crm", Kind: kind, Names: names}
		}
		steps := []struct {
			what  string
			is    directory.Account
			links string // the record of a link that there is from then on
			other []string
		}{
			{"not told", account("hubspot"), "", nil},
			{"told", account("hubspot", "1"), "", nil},
			{"another vendor, nothing linked", account("zoho", "1"), "", nil},
			{"another, an entity without a record", account("bitrix24", "a", "id:1"), "-", nil},
			{"another, an entity with a record", account("hubspot", "7"), "", nil},
			{"the same, with a record", account("hubspot", "7"), "101", nil},
			{"another", account("hubspot", "8"), "", []string{"7"}},
			{"another vendor that tells nothing", account("zoho"), "", []string{"7"}},
			{"the same vendor tells nothing", account("hubspot"), "", nil},
			{"renamed", account("hubspot", "8", "7"), "", nil},
			{"by the new name", account("hubspot", "8"), "", nil},
			{"by the old name", account("hubspot", "7"), "", []string{"8"}},
		}
		for _, s := range steps {
			seen, err := db.Replaced(ctx, s.is)
			other, err2 := db.Identify(ctx, lease, s.is)
			if err := errors.Join(err, err2); err != nil {
				t.Fatalf("%s: %v", s.what, err)
			}
			for _, got := range []*directory.Account{seen, other} {
				if (got != nil) != (s.other != nil) || got != nil && (got.Name != "crm" || got.Kind != "hubspot" || !slices.Equal(got.Names, s.other) || time.Since(got.Since) > time.Minute) {
					t.Errorf("%s: the records are those of %+v, want %v", s.what, got, s.other)
				}
			}
			if s.links == "" {
				continue
			}
			entity := directory.Entity{Kind: directory.MessageEntity, ID: 1}
			record(t, db, func(tx directory.Tx) error {
				return tx.Want([]directory.Want{{Account: "crm", Entity: entity, Version: 1, ReceivedAt: time.Now()}, {Account: "else", Entity: entity, Version: 1, ReceivedAt: time.Now()}})
			})
			if s.links != "-" {
				link := directory.Link{Account: "crm", Entity: entity, RecordID: s.links, State: directory.Agreed, Agreed: 1}
				if _, err := db.Settle(ctx, "crm", lease, []directory.Outcome{{Link: link, Loaded: 1}}); err != nil {
					t.Fatal(err)
				}
			}
		}

		again, err := reopen()
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if other, err := again.Replaced(ctx, account("hubspot", "9")); err != nil || other == nil || other.Names[0] != "8" {
			t.Errorf("after a restart the records are those of %+v (error %v)", other, err)
		}
		if other, err := db.Replaced(ctx, directory.Account{Name: "else", Kind: "zoho"}); err != nil || other != nil {
			t.Errorf("of an account that nobody has seen: %+v, error %v", other, err)
		}

		if _, _, err := db.Acquire(ctx, "crm", "one", true, time.Minute); err != nil { // a later run
			t.Fatal(err)
		}
		if _, err := db.Identify(ctx, lease, account("hubspot", "8", "9")); !errors.Is(err, store.ErrFenced) {
			t.Errorf("noted without the lease: %v", err)
		}
		if other, _ := db.Replaced(ctx, account("hubspot", "9")); other == nil {
			t.Error("it was noted nevertheless")
		}
	})
}
