package connectortest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

// task is the nth task, about a contact.
func task(contact string, n int) connectors.TaskChange {
	return connectors.TaskChange{
		ContactRecordID: contact, Key: fmt.Sprintf("5ca1ab1e%04d", n), Title: fmt.Sprintf("Call back: Zoë %d", n),
		Text: "Perché no? 1631555\n<b>&</b> 😀", Due: time.Date(2026, 12, 2, 9, 30, 0, 0, time.UTC), Priority: connectors.HighPriority,
	}
}

// openTasks opens an account that is set up for tasks.
func (v *Vendor) openTasks(t *testing.T) *Account {
	t.Helper()
	a := v.open(t)
	first, err := a.SetupTasks(t.Context(), true)
	if err != nil {
		t.Fatalf("set-up of tasks: %v", err)
	}
	again, err := a.SetupTasks(t.Context(), false)
	if err != nil || len(again) > len(first) {
		t.Errorf("set-up of tasks: %+v when it was done (error %v), %+v before", again, err, first)
	}
	for _, f := range again {
		if f.Fatal {
			t.Errorf("set-up of tasks: %+v is fatal", f)
		}
	}
	return a
}

type shownTask struct {
	ID        string `json:"id"`
	ContactID string `json:"contact_id"`
	Title     string `json:"title"`
	Text      string `json:"text"`
	Owner     string `json:"owner"`
	Due       string `json:"due"`
	Priority  string `json:"priority"`
}

func (a *Account) tasks(t *testing.T, contact string) (all []shownTask) {
	t.Helper()
	a.get(t, "tasks?contact_id="+url.QueryEscape(contact), &all)
	return all
}

// learnTasks has the connector learn what tasks need, so that it does not later.
func (a *Account) learnTasks(t *testing.T, contact string) {
	t.Helper()
	if r := a.FindTasks(t.Context(), []connectors.TaskChange{task(contact, 999)})[0]; r.Err != nil || r.RecordID != "" {
		t.Fatalf("looking for a task that is not there: %+v", r)
	}
}

func taskLife(t *testing.T, v Vendor) {
	a := v.openTasks(t)
	contact, users := a.write(t, v.person(1))[0], a.users(t)
	byID, byMail := task(contact, 1), task(contact, 2)
	byID.Owner, byMail.Owner, byMail.Priority, byMail.Text = users[0].ID, strings.ToUpper(users[1].Email), "", ""
	changes := []connectors.TaskChange{byID, byMail}
	a.learnTasks(t, contact)
	created := a.CreateTasks(t.Context(), changes)
	for i, r := range created {
		if r.Err != nil || r.RecordID == "" || !r.Created {
			t.Fatalf("task %d: %+v", i+1, r)
		}
	}
	found := a.FindTasks(t.Context(), []connectors.TaskChange{byMail, task(contact, 3), byID})
	if found[0].RecordID != created[1].RecordID || found[1].RecordID != "" || found[1].Err != nil || found[2].RecordID != created[0].RecordID {
		t.Errorf("created %+v, found %+v", created, found)
	}
	shown := a.tasks(t, contact)
	if len(shown) != 2 {
		t.Fatalf("the account shows %+v, want two tasks", shown)
	}
	for i, want := range changes {
		at := slices.IndexFunc(shown, func(s shownTask) bool { return s.ID == created[i].RecordID })
		if at < 0 {
			t.Fatalf("task %d is not there: %+v", i+1, shown)
		}
		got := shown[at]
		if got.Title != want.Title || !strings.HasPrefix(got.Text, want.Text) || got.Owner != users[i].ID || !strings.HasPrefix(got.Due, "2026-12-02") || got.ContactID != contact {
			t.Errorf("the account shows %+v, want %+v with owner %s", got, want, users[i].ID)
		}
	}
	if shown[0].Priority == shown[1].Priority {
		t.Errorf("both have priority %q", shown[0].Priority)
	}
	fine(t, "tasks", 3, a.EraseTasks(t.Context(), []string{created[0].RecordID, "999999999", "nobody"}))
	fine(t, "tasks again", 1, a.EraseTasks(t.Context(), []string{created[0].RecordID}))
	a.EraseContacts(t.Context(), []string{contact})
	fine(t, "the other one", 1, a.EraseTasks(t.Context(), []string{created[1].RecordID}))
	if s := a.stats(t); s.Tasks != 0 {
		t.Errorf("%+v, want no task left", s)
	}
}

// users are the active ones with an e-mail address, two at least.
func (a *Account) users(t *testing.T) []connectors.User {
	t.Helper()
	users, err := a.ListUsers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	users = slices.DeleteFunc(users, func(u connectors.User) bool { return !u.Active || u.Email == "" })
	if len(users) < 2 {
		t.Fatalf("the simulator has %d active users with an e-mail address, want two", len(users))
	}
	return users
}

