package record_test

import (
	"testing"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// The mapping is edited while facts are recorded. A value's line is one of the
// revision that the value names.
func TestABatchIsRecordedWithOneMapping(t *testing.T) {
	t.Parallel()
	var both []*mapping.Mapping
	lines := map[string]int{} // on which the name is, by revision
	for i, before := range []string{"", "      Phone: phone\n"} {
		m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts:\n  zoho:\n    contact:\n"+before+"      First_Name: first_name\n"))
		if err != nil {
			t.Fatal(err)
		}
		both, lines[m.Revision()] = append(both, m), 5+i
	}
	r, db := recorder(t)
	asked := 0
	r.Mapping = func() *mapping.Mapping { asked++; return both[asked%2] }
	apply(t, r, message("w1", 0, kerry(), connectors.In, "Hello!"))
	kerry := func() *directory.Contact {
		t.Helper()
		people, err := db.ContactsOf(ctx, []int64{1})
		if err != nil || people[1] == nil {
			t.Fatalf("the contact is %v, error %v", people[1], err)
		}
		return people[1]
	}
	link := directory.Link{Account: "zoho", Entity: directory.Entity{Kind: directory.ContactEntity, ID: kerry().ID}, RecordID: "7", State: directory.Agreed}
	if err := db.Record(ctx, func(tx directory.Tx) error { return tx.SaveRecords([]directory.Link{link}) }); err != nil {
		t.Fatal(err)
	}
	f := fact("observed", connectors.KindObserved, 1, nil)
	f.Account, f.ID = "zoho", directory.FactID("zoho", f.Key)
	f.Observed = &connectors.Observed{ID: "7", Fields: map[string]string{"First_Name": "Kerry Anne"}}
	apply(t, r, f)
	if v := kerry().Fields["first_name"]; v.Text != "Kerry Anne" || v.Line == 0 || v.Line != lines[v.Revision] {
		t.Errorf("the value is %q of line %d in revision %s; the lines are %v", v.Text, v.Line, v.Revision, lines)
	}
}
