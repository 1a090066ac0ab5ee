// Package connectortest is one conformance suite for all connectors. It asks
// what the engine relies on, of a connector that speaks to its vendor's
// simulator.
package connectortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"crmsync/connectors"
)

// A Vendor is what the suite has to know about one vendor.
type Vendor struct {
	// Open starts a simulated account without quotas, for one test.
	Open func(t *testing.T) *Account
	// Names are the vendor's names of the fields that the suite writes.
	Names Names
	// Cannot says why a vendor cannot pass a test, by the test's name.
	Cannot map[string]string
	// Webhook returns a receiver and what it accepts. It is nil where Cannot
	// says why there are no webhooks.
	Webhook func(t *testing.T) Webhook
}

// An Account is a connector and the control plane of the account that it
// speaks to.
type Account struct {
	connectors.Connector
	// Sim is the address of the simulator, whose control plane is under
	// /_sim/. docs/connectors.md says what that has to answer.
	Sim string
	// Secrets must not appear in any error.
	Secrets []string
}

// Names are the vendor's names of contact fields. First, Last, Phone and Owner
// exist; the others are created by the suite's set-up. Bad is one of these or
// another, and BadValue what the vendor refuses for it. What a vendor has no
// field for is empty, and the tests that write it are in [Vendor.Cannot].
type Names struct {
	First, Last, Phone, Owner      string
	Text, Long, Number, Time, Enum string
	Labels                         string
	Bad                            string
	BadValue                       any
}

// Run holds a vendor against the suite.
func Run(t *testing.T, v Vendor) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range cases {
		known[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			if why := v.Cannot[c.name]; why != "" {
				t.Logf("cannot: %s", why)
				return
			}
			t.Parallel()
			c.run(t, v)
		})
	}
	for name := range v.Cannot {
		if !known[name] {
			t.Errorf("there is no test %q to be excused from", name)
		}
	}
}

// RunTasks holds a vendor against the part of the suite that is about tasks, in an
// account where these are written in another way.
func RunTasks(t *testing.T, v Vendor) {
	t.Helper()
	for name, run := range map[string]func(*testing.T, Vendor){
		"life": taskLife, "same": sameTaskInABatch, "owner": taskOfContactsOwner, "bad": badTasks, "lost": lostTask,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, v)
		})
	}
}

// cases are the tests, in the order in which they are read.
var cases = []struct {
	name string
	run  func(t *testing.T, v Vendor)
}{
	{"the account says which one it is", identity},
	{"set-up twice finds nothing to do", setupTwice},
	{"the same contact twice is one record", sameContactTwice},
	{"somebody whom a person has entered is found by phone", foundByPhone},
	{"what a person has entered stays", enteredStays},
	{"records of other people are left alone", othersLeftAlone},
	{"three bad rows of a hundred do not hold up the others", badRows},
	{"the same contact twice in a batch is one record", sameContactInABatch},
	{"the same contact in two calls at once is one record", sameContactAtOnce},
	{"values come back as they were written", roundTrip},
	{"a field that is not written is left alone, and nil clears", absentAndEmpty},
	{"text that no vendor takes is refused or cleaned", oddText},
	{"labels are a set", labels},
	{"two records are merged once", merge},
	{"who is erased is gone, with the messages", erase},
	{"an erasure whose answer was lost is made again", lostErasure},
	{"an owner is set by id and by e-mail", owner},
	{"a message is written, found and updated", messageLife},
	{"the same message twice in a batch is one message", sameMessageInABatch},
	{"messages of two numbers may have one wamid", sameWAMID},
	{"a long message arrives", longMessage},
	{"a file is attached once, and stays", fileOnce},
	{"a task is created once, found and erased", taskLife},
	{"the same task twice in a batch is one task", sameTaskInABatch},
	{"a task without an owner is the contact's owner's", taskOfContactsOwner},
	{"bad tasks of a batch do not hold up the others", badTasks},
	{"fields are described", describe},
	{"reading equals listing", readEqualsList},
	{"listing loses and doubles nothing while records change", listWhileChanging},
	{"changed since lists what has changed", changedSince},
	{"deletions are told", deletions},
	{"each failure has its class", failureClasses},
	{"a lost answer leaves one contact after the retry", lostContact},
	{"a lost answer leaves one message after looking", lostMessage},
	{"a lost answer leaves one task after looking", lostTask},
	{"a lost answer leaves one file after looking", lostFile},
	{"an expired token is no trouble", expiredToken},
	{"a cancelled call returns at once", cancelled},
	{"no failure carries a secret, a number or a text", privacy},
	{"many at once", concurrent},
	{"forged and broken webhooks are refused", webhooks},
}