func sameTaskInABatch(t *testing.T, v Vendor) {
	a := v.openTasks(t)
	contact := a.write(t, v.person(1))[0]
	r := a.CreateTasks(t.Context(), []connectors.TaskChange{task(contact, 1), task(contact, 1), task(contact, 2)})
	for i := range r {
		if r[i].Err != nil {
			t.Fatalf("task %d: %v", i+1, r[i].Err)
		}
	}
	if s := a.stats(t); r[0].RecordID != r[1].RecordID || r[0].RecordID == r[2].RecordID || s.Tasks != 2 || s.DuplicateTasks != 0 {
		t.Errorf("records %+v, %+v; want two tasks", r, s)
	}
}

func taskOfContactsOwner(t *testing.T, v Vendor) {
	a := v.openTasks(t)
	owner := a.users(t)[1]
	p := v.person(1)
	p.Fields[v.Names.Owner] = owner.ID
	contact := a.write(t, p)[0]
	if r := a.CreateTasks(t.Context(), []connectors.TaskChange{task(contact, 1)})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if shown := a.tasks(t, contact); len(shown) != 1 || shown[0].Owner != owner.ID {
		t.Errorf("the account shows %+v, want one task of %s", shown, owner.ID)
	}
}

func badTasks(t *testing.T, v Vendor) {
	a := v.openTasks(t)
	ids := a.write(t, v.person(1), v.person(2))
	nobody, mail, gone, placeless, keyless := task(ids[0], 2), task(ids[0], 3), task(ids[1], 4), task("", 5), task(ids[0], 6)
	nobody.Owner, mail.Owner, keyless.Key = "999999999", "nobody@example.com", ""
	a.control(t, "DELETE", "contacts?id="+url.QueryEscape(ids[1]), nil, nil)
	changes := []connectors.TaskChange{task(ids[0], 1), nobody, mail, gone, placeless, keyless, task(ids[0], 7)}
	want := []connectors.Class{"", connectors.Rejected, connectors.Rejected, connectors.Conflict, connectors.Conflict, connectors.Rejected, ""}
	for i, r := range a.CreateTasks(t.Context(), changes) {
		switch {
		case want[i] == "" && r.Err != nil:
			t.Errorf("task %d: %v, want it created", i+1, r.Err)
		case want[i] != "" && (r.Err == nil || r.Err.Class != want[i]):
			t.Errorf("task %d: %v, want %s", i+1, r.Err, want[i])
		case r.Err != nil && (strings.Contains(r.Err.Error(), "nobody@") || strings.Contains(r.Err.Error(), "Zoë") || strings.Contains(r.Err.Error(), "1631555")):
			t.Errorf("task %d: the failure %q carries what it must not", i+1, r.Err)
		}
	}
	if s := a.stats(t); s.Tasks != 2 {
		t.Errorf("%+v, want two tasks", s)
	}
	a.fault(t, map[string]any{"mode": "reject", "match": "Zoë 12"})
	changes = []connectors.TaskChange{task(ids[0], 11), task(ids[0], 12), task(ids[0], 13)}
	for i, r := range a.CreateTasks(t.Context(), changes) {
		if (r.Err != nil) != (i == 1) || r.Err != nil && (r.Err.Class != connectors.Rejected || strings.Contains(r.Err.Error(), "Zoë")) {
			t.Errorf("task %d: %v, want the second refused only", i+1, r.Err)
		}
	}
	a.needsFault(t, "reject")
}

func lostTask(t *testing.T, v Vendor) {
	a := v.openTasks(t)
	contact := a.write(t, v.person(1))[0]
	a.learnTasks(t, contact)
	list := []connectors.TaskChange{task(contact, 1), task(contact, 2)}
	// Of what is read before it, the answers come.
	for reads := 0; a.stats(t).Tasks == 0; reads++ {
		a.fault(t, map[string]any{"mode": "none"})
		a.fault(t, map[string]any{"mode": "reset_after_commit", "after": reads})
		results := a.CreateTasks(t.Context(), list)
		made := a.stats(t).Tasks > 0
		for i, r := range results {
			if r.Err == nil || made && r.Err.Class != connectors.UnknownOutcome || !made && !r.Err.Class.AccountTrouble() {
				t.Fatalf("task %d: %v, want the outcome unknown, or the account's trouble when nothing was made", i+1, r.Err)
			}
		}
	}
	a.needsFault(t, "reset_after_commit")
	a.fault(t, map[string]any{"mode": "none"})
	var again []connectors.TaskChange
	for i, r := range a.FindTasks(t.Context(), list) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.RecordID == "" {
			again = append(again, list[i])
		}
	}
	if len(again) > 0 {
		a.CreateTasks(t.Context(), again)
	}
	if s := a.stats(t); s.Tasks != 2 || s.DuplicateTasks != 0 {
		t.Errorf("%+v, want two tasks", s)
	}
}
