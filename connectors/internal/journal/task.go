package journal

import (
	"strings"
	"time"

	"crmsync/connectors"
)

// A Task is one task of a call, or several changes with the same key, of which
// the last counts.
type Task struct {
	connectors.TaskChange
	changes []int
}

// Tasks returns the tasks of changes, in the order in which they first come, with
// a time when each is due. Changes without a key or a title are refused in results.
func Tasks(changes []connectors.TaskChange, results []connectors.Result) []*Task {
	var all []*Task
	byKey := map[string]*Task{}
	for i, ch := range changes {
		ch.Title = strings.Join(strings.Fields(connectors.Clean(ch.Title)), " ")
		ch.Text, ch.Owner = connectors.Clean(ch.Text), strings.TrimSpace(connectors.Clean(ch.Owner))
		if ch.Key == "" || ch.Title == "" {
			results[i].Err = &connectors.Error{Class: connectors.Rejected, Reason: "the task has no key or no title"}
			continue
		}
		if ch.Due.IsZero() {
			ch.Due = time.Now()
		}
		t := byKey[ch.Key]
		if t == nil {
			t = &Task{}
			byKey[ch.Key] = t
			all = append(all, t)
		}
		t.TaskChange = ch
		t.changes = append(t.changes, i)
	}
	return all
}

// Give is the result of every change that the task stands for.
func (t *Task) Give(results []connectors.Result, r connectors.Result) {
	for _, i := range t.changes {
		results[i] = r
	}
}

// Fail gives them a failure.
func (t *Task) Fail(results []connectors.Result, err *connectors.Error) {
	t.Give(results, connectors.Result{Err: err})
}

// FailAll gives tasks a failure.
func FailAll(list []*Task, results []connectors.Result, err *connectors.Error) {
	for _, t := range list {
		t.Fail(results, err)
	}
}

// ByContact are tasks by their contact's record.
func ByContact(list []*Task) map[string][]*Task {
	by := map[string][]*Task{}
	for _, t := range list {
		by[t.ContactRecordID] = append(by[t.ContactRecordID], t)
	}
	return by
}

// Error is the failure that the task was given, if any.
func (t *Task) Error(results []connectors.Result) *connectors.Error { return results[t.changes[0]].Err }

// Record is the record that it was given, if any.
func (t *Task) Record(results []connectors.Result) string { return results[t.changes[0]].RecordID }

const (
	markStart = "\n\n— crmsync "
	markEnd   = " —"
)

// Marked is the text of a task in an account that has no field for keys, with a
// last line that holds its key, at most limit characters long.
func (t *Task) Marked(limit int) string {
	mark := markStart + t.Key + markEnd
	return strings.TrimLeft(connectors.Cut(t.Text, limit-connectors.Length(mark))+mark, "\n")
}

// MarkedKey is the key in a text's last line, or empty. An editor may have
// wrapped it in tags.
func MarkedKey(text string) string {
	i := strings.LastIndex(text, strings.TrimLeft(markStart, "\n"))
	if i < 0 {
		return ""
	}
	key, _, _ := strings.Cut(text[i+len(markStart)-2:], markEnd)
	return strings.TrimSpace(key)
}