// open opens an account that is set up.
func (v *Vendor) open(t *testing.T) *Account {
	t.Helper()
	a := v.Open(t)
	findings, err := a.Setup(t.Context(), v.fields(), true)
	if err != nil {
		t.Fatalf("set-up: %v", err)
	}
	for _, f := range findings {
		if f.Fatal {
			t.Fatalf("set-up: %+v", f)
		}
	}
	return a
}

func (v *Vendor) fields() []connectors.Field {
	n := v.Names
	all := []connectors.Field{
		{Name: n.First, Label: "First name", Type: connectors.TypeText},
		{Name: n.Last, Label: "Last name", Type: connectors.TypeText},
		{Name: n.Phone, Label: "Phone", Type: connectors.TypePhone},
		{Name: n.Owner, Label: "Owner", Type: connectors.TypeOwner},
		{Name: n.Text, Label: "Suite text", Type: connectors.TypeText},
		{Name: n.Long, Label: "Suite long", Type: connectors.TypeLong},
		{Name: n.Number, Label: "Suite number", Type: connectors.TypeNumber},
		{Name: n.Time, Label: "Suite time", Type: connectors.TypeTime},
		{Name: n.Enum, Label: "Suite choice", Type: connectors.TypeEnum, Options: []string{"in", "out"}},
		{Name: n.Labels, Label: "Suite labels", Type: connectors.TypeLabels, Options: []string{"vip", "new"}},
	}
	var named []connectors.Field
	for _, f := range all {
		if f.Name != "" {
			named = append(named, f)
		}
	}
	return named
}

// person is the nth contact, as crmsync would write it for the first time.
func (v *Vendor) person(n int) connectors.ContactChange {
	digits := fmt.Sprintf("1631555%04d", n)
	return connectors.ContactChange{Key: digits, Phones: []string{"+" + digits}, Fields: map[string]any{
		v.Names.First: fmt.Sprintf("Zoë %d 🌊", n), v.Names.Last: fmt.Sprintf("شيماء %d", n), v.Names.Phone: "+" + digits,
	}}
}

// write writes contacts and returns their records.
func (a *Account) write(t *testing.T, changes ...connectors.ContactChange) []string {
	t.Helper()
	for _, ch := range changes {
		if _, ok := ch.Fields[""]; ok {
			t.Fatal("the test writes a field that Names leaves empty: name one, or say in Cannot why the vendor has none")
		}
	}
	ids := make([]string, len(changes))
	for i, r := range a.WriteContacts(t.Context(), changes) {
		if r.Err != nil || r.RecordID == "" {
			t.Fatalf("contact %d: record %q, failure %v", i, r.RecordID, r.Err)
		}
		ids[i] = r.RecordID
	}
	return ids
}

// read reads one record.
func (a *Account) read(t *testing.T, id string, fields ...string) connectors.Record {
	t.Helper()
	r := a.ReadContacts(t.Context(), []string{id}, fields)
	if len(r) != 1 || r[0].Err != nil || r[0].Record.ID == "" {
		t.Fatalf("read %s: %+v", id, r)
	}
	return r[0].Record
}

