package store_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

func TestContactsAreReadAPageAtATimeWithTheirLinks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		ctx := context.Background()
		people := make([]*directory.Contact, 5)
		for i := range people {
			people[i] = &directory.Contact{Version: 1, Fields: map[string]directory.Value{"full_name": {Text: fmt.Sprint("Person ", i)}}}
		}
		record(t, db, func(tx directory.Tx) error {
			if err := tx.SaveContacts(people); err != nil {
				return err
			}
			var wants []directory.Want
			for _, account := range []string{"zoho", "hubspot"} {
				for _, i := range []int{0, 1, 3, 4} {
					wants = append(wants, directory.Want{Account: account, Entity: directory.Entity{Kind: directory.ContactEntity, ID: people[i].ID}, Version: 1, ReceivedAt: time.Now()})
				}
			}
			wants = append(wants, directory.Want{Account: "hubspot", Entity: directory.Entity{Kind: directory.MessageEntity, ID: people[1].ID}, Version: 1, ReceivedAt: time.Now()})
			if err := tx.Want(wants); err != nil {
				return err
			}
			_, err := tx.Erase(directory.Erasure{Contact: people[4].ID, At: time.Now(), Account: "hubspot", Record: "1"})
			return err
		})
		got := map[string][]string{}
		pages, after := 0, int64(0)
		for {
			page, err := db.Standings(ctx, after, time.Time{}, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			pages++
			for _, s := range page {
				after = s.ID
				contact, err := s.Contact()
				if err != nil {
					t.Fatal(err)
				}
				accounts := []string{}
				for _, l := range s.Links() {
					link, err := l.Link()
					if err != nil || link.Account != l.Account() || link.State != l.State() || link.Entity.ID != s.ID {
						t.Errorf("link %+v (error %v)", link, err)
					}
					accounts = append(accounts, l.Account()+" "+string(l.State()))
				}
				got[contact.Text("full_name")] = accounts
			}
		}
		both := []string{"hubspot pending", "zoho pending"}
		if want := map[string][]string{"Person 0": both, "Person 1": both, "Person 2": {}, "Person 3": both}; !reflect.DeepEqual(got, want) || pages != 2 {
			t.Errorf("in %d pages %v, want %v", pages, got, want)
		}
		if page, err := db.Standings(ctx, 0, time.Now().Add(time.Hour), 10); err != nil || len(page) != 0 {
			t.Errorf("changed in the future: %d contacts (error %v)", len(page), err)
		}
		if page, err := db.Standings(ctx, 0, time.Now().Add(-time.Hour), 10); err != nil || len(page) != 4 {
			t.Errorf("changed in the last hour: %d contacts (error %v)", len(page), err)
		}
	})
}

func TestADatabaseInMemoryIsEmptyAndOnesOwn(t *testing.T) {
	t.Parallel()
	for range 2 {
		db, err := store.OpenMemory(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		record(t, db, func(tx directory.Tx) error { return tx.SaveContacts([]*directory.Contact{{Version: 1}}) })
		if page, err := db.Standings(context.Background(), 0, time.Time{}, 10); err != nil || len(page) != 1 {
			t.Errorf("%d contacts (error %v), want the one", len(page), err)
		}
	}
}
