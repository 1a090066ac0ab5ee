package store_test

import (
	"maps"
	"testing"

	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// While a call is out, the recorder may take in what the account shows. What the
// call wrote holds for its own fields, the recorder's word for the others.
func TestWhatWasObservedDuringACallStays(t *testing.T) {
	linked := map[string]string{"a": "1", "b": "2"}
	type link struct {
		record string
		shadow map[string]string
		state  directory.State
	}
	tests := map[string]struct {
		before   link            // as the worker has loaded it
		observed *directory.Link // what the recorder makes of it meanwhile
		revived  bool            // and a message comes then
		outcome  link
		want     link
	}{
		"another field was edited there": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{RecordID: "501", Shadow: map[string]string{"a": "1", "b": "edited"}},
			outcome:  link{"501", map[string]string{"a": "written", "b": "2"}, directory.Agreed},
			want:     link{"501", map[string]string{"a": "written", "b": "edited"}, directory.Agreed},
		},
		"the call has failed": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{RecordID: "501", Shadow: map[string]string{"a": "edited", "b": "2", "c": "3"}},
			outcome:  link{"501", linked, directory.Pending},
			want:     link{"501", map[string]string{"a": "edited", "b": "2", "c": "3"}, directory.Pending},
		},
		"the same field was edited there": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{RecordID: "501", Shadow: map[string]string{"a": "edited", "b": "2"}},
			outcome:  link{"501", map[string]string{"a": "written", "b": "2"}, directory.Agreed},
			want:     link{"501", map[string]string{"a": "written", "b": "2"}, directory.Agreed},
		},
		"the record was deleted there": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{State: directory.Skipped, Reason: directory.Deleted},
			outcome:  link{"501", linked, directory.Agreed},
			want:     link{"", nil, directory.Skipped},
		},
		"the record was deleted there, and they have written since": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{State: directory.Skipped, Reason: directory.Deleted},
			revived:  true,
			outcome:  link{"501", linked, directory.Agreed},
			want:     link{"", nil, directory.Pending},
		},
		"the record that is made was observed first": {
			observed: &directory.Link{RecordID: "501", Shadow: map[string]string{"b": "entered"}, State: directory.Pending},
			outcome:  link{"501", map[string]string{"a": "written"}, directory.Agreed},
			want:     link{"501", map[string]string{"a": "written", "b": "entered"}, directory.Agreed},
		},
		"another record of theirs was observed": {
			observed: &directory.Link{RecordID: "777", Shadow: map[string]string{"b": "entered"}, State: directory.Pending},
			outcome:  link{"501", map[string]string{"a": "written"}, directory.Agreed},
			want:     link{"501", map[string]string{"a": "written"}, directory.Agreed},
		},
		"they were linked while the create has failed": {
			observed: &directory.Link{RecordID: "777", Shadow: map[string]string{"b": "entered"}, State: directory.Pending},
			outcome:  link{"", nil, directory.Pending},
			want:     link{"777", map[string]string{"b": "entered"}, directory.Pending},
		},
		"the vendor has merged the record, and both have seen it": {
			before:   link{"501", linked, ""},
			observed: &directory.Link{RecordID: "777", Shadow: map[string]string{"a": "1", "b": "edited"}},
			outcome:  link{"777", map[string]string{"a": "written", "b": "2"}, directory.Agreed},
			want:     link{"777", map[string]string{"a": "written", "b": "edited"}, directory.Agreed},
		},
		"the record turns out to be somebody else's": {
			before:  link{"501", linked, ""},
			outcome: link{"", nil, directory.Pending},
			want:    link{"", nil, directory.Pending},
		},
	}
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		number := lease(t, db, "a")
		for name, test := range tests {
			id := newContact(t, db, "15550100")
			want(t, db, directory.ContactEntity, id, 1)
			work, _ := load(t, db, directory.ContactEntity, id)
			entity := work.Link.Entity
			if test.before.record != "" {
				settle(t, db, number, directory.Link{Account: "hubspot", Entity: entity, RecordID: test.before.record, Shadow: test.before.shadow, State: directory.Agreed}, 1)
				want(t, db, directory.ContactEntity, id, 2)
				work, _ = load(t, db, directory.ContactEntity, id)
			}
			if o := test.observed; o != nil {
				o.Account, o.Entity, o.Wanted = "hubspot", entity, work.Link.Wanted
				record(t, db, func(tx directory.Tx) error { return tx.SaveRecords([]directory.Link{*o}) })
			}
			if test.revived {
				record(t, db, func(tx directory.Tx) error {
					return tx.Want([]directory.Want{{Account: "hubspot", Entity: entity, Version: 2, Revive: true}})
				})
			}
			out := work.Link
			out.RecordID, out.Shadow, out.State = test.outcome.record, test.outcome.shadow, test.outcome.state
			if _, err := db.Settle(ctx, "hubspot", number, []directory.Outcome{{Before: work.Link, Link: out, Loaded: work.Link.Wanted}}); err != nil {
				t.Fatal(err)
			}
			got := linkOf(t, db, id)
			if got.RecordID != test.want.record || got.State != test.want.state || !maps.Equal(got.Shadow, test.want.shadow) {
				t.Errorf("%s: record %q, shadow %v, %s; want %+v", name, got.RecordID, got.Shadow, got.State, test.want)
			}
			if test.observed != nil && test.want.state == directory.Skipped && got.Reason != directory.Deleted {
				t.Errorf("%s: reason %q", name, got.Reason)
			}
		}
	})
}

// linkOf is a contact's link in HubSpot.
func linkOf(t *testing.T, db *store.DB, id int64) (link directory.Link) {
	t.Helper()
	record(t, db, func(tx directory.Tx) error {
		links, err := tx.Records([]directory.RecordKey{{Account: "hubspot", ID: "none"}}, []int64{id})
		for _, l := range links {
			if l.Entity.ID == id {
				link = l
			}
		}
		return err
	})
	return link
}
