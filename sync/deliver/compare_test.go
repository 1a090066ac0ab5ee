package deliver

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

func TestWhatPeopleOwnIsNotCompared(t *testing.T) {
	want := map[string]any{"name": "Zoë", "note": nil, "city": nil, "gone": nil}
	shadow := map[string]string{"name": directory.KeptShadow, "city": "Roma", "gone": ""}
	got := map[string]any{"name": "Zoë Rossi", "note": "theirs", "city": "Milano", "gone": "theirs"}
	if fields := differing(want, shadow, got, nil); !slices.Equal(fields, []string{"city"}) {
		t.Errorf("differing %v, want city", fields)
	}
}

// crowd is an account with contacts and messages, and the store that knows
// them.
type crowd struct {
	contacts, messages []directory.Work
	gone               map[string]bool // records
	meanwhile          func(w directory.Work) bool
	most               int
	fail               *connectors.Error
}

func newCrowd(n int) *crowd {
	c := &crowd{gone: map[string]bool{}, meanwhile: func(directory.Work) bool { return false }}
	for id := range int64(n) {
		contact := &directory.Contact{ID: id, Fields: map[string]directory.Value{"first_name": {Text: "Zoë"}}}
		link := directory.Link{Entity: contactEntityOf(id), RecordID: "c" + string(rune('A'+id)), State: directory.Agreed}
		c.contacts = append(c.contacts, directory.Work{Link: link, Contact: contact})
		link.Entity.Kind, link.RecordID = directory.MessageEntity, "m"+link.RecordID
		c.messages = append(c.messages, directory.Work{Link: link, Contact: contact, Message: &directory.Message{ID: id, WAMID: link.RecordID, Text: "x"}})
	}
	return c
}

func contactEntityOf(id int64) directory.Entity {
	return directory.Entity{Kind: directory.ContactEntity, ID: id}
}

func (c *crowd) Sample(_ context.Context, _ string, kind directory.EntityKind, n int) ([]directory.Work, error) {
	list := c.contacts
	if kind == directory.MessageEntity {
		list = c.messages
	}
	return slices.Clone(list[:min(n, len(list))]), nil
}

func (c *crowd) StillAgreed(_ context.Context, _ string, _ directory.EntityKind, list []directory.Work) ([]directory.Work, error) {
	return slices.DeleteFunc(slices.Clone(list), c.meanwhile), nil
}

func (c *crowd) Limits() connectors.Limits { return connectors.Limits{Contacts: 100, Messages: 100} }

func (c *crowd) ReadContacts(_ context.Context, ids, fields []string) []connectors.Reading {
	c.most = max(c.most, len(ids))
	readings := make([]connectors.Reading, len(ids))
	for i, id := range ids {
		if readings[i].Err = c.fail; c.fail == nil && !c.gone[id] {
			readings[i].Record = connectors.Record{ID: id, Fields: map[string]any{fields[0]: "Zoë"}}
		}
	}
	return readings
}

func (c *crowd) FindMessages(_ context.Context, changes []connectors.MessageChange) []connectors.Result {
	results := make([]connectors.Result, len(changes))
	for i, ch := range changes {
		if !c.gone[ch.WAMID] {
			results[i].RecordID = ch.WAMID
		}
	}
	return results
}

func (c *crowd) compare(t *testing.T, n int) *consistency {
	t.Helper()
	m, err := mapping.Compile("mapping.yaml", []byte("version: 1\naccounts:\n  hubspot:\n    contact:\n      firstname: first_name\n"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	found, err := (&Comparison{
		Account: "hubspot", Connector: c, Store: c, Mapping: m, Rest: time.Second,
		Wait: func(context.Context) error { return nil },
	}).Run(t.Context(), n)
	return &consistency{found.Contacts, found.Messages, found.Missing, found.Differing, found.Problem, err, time.Since(began)}
}

type consistency struct {
	contacts, messages, missing, differing int
	problem                                string
	err                                    error
	took                                   time.Duration
}

func TestAComparisonFindsWhatIsGoneAndLeavesTheAccountAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(26)
		if got := c.compare(t, 1000); got.contacts != 26 || got.messages != 26 || got.missing+got.differing != 0 || got.took < 2*time.Second {
			t.Errorf("all is well: %+v", got)
		}
		if got := c.compare(t, 10); got.contacts != 5 || got.messages != 5 {
			t.Errorf("a sample of ten: %+v", got)
		}
		c.messages = c.messages[:2]
		if got := c.compare(t, 10); got.contacts != 8 || got.messages != 2 {
			t.Errorf("a sample of ten where there are two messages: %+v", got)
		}
		c.gone["cA"], c.gone["mcB"] = true, true
		if got := c.compare(t, 1000); got.missing != 2 || got.differing != 0 || got.err != nil {
			t.Errorf("a contact and a message are gone: %+v", got)
		}
		// What is being written just now says nothing.
		c.meanwhile = func(w directory.Work) bool { return w.Link.RecordID == "cA" }
		if got := c.compare(t, 1000); got.missing != 1 {
			t.Errorf("one of them is being written: %+v", got)
		}
		c.contacts[2].Contact = &directory.Contact{ID: 2, Fields: map[string]directory.Value{"first_name": {Text: "Zoe"}}}
		if got := c.compare(t, 1000); got.missing != 1 || got.differing != 1 {
			t.Errorf("somebody is called otherwise: %+v", got)
		}
		c.fail = &connectors.Error{Class: connectors.Unauthorized, Reason: "the token is not accepted"}
		if got := c.compare(t, 1000); got.err == nil || !strings.Contains(got.problem, "token") || got.missing != 0 {
			t.Errorf("an account that does not answer has lost nothing: %+v", got)
		}
	})
}
