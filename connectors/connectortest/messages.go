package connectortest

import (
	"strings"
	"testing"

	"crmsync/connectors"
)

func messageLife(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	m := message(contact, 1)
	if r := a.FindMessages(t.Context(), []connectors.MessageChange{m})[0]; r.Err != nil || r.RecordID != "" {
		t.Fatalf("found before it was written: %+v", r)
	}
	out := message(contact, 2)
	out.Direction, out.Status = connectors.Out, "sent"
	created := a.CreateMessages(t.Context(), []connectors.MessageChange{m, out})
	for i, r := range created {
		if r.Err != nil || r.RecordID == "" {
			t.Fatalf("message %d: %+v", i, r)
		}
	}
	found := a.FindMessages(t.Context(), []connectors.MessageChange{out, m, message(contact, 3)})
	if found[0].RecordID != created[1].RecordID || found[1].RecordID != created[0].RecordID || found[2].RecordID != "" || found[2].Err != nil {
		t.Errorf("created %+v, found %+v", created, found)
	}
	check := func(want connectors.MessageChange) {
		t.Helper()
		got := a.messages(t, want.WAMID)
		if len(got) != 1 || got[0].Text != want.Text || got[0].Status != want.Status || got[0].Direction != string(want.Direction) || got[0].ContactID != contact {
			t.Errorf("the account shows %+v, want %+v", got, want)
		}
	}
	check(m)
	check(out)
	m.RecordID, out.RecordID = created[0].RecordID, created[1].RecordID
	m.Text, out.Status = "edited [b]a[/b] <b> & — WhatsApp in · wamid.X", "read"
	for i, r := range a.UpdateMessages(t.Context(), []connectors.MessageChange{m, out}) {
		if r.Err != nil {
			t.Fatalf("update %d: %v", i, r.Err)
		}
	}
	check(m)
	check(out)
	if s := a.stats(t); s.Messages != 2 || s.DuplicateMessages != 0 {
		t.Errorf("%+v, want two messages", s)
	}
}

func sameMessageInABatch(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	r := a.CreateMessages(t.Context(), []connectors.MessageChange{message(contact, 1), message(contact, 1), message(contact, 2)})
	for i := range r {
		if r[i].Err != nil {
			t.Fatalf("message %d: %v", i, r[i].Err)
		}
	}
	if r[0].RecordID != r[1].RecordID || r[0].RecordID == r[2].RecordID {
		t.Errorf("records = %+v", r)
	}
	if s := a.stats(t); s.Messages != 2 || s.DuplicateMessages != 0 {
		t.Errorf("%+v, want two messages", s)
	}
}

func sameWAMID(t *testing.T, v Vendor) {
	a := v.open(t)
	ids := a.write(t, v.person(1), v.person(2))
	one, two := message(ids[0], 1), message(ids[1], 1)
	two.BusinessNumber = "2000"
	r := a.CreateMessages(t.Context(), []connectors.MessageChange{one, two})
	if r[0].Err != nil || r[1].Err != nil || r[0].RecordID == r[1].RecordID {
		t.Fatalf("results = %+v, want two messages", r)
	}
	if found := a.FindMessages(t.Context(), []connectors.MessageChange{two, one}); found[0].RecordID != r[1].RecordID || found[1].RecordID != r[0].RecordID {
		t.Errorf("created %+v, found %+v", r, found)
	}
}

func longMessage(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	m := message(contact, 1)
	m.Text = strings.Repeat("ü😀 ", 1365) // WhatsApp's 4,096 characters
	if r := a.CreateMessages(t.Context(), []connectors.MessageChange{m})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := a.messages(t, m.WAMID); len(got) != 1 || strings.TrimSpace(got[0].Text) != strings.TrimSpace(m.Text) {
		t.Errorf("%d messages, or another text", len(got))
	}
}
