package store_test

import (
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

func TestAProfileHasEverythingThatIsKnownOfAContact(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id, other := newContact(t, db, "15550100"), newContact(t, db, "15550101")
		if p, err := db.Profile(ctx, other+1); p != nil || err != nil {
			t.Fatalf("of nobody: %+v, error %v", p, err)
		}
		at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
		said := fact("f")
		messages := []*directory.Message{
			{Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: "in", ContactID: id, Direction: connectors.In, At: at},
			{Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: "out", ContactID: id, Direction: connectors.Out, At: at.Add(time.Hour)},
			{Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: "undated", ContactID: id, Direction: connectors.Out},
			{Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: "other", ContactID: other, Direction: connectors.In, At: at},
		}
		record(t, db, func(tx directory.Tx) error {
			if err := tx.SaveFacts([]directory.FactOutcome{{Fact: &said, Outcome: directory.Applied}}); err != nil {
				return err
			}
			return tx.SaveMessages(messages)
		})
		want(t, db, directory.ContactEntity, id, 1)
		for _, m := range messages {
			want(t, db, directory.MessageEntity, m.ID, 1)
		}
		number := lease(t, db, "me")
		work, _ := load(t, db, directory.ContactEntity, id)
		written := at.Add(2 * time.Hour)
		link := work.Link
		link.RecordID, link.State, link.Agreed, link.Shadow = "51", directory.Agreed, 1, map[string]string{"phone": "+15550100"}
		link.Revision, link.WrittenAt = "abc", written
		if _, err := db.Settle(ctx, "hubspot", number, []directory.Outcome{{Link: link, Loaded: 1}}); err != nil {
			t.Fatal(err)
		}
		about := func(kind directory.EntityKind, id int64) deadletter.Letter {
			l := letter("hubspot", id, at)
			l.Entity.Kind = kind
			l.ID = deadletter.ForEntity("hubspot", l.Entity)
			return l
		}
		mine := about(directory.ContactEntity, id)
		settled := about(directory.MessageEntity, messages[1].ID)
		settled.State = deadletter.Delivered
		put(t, db, mine, settled, about(directory.MessageEntity, messages[0].ID), about(directory.ContactEntity, other), about(directory.MessageEntity, messages[3].ID))
		record(t, db, func(tx directory.Tx) error {
			return tx.WantPulls([]directory.Pull{{RecordKey: directory.RecordKey{Account: "hubspot", ID: "51"}, At: at}})
		})

		p, err := db.Profile(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if p.Contact.ID != id || p.Contact.Text("phone") != "+15550100" || p.UpdatedAt.IsZero() {
			t.Errorf("contact %+v", p.Contact)
		}
		if len(p.Identities) != 1 || p.Identities[0].Value != "15550100" {
			t.Errorf("identities %+v", p.Identities)
		}
		if f := p.Facts["f"]; f.Kind != connectors.KindMessage || f.Account != "whatsapp" || f.ReceivedAt.IsZero() || f.RecordedAt.IsZero() {
			t.Errorf("facts %+v", p.Facts)
		}
		if (p.Talk != store.Talk{Received: 1, Sent: 2, First: at, Last: at.Add(time.Hour)}) {
			t.Errorf("talk %+v", p.Talk)
		}
		if len(p.Links) != 1 || p.Links[0].Revision != "abc" || !p.Links[0].WrittenAt.Equal(written) || p.Links[0].Shadow["phone"] == "" || !p.Links[0].SeenAt.IsZero() {
			t.Errorf("links %+v", p.Links)
		}
		if len(p.Settling) != 1 || p.Settling[0] != (store.EntityCount{Account: "hubspot", Kind: directory.MessageEntity, State: directory.Pending, N: 3}) || len(p.Owed) != 3 {
			t.Errorf("settling %+v, owed %d", p.Settling, len(p.Owed))
		}
		if len(p.Pulls) != 1 || p.Pulls[0].ID != "51" {
			t.Errorf("pulls %+v", p.Pulls)
		}
		var ids []string
		for _, l := range p.Letters {
			ids = append(ids, l.ID)
		}
		slices.Sort(ids)
		if want := []string{mine.ID, deadletter.ForEntity("hubspot", directory.Entity{Kind: directory.MessageEntity, ID: messages[0].ID})}; !slices.Equal(ids, want) {
			t.Errorf("letters %v, want %v", ids, want)
		}

		// What its record shows is noted with when it was seen, and what it was
		// told stays.
		record(t, db, func(tx directory.Tx) error {
			seen := p.Links[0]
			seen.State, seen.Shadow = "", map[string]string{"phone": directory.KeptAs("ask Anna")}
			return tx.SaveRecords([]directory.Link{seen})
		})
		p, err = db.Profile(ctx, id)
		if err != nil || p.Links[0].SeenAt.IsZero() || p.Links[0].Revision != "abc" || !p.Links[0].WrittenAt.Equal(written) {
			t.Errorf("after it was seen: %+v, error %v", p.Links, err)
		}
	})
}

func TestContactsAreFoundByAFieldsText(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		mail := func(text string) int64 {
			c := &directory.Contact{Version: 1}
			c.Set("email", directory.Value{Text: text, At: time.Now()})
			c.Set("last_message_text", directory.Value{Text: `"email":{"v":"liar@x.it"`, At: time.Now()})
			record(t, db, func(tx directory.Tx) error { return tx.SaveContacts([]*directory.Contact{c}) })
			return c.ID
		}
		ada, percent := mail("Ada_L@x.it"), mail(`o'neil%<"\@x.it`)
		mail("adaQl@x.it")
		for text, want := range map[string][]int64{"ada_l@x.it": {ada}, "ADA_L@X.IT": {ada}, `o'neil%<"\@x.it`: {percent}, "liar@x.it": nil, "da_l@x.it": nil, "%": nil} {
			if got, err := db.ContactsWith(ctx, "email", text); err != nil || !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%s: %v, error %v, want %v", text, got, err, want)
			}
		}
	})
}

func TestValuesThatAreNotOfTheirTypeAreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		show := func(account, rec string, shadow map[string]string) int64 {
			id := newContact(t, db, "1555020"+rec)
			record(t, db, func(tx directory.Tx) error {
				return tx.SaveRecords([]directory.Link{{
					Account: account, Entity: directory.Entity{Kind: directory.ContactEntity, ID: id}, RecordID: rec,
					Shadow: shadow, State: directory.Pending, Wanted: 1,
				}})
			})
			return id
		}
		bad := map[string]string{"Phone": directory.KeptAs("ask Anna"), "Mail": "a@x.it"}
		show("zoho", "1", map[string]string{"Phone": "+15550100"})
		a, b, c := show("zoho", "2", bad), show("zoho", "3", bad), show("hubspot", "4", bad)
		var got []int64
		after := directory.Link{}
		for {
			page, err := db.Unfit(ctx, "", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, l := range page {
				got = append(got, l.Entity.ID)
				after = l
			}
		}
		if want := []int64{c, a, b}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		if one, err := db.Unfit(ctx, "hubspot", directory.Link{}, 10); err != nil || len(one) != 1 || directory.KeptText(one[0].Shadow["Phone"]) != "ask Anna" {
			t.Errorf("of one account: %+v, error %v", one, err)
		}
	})
}
