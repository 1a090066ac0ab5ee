package deliver

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// writeTasks has the account show a batch of tasks: those in doubt are looked up,
// and what is not there is created. What people then make of a task is theirs.
func (w *Worker) writeTasks(ctx context.Context, work []directory.Work) ([]settled, error) {
	b := taskBatch{worker: w, mapping: w.Mapping()}
	erased, work, err := w.erase(ctx, b.mapping, work, w.Connector.EraseTasks)
	if err != nil {
		return nil, err
	}
	for _, todo := range work {
		if todo.ContactRecordID == "" && todo.Link.RecordID == "" {
			continue // looked at again when its contact has a record
		}
		b.add(todo)
	}
	if len(b.settled) > 0 && !w.readyForTasks {
		// The mapping had no such rule when the account was set up.
		findings, err := w.Connector.SetupTasks(ctx, w.CreateFields)
		if err != nil {
			return append(erased, b.allFail(connectors.AsError(err))...), nil
		}
		w.note(findings)
		w.readyForTasks = true
	}
	if err := b.find(ctx); err != nil {
		return nil, err
	}
	if err := b.create(ctx); err != nil {
		return nil, err
	}
	return append(erased, b.settled...), nil
}

// allFail gives tasks that still have to be seen to the account's trouble.
func (b *taskBatch) allFail(err *connectors.Error) []settled {
	for i := range b.settled {
		if s := &b.settled[i]; s.outcome == "" {
			failed := *err
			s.err = &failed
		}
	}
	return b.settled
}

// taskBatch is a batch on its way; the slices run in parallel.
type taskBatch struct {
	worker           *Worker
	mapping          *mapping.Mapping
	work             []directory.Work
	changes          []connectors.TaskChange
	settled          []settled
	toFind, toCreate []int
}

func (b *taskBatch) add(todo directory.Work) {
	s := begin(b.mapping, todo, todo.Link.Wanted)
	i := len(b.settled)
	switch {
	case todo.Link.RecordID != "":
		s.agree(todo.Link.RecordID, nil, "unchanged")
	case !todo.Link.InDoubtSince.IsZero():
		if wait := b.worker.Connector.Limits().LookAfter - time.Since(todo.Link.InDoubtSince); wait > 0 {
			s.outcome, s.retryAfter = "unchanged", wait
			break
		}
		b.toFind = append(b.toFind, i)
	default:
		b.toCreate = append(b.toCreate, i)
	}
	b.work, b.changes, b.settled = append(b.work, todo), append(b.changes, taskOf(todo)), append(b.settled, s)
}

// taskOf is a task as the account should show it. One that has no time is due when
// its reason came up.
func taskOf(todo directory.Work) connectors.TaskChange {
	t := todo.Task
	due := t.Due
	if due.IsZero() {
		due = t.At
	}
	return connectors.TaskChange{
		ContactRecordID: todo.ContactRecordID, Key: t.Key, Title: t.Title, Text: t.Text, Owner: t.Owner, Due: due,
		Priority: connectors.Priority(t.Priority),
	}
}

// find settles the doubt about tasks that an earlier create may have written.
func (b *taskBatch) find(ctx context.Context) error {
	return b.call(ctx, b.toFind, b.worker.Connector.FindTasks, func(i int, r connectors.Result) {
		if r.RecordID == "" {
			b.toCreate = append(b.toCreate, i)
			return
		}
		b.settled[i].wrote(r.RecordID, nil, "created")
	})
}

func (b *taskBatch) create(ctx context.Context) error {
	w := b.worker
	if err := w.doubt(ctx, b.work, b.toCreate); err != nil {
		return err
	}
	err := b.call(ctx, b.toCreate, w.Connector.CreateTasks, func(i int, r connectors.Result) {
		b.settled[i].wrote(r.RecordID, nil, "created")
	})
	if err != nil {
		return err
	}
	for _, i := range b.toCreate {
		if b.settled[i].err != nil {
			b.settled[i].liftDoubt()
		}
	}
	return nil
}

// call makes one call for the tasks with the given indexes and hands the results
// without an error to ok. A contact that turns out not to be there is untied from
// its record, which is made anew before the task.
func (b *taskBatch) call(ctx context.Context, indexes []int, method func(context.Context, []connectors.TaskChange) []connectors.Result, ok func(i int, r connectors.Result)) error {
	w := b.worker
	results, err := ask(ctx, w, b.changes, indexes, method)
	if err != nil {
		return err
	}
	for n, i := range indexes {
		s, err := &b.settled[i], results[n].Err
		if err == nil {
			ok(i, results[n])
			continue
		}
		c := b.changes[i]
		s.err = err
		s.tried = map[string]any{"title": c.Title, "text": c.Text, "owner": c.Owner, "due": c.Due, "priority": string(c.Priority)}
		if err.Class != connectors.Conflict || err.RecordID != "" {
			continue
		}
		contact := directory.Entity{Kind: directory.ContactEntity, ID: b.work[i].Task.ContactID}
		if err := w.Store.Forget(ctx, w.Account, w.lease, contact, c.ContactRecordID); err != nil {
			return err
		}
	}
	return nil
}
