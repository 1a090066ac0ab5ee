package connectortest

import (
	"fmt"
	"testing"

	"crmsync/connectors"
)

func merge(t *testing.T, v Vendor) {
	a := v.open(t)
	one, two := v.person(1), v.person(2)
	delete(one.Fields, v.Names.Number)
	two.Fields[v.Names.Number] = int64(42)
	ids := a.write(t, one, two)
	a.logged(t, ids[1], 1)
	first := a.MergeContacts(t.Context(), ids[0], ids[1])
	if first.Err != nil && first.Err.Code == connectors.NotOffered {
		if first.Err.Class != connectors.Rejected || first.Err.Reason == "" {
			t.Errorf("not offered: %+v", first.Err)
		}
		if s := a.stats(t); s.Contacts != 2 {
			t.Errorf("%+v, want both contacts", s)
		}
		return
	}
	if first.Err != nil || first.RecordID == "" {
		t.Fatalf("merged: %+v", first)
	}
	// The answer may have been lost.
	if again := a.MergeContacts(t.Context(), ids[0], ids[1]); again.Err != nil || again.RecordID != first.RecordID {
		t.Errorf("merged again: %+v, want %s", again, first.RecordID)
	}
	got := a.read(t, first.RecordID, v.Names.First, v.Names.Number)
	if got.Fields[v.Names.First] != one.Fields[v.Names.First] || fmt.Sprint(got.Fields[v.Names.Number]) != "42" {
		t.Errorf("the record shows %v, want its own name and the other's number", got.Fields)
	}
	if s := a.stats(t); s.Contacts != 1 || s.Messages != 1 {
		t.Errorf("%+v, want one contact with the message", s)
	}
	for _, keep := range []string{"999999999", "nobody"} {
		if r := a.MergeContacts(t.Context(), keep, first.RecordID); r.Err == nil || r.Err.Class != connectors.Conflict {
			t.Errorf("a merge into a record that is not there: %+v, want a conflict", r)
		}
	}
}
