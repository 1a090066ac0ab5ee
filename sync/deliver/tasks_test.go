package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/audit"
	"crmsync/sync/directory"
)

// task is one that the vendor has.
type task struct {
	connectors.TaskChange
	id string
}

func taskTitles(changes []connectors.TaskChange) []string {
	titles := make([]string, len(changes))
	for i, c := range changes {
		titles[i] = c.Title
	}
	return titles
}

func (v *vendor) SetupTasks(context.Context, bool) ([]connectors.Finding, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls["setup tasks"]++
	if v.fail != nil {
		if err, _ := v.fail("setup tasks", v.calls["setup tasks"], nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (v *vendor) FindTasks(_ context.Context, changes []connectors.TaskChange) []connectors.Result {
	return v.call("find tasks", taskTitles(changes), func(i int) connectors.Result {
		for _, t := range v.tasks {
			if t.Key == changes[i].Key {
				return connectors.Result{RecordID: t.id}
			}
		}
		return connectors.Result{}
	})
}

func (v *vendor) CreateTasks(_ context.Context, changes []connectors.TaskChange) []connectors.Result {
	return v.call("create tasks", taskTitles(changes), func(i int) connectors.Result {
		if v.contacts[changes[i].ContactRecordID] == nil {
			return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT"}}
		}
		t := task{changes[i], fmt.Sprintf("task %d", len(v.tasks))}
		v.tasks = append(v.tasks, t)
		return connectors.Result{RecordID: t.id, Created: true}
	})
}

func (v *vendor) EraseTasks(_ context.Context, ids []string) []connectors.Result {
	return v.call("erase tasks", ids, func(i int) connectors.Result {
		v.tasks = slices.DeleteFunc(v.tasks, func(t task) bool { return t.id == ids[i] })
		return connectors.Result{}
	})
}

// taskNames are the titles of the account's tasks, in order.
func (v *vendor) taskNames() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var names []string
	for _, t := range v.tasks {
		names = append(names, t.Title)
	}
	slices.Sort(names)
	return names
}

const taskRules = `rules:
  - name: help
    when: {keyword: text}
    do: [task: {title: "See to ${name}", text: "${text}", due: 4h, to: anna@example.com, priority: high}]
`

// ruled is a house where each message makes a task.
func ruled(t *testing.T) *house {
	h := newHouse(t)
	m, err := mapping.Compile("mapping.yaml", []byte(mappingText+taskRules))
	if err != nil {
		t.Fatal(err)
	}
	h.recorder.Mapping = func() *mapping.Mapping { return m }
	return h
}

func (h *house) closes() {
	h.t.Helper()
	tally, err := h.db.Audit(context.Background(), audit.Period{}, "", true)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range tally.Findings {
		h.t.Errorf("the audit finds in %s: %s: %v", f.Account, f.Problem, f.Names)
	}
}

func TestATaskReachesTheAccountWithItsContact(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
		if method == "setup tasks" && n == 1 {
			return &connectors.Error{Class: connectors.Transient, Reason: "no answer"}, false
		}
		return nil, false
	}
	h.start()
	h.receive("w1", "16315555555")
	h.settled(3)
	h.vendor.mu.Lock()
	made := slices.Clone(h.vendor.tasks)
	h.vendor.mu.Unlock()
	if len(made) != 1 {
		t.Fatalf("tasks = %+v, want one", made)
	}
	if n := h.vendor.called("setup tasks"); n != 2 {
		t.Errorf("tasks were set up %d times, want once more after a failure", n)
	}
	got := made[0]
	if got.Title != "See to Somebody" || got.Text != "text of w1" || got.Owner != "anna@example.com" || got.Priority != connectors.HighPriority ||
		got.ContactRecordID != "record of 16315555555" || got.Key == "" || time.Until(got.Due).Round(time.Minute) != 4*time.Hour {
		t.Errorf("task = %+v", got)
	}
	h.closes()
}

func TestALostAnswerDoesNotDoubleATask(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.vendor.fail = func(method string, n int, _ []string) (*connectors.Error, bool) {
		if method == "create tasks" && n <= 2 {
			return &connectors.Error{Class: connectors.UnknownOutcome, Reason: "the answer was lost"}, true
		}
		return nil, false
	}
	h.start()
	for i := range 5 {
		h.receive(fmt.Sprintf("w%d", i), "16315555555")
	}
	h.settled(11)
	if n := len(h.vendor.taskNames()); n != 5 || h.vendor.called("find tasks") == 0 {
		t.Errorf("%d tasks after %d looks, want 5 after some", n, h.vendor.called("find tasks"))
	}
	h.closes()
}

// As with messages: the vendor has the task, and the program dies.
func TestACrashAfterTheCallDoesNotDoubleATask(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(3)
	h.stop()
	h.receive("w2", "16315555555")
	due, err := h.db.Due(t.Context(), "crm", 10)
	if err != nil {
		t.Fatal(err)
	}
	due = slices.DeleteFunc(due, func(e directory.Entity) bool { return e.Kind != directory.TaskEntity })
	if len(due) != 1 {
		t.Fatalf("%d tasks due, want 1", len(due))
	}
	lease, _, err := h.db.Acquire(t.Context(), "crm", "test", true, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.db.Doubt(t.Context(), "crm", lease, due); err != nil {
		t.Fatal(err)
	}
	work, err := h.db.Load(t.Context(), "crm", directory.TaskEntity, []int64{due[0].ID})
	if err != nil || len(work) != 1 {
		t.Fatalf("loaded %+v, error %v", work, err)
	}
	h.vendor.tasks = append(h.vendor.tasks, task{connectors.TaskChange{Key: work[0].Task.Key, Title: work[0].Task.Title}, "there"})
	h.start()
	h.settled(5)
	if names := h.vendor.taskNames(); len(names) != 2 {
		t.Errorf("tasks %v, want two", names)
	}
}

func TestARefusedTaskIsADeadLetterAndNothingElseWaits(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.vendor.reject["See to Somebody"] = &connectors.Error{Class: connectors.Rejected, Code: "INVALID_OWNER_ID", Field: "owner", Reason: "nobody has this e-mail address"}
	h.start()
	h.receive("w1", "16315555555")
	h.eventually("contact and message agreed, the task dead", func() bool {
		s := h.states()
		return s[directory.Agreed] == 2 && s[directory.Dead] == 1
	})
	letter := <-h.letters
	if letter.Entity.Kind != directory.TaskEntity || letter.Code != "INVALID_OWNER_ID" || letter.Attempts != 1 {
		t.Errorf("letter = %+v", letter)
	}
	for _, f := range letter.Fields {
		if f.Shape == "text of w1" || f.Shape == "See to Somebody" || f.Shape == "anna@example.com" {
			t.Errorf("the letter holds %+v", f)
		}
	}
}

func TestATaskWhoseContactWasDeletedComesWithItsContact(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(3)
	h.vendor.mu.Lock()
	deleted := true // until it is looked for by key
	h.vendor.fail = func(method string, _ int, names []string) (*connectors.Error, bool) {
		if method == "contacts" && slices.Contains(names, "16315555555") {
			deleted = false
		}
		if deleted && method == "create tasks" {
			return &connectors.Error{Class: connectors.Conflict, Reason: "no such contact"}, false
		}
		return nil, false
	}
	h.vendor.mu.Unlock()
	h.receive("w2", "16315555555")
	h.settled(5)
	if names := h.vendor.taskNames(); len(names) != 2 {
		t.Errorf("tasks %v, want two", names)
	}
	h.closes()
}

func TestWhoIsErasedLeavesNoTask(t *testing.T) {
	t.Parallel()
	h := ruled(t)
	h.start()
	h.receive("w1", "16315555555")
	h.settled(3)
	now := time.Now().UTC()
	var contact int64
	err := h.db.Record(t.Context(), func(tx directory.Tx) error {
		found, err := tx.Identities([]directory.IdentityKey{{Kind: directory.PhoneIdentity, Value: "16315555555"}})
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%d contacts: %w", len(found), err)
		}
		contact = found[0].ContactID
		_, err = tx.Erase(directory.Erasure{Contact: contact, At: now, Account: "crm", Record: "record of 16315555555", Fact: "f"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("no task in the account", func() bool { return len(h.vendor.taskNames()) == 0 && h.states()[directory.Pending] == 0 })
	tasks, err := h.db.Tasks(t.Context(), []int64{1})
	if err != nil || len(tasks) != 1 || tasks[0].Title+tasks[0].Text+tasks[0].Owner != "" {
		t.Errorf("the directory keeps %+v, error %v", tasks, err)
	}
	h.closes()
}
