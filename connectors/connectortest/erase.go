package connectortest

import (
	"slices"
	"testing"

	"crmsync/connectors"
)

func erase(t *testing.T, v Vendor) {
	a := v.open(t)
	ids := a.write(t, v.person(1), v.person(2), v.person(3))
	var logged []string
	for n, contact := range ids[:2] {
		logged = append(logged, a.logged(t, contact, n+1).RecordID, a.logged(t, contact, n+3).RecordID)
	}
	gone := []string{ids[0], "999999999", "nobody", ids[2], ids[0]}
	fine(t, "contacts", len(gone), a.EraseContacts(t.Context(), gone))
	fine(t, "messages", 4, a.EraseMessages(t.Context(), []string{logged[0], "999999999", "nobody", logged[1]}))
	if s := a.stats(t); s.Contacts != 1 || s.Messages != 2 {
		t.Errorf("%+v, want one contact with two messages", s)
	}
	readings := a.ReadContacts(t.Context(), ids, []string{v.Names.First})
	for i, there := range []bool{false, true, false} {
		if readings[i].Err != nil || (readings[i].Record.ID != "") != there {
			t.Errorf("contact %d: %+v, want it there: %v", i+1, readings[i], there)
		}
	}
	fine(t, "contacts again", len(gone), a.EraseContacts(t.Context(), gone))
	fine(t, "messages again", 2, a.EraseMessages(t.Context(), logged[:2]))
	fine(t, "no contacts", 0, a.EraseContacts(t.Context(), nil))
	fine(t, "no messages", 0, a.EraseMessages(t.Context(), nil))
	if s := a.stats(t); s.Contacts != 1 || s.Messages != 2 {
		t.Errorf("%+v after erasing again, want the same", s)
	}
	// The same person may come back.
	if back := a.write(t, v.person(1))[0]; slices.Contains(ids, back) {
		t.Errorf("the person came back as %s, which was erased", back)
	}
}

func lostErasure(t *testing.T, v Vendor) {
	a := v.open(t)
	ids := a.write(t, v.person(1), v.person(2))
	logged := []string{a.logged(t, ids[0], 1).RecordID, a.logged(t, ids[1], 2).RecordID}
	a.fault(t, map[string]any{"mode": "reset_after_commit"})
	for i, r := range a.EraseContacts(t.Context(), ids) {
		if r.Err == nil || !r.Err.Class.AccountTrouble() {
			t.Errorf("contact %d: %v, want the account's trouble", i+1, r.Err)
		}
	}
	for i, r := range a.EraseMessages(t.Context(), logged) {
		if r.Err != nil && !r.Err.Class.AccountTrouble() {
			t.Errorf("message %d: %v, want the account's trouble", i+1, r.Err)
		}
	}
	a.needsFault(t, "reset_after_commit")
	a.fault(t, map[string]any{"mode": "none"})
	fine(t, "contacts", 2, a.EraseContacts(t.Context(), ids))
	fine(t, "messages", 2, a.EraseMessages(t.Context(), logged))
	if s := a.stats(t); s.Contacts != 0 || s.Messages != 0 {
		t.Errorf("%+v, want nothing left", s)
	}
}

func fine(t *testing.T, what string, want int, results []connectors.Result) {
	t.Helper()
	if len(results) != want {
		t.Fatalf("%s: %d results, want %d", what, len(results), want)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %d: %v", what, i+1, r.Err)
		}
	}
}