// list lists all contacts that a query asks for.
func (a *Account) list(t *testing.T, q connectors.Query, between func(page int)) []connectors.Record {
	t.Helper()
	var all []connectors.Record
	for page := 0; ; page++ {
		p, err := a.ListContacts(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		all = append(all, p.Records...)
		if p.Next == "" {
			return all
		}
		if page > 1000 {
			t.Fatal("the listing does not end")
		}
		q.Cursor = p.Next
		if between != nil {
			between(page)
		}
	}
}

func message(contact string, n int) connectors.MessageChange {
	return connectors.MessageChange{
		ContactRecordID: contact, WAMID: fmt.Sprintf("wamid.HBgL%d", n), BusinessNumber: "106540352242922", Direction: connectors.In,
		Text: fmt.Sprintf("Perché no? %d 😀", n), At: time.Date(2026, 11, 20, 9, 0, n%60, 0, time.UTC),
	}
}

// Person and Shown are what the control plane shows.
type shownContact struct {
	ID     string         `json:"id"`
	Phone  string         `json:"phone"`
	Name   string         `json:"name"`
	Fields map[string]any `json:"fields"`
}

type shownMessage struct {
	ID        string `json:"id"`
	ContactID string `json:"contact_id"`
	WAMID     string `json:"wamid"`
	Direction string `json:"direction"`
	Text      string `json:"text"`
	Status    string `json:"status"`
	Files     []struct {
		Name   string `json:"name"`
		Size   int    `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"files"`
}

type stats struct {
	Contacts, Messages, Tasks, DuplicateContacts, DuplicateMessages, DuplicateTasks, Faults int
}

// stats are the simulator's counters. One that is missing would read as 0, and
// no duplicate would ever be seen.
func (a *Account) stats(t *testing.T) (s stats) {
	t.Helper()
	var all map[string]any
	a.get(t, "stats", &all)
	for name, into := range map[string]*int{
		"contacts": &s.Contacts, "messages": &s.Messages, "faults": &s.Faults,
		"tasks": &s.Tasks, "duplicate_tasks": &s.DuplicateTasks,
		"duplicate_contacts": &s.DuplicateContacts, "duplicate_messages": &s.DuplicateMessages,
	} {
		n, ok := all[name].(float64)
		if !ok {
			t.Fatalf("the simulator's GET /_sim/stats has no number %q: have it count that", name)
		}
		*into = int(n)
	}
	return s
}

// writes is how many calls have changed something.
func (a *Account) writes(t *testing.T) (n int) {
	t.Helper()
	var all struct{ Writes *int }
	if a.get(t, "stats", &all); all.Writes == nil {
		t.Fatal(`the simulator's GET /_sim/stats has no number "writes": have it count that`)
	}
	return *all.Writes
}

func (a *Account) messages(t *testing.T, wamid string) (all []shownMessage) {
	t.Helper()
	a.get(t, "messages?wamid="+url.QueryEscape(wamid), &all)
	return all
}

func (a *Account) contacts(t *testing.T, phone string) (all []shownContact) {
	t.Helper()
	a.get(t, "contacts?phone="+url.QueryEscape(phone), &all)
	return all
}

func (a *Account) get(t *testing.T, path string, into any) {
	t.Helper()
	a.control(t, http.MethodGet, path, nil, into)
}

// enter makes a contact as a person would, and returns its record.
func (a *Account) enter(t *testing.T, phone string, fields map[string]string) string {
	t.Helper()
	a.control(t, http.MethodPost, "contacts", map[string]any{"phone": phone, "fields": fields}, nil)
	found := a.contacts(t, phone)
	if len(found) != 1 {
		t.Fatalf("the simulator shows %d contacts with the number that POST /_sim/contacts was given, want one", len(found))
	}
	a.advance(t, time.Minute) // search indexes have caught up
	return found[0].ID
}

func (a *Account) seed(t *testing.T, n int) {
	t.Helper()
	a.control(t, http.MethodPost, "contacts", map[string]any{"count": n}, nil)
}

func (a *Account) advance(t *testing.T, d time.Duration) {
	t.Helper()
	a.control(t, http.MethodPost, "clock", map[string]any{"advance": d.String()}, nil)
}

// fault brings a fault about, and "none" ends all.
func (a *Account) fault(t *testing.T, spec map[string]any) {
	t.Helper()
	a.control(t, http.MethodPost, "faults", spec, nil)
}

func (a *Account) control(t *testing.T, method, path string, body, into any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, a.Sim+"/_sim/"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		says, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		t.Fatalf("the simulator's control plane answers %s /_sim/%s with %s: %s", method, path, response.Status, bytes.TrimSpace(says))
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("the simulator's control plane answers %s /_sim/%s with something else than expected: %v", method, path, err)
	}
}
