package deliver

import (
	"context"
	"fmt"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// writeMessages brings a batch of messages to the account: those in doubt are
// looked up, unknown ones created, known ones updated.
func (w *Worker) writeMessages(ctx context.Context, work []directory.Work) ([]settled, error) {
	m := w.Mapping()
	erased, work, err := w.erase(ctx, m, work, w.Connector.EraseMessages)
	if err != nil {
		return nil, err
	}
	b := messageBatch{worker: w, mapping: m}
	for _, todo := range work {
		if todo.ContactRecordID == "" {
			continue // looked at again when its contact has a record
		}
		b.add(todo)
	}
	if err := b.find(ctx); err != nil {
		return nil, err
	}
	if err := b.create(ctx); err != nil {
		return nil, err
	}
	if err := b.update(ctx); err != nil {
		return nil, err
	}
	return append(erased, b.settled...), nil
}

// messageBatch is a batch on its way; the slices run in parallel.
type messageBatch struct {
	worker  *Worker
	mapping *mapping.Mapping
	work    []directory.Work
	changes []connectors.MessageChange
	shadows []map[string]string
	settled []settled
	// next lists, by index, what each step has to do.
	toFind, toCreate, toUpdate []int
}

func (b *messageBatch) add(todo directory.Work) {
	s := begin(b.mapping, todo, todo.Message.Version)
	change, failure := shownAs(b.mapping, b.worker.Account, todo)
	change.RecordID = todo.Link.RecordID
	diff, shadow := difference(map[string]any{"text": change.Text, "status": change.Status, "at": change.At}, todo.Link.Shadow)
	i := len(b.settled)
	switch {
	case failure != nil:
		s.err = failure
	case todo.Link.RecordID != "" && len(diff) == 0:
		s.agree(todo.Link.RecordID, shadow, "unchanged")
	case todo.Link.RecordID != "":
		b.toUpdate = append(b.toUpdate, i)
	case !todo.Link.InDoubtSince.IsZero():
		if wait := b.worker.Connector.Limits().LookAfter - time.Since(todo.Link.InDoubtSince); wait > 0 {
			s.outcome, s.retryAfter = "unchanged", wait
			break
		}
		b.toFind = append(b.toFind, i)
	default:
		b.toCreate = append(b.toCreate, i)
	}
	b.work, b.changes, b.shadows, b.settled = append(b.work, todo), append(b.changes, change), append(b.shadows, shadow), append(b.settled, s)
}

// shownAs is a message as the account should show it, by the mapping.
func shownAs(m *mapping.Mapping, account string, todo directory.Work) (connectors.MessageChange, *connectors.Error) {
	change := changeOf(todo)
	text, err := m.Message(account, mapping.Message{
		Text: change.Text, Kind: todo.Message.Type, Direction: string(change.Direction), Status: change.Status, At: change.At,
	})
	if err != nil {
		return change, &connectors.Error{
			Class: connectors.Rejected, Code: "MAPPING", Field: "text",
			Reason: fmt.Sprintf("the mapping's text for messages: %s (revision %s)", err, m.Revision()),
		}
	}
	change.Text, change.Words = text, m.Words(account)
	return change, nil
}

// changeOf is a message as WhatsApp has told of it.
func changeOf(todo directory.Work) connectors.MessageChange {
	m := todo.Message
	at := m.At
	if at.IsZero() {
		at = m.TextAt
	}
	return connectors.MessageChange{
		ContactRecordID: todo.ContactRecordID,
		WAMID:           m.WAMID, BusinessNumber: m.BusinessNumber, Direction: m.Direction,
		Text: m.Body(), Status: m.Status, At: at,
	}
}

// fieldsOf are the fields of a message, for a letter.
func fieldsOf(m connectors.MessageChange) map[string]any {
	return map[string]any{"text": m.Text, "direction": deadletter.Word(m.Direction), "status": deadletter.Word(m.Status), "at": m.At}
}

// find settles the doubt about messages that an earlier create may have
// written.
func (b *messageBatch) find(ctx context.Context) error {
	err := b.call(ctx, b.toFind, b.worker.Connector.FindMessages, func(i int, r connectors.Result) {
		if r.RecordID == "" {
			b.toCreate = append(b.toCreate, i)
			return
		}
		// What it says there is not known: write all of it.
		b.changes[i].RecordID = r.RecordID
		b.toUpdate = append(b.toUpdate, i)
	})
	if err != nil {
		return err
	}
	for _, i := range b.toFind {
		if err := b.forgetContact(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// forgetContact unties a message's contact from its record after a conflict:
// the record is not what we thought.
func (b *messageBatch) forgetContact(ctx context.Context, i int) error {
	w, s := b.worker, &b.settled[i]
	if s.err == nil || s.err.Class != connectors.Conflict || s.err.RecordID != "" {
		return nil
	}
	contact := directory.Entity{Kind: directory.ContactEntity, ID: b.work[i].Message.ContactID}
	return w.Store.Forget(ctx, w.Account, w.lease, contact, b.work[i].ContactRecordID)
}

func (b *messageBatch) create(ctx context.Context) error {
	w := b.worker
	if err := w.doubt(ctx, b.work, b.toCreate); err != nil {
		return err
	}
	err := b.call(ctx, b.toCreate, w.Connector.CreateMessages, func(i int, r connectors.Result) {
		b.settled[i].wrote(r.RecordID, b.shadows[i], "created")
	})
	if err != nil {
		return err
	}
	for _, i := range b.toCreate {
		if err := b.afterCreate(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (b *messageBatch) afterCreate(ctx context.Context, i int) error {
	s := &b.settled[i]
	if s.err == nil {
		return nil
	}
	s.liftDoubt()
	return b.forgetContact(ctx, i)
}

func (b *messageBatch) update(ctx context.Context) error {
	return b.call(ctx, b.toUpdate, b.worker.Connector.UpdateMessages, func(i int, r connectors.Result) {
		b.settled[i].wrote(r.RecordID, b.shadows[i], "updated")
	})
}

// call makes one call for the messages with the given indexes and hands the
// results without an error to ok.
func (b *messageBatch) call(ctx context.Context, indexes []int, method func(context.Context, []connectors.MessageChange) []connectors.Result, ok func(i int, r connectors.Result)) error {
	results, err := ask(ctx, b.worker, b.changes, indexes, method)
	if err != nil {
		return err
	}
	for n, i := range indexes {
		if results[n].Err != nil {
			b.settled[i].err, b.settled[i].tried = results[n].Err, fieldsOf(b.changes[i])
			continue
		}
		ok(i, results[n])
	}
	return nil
}

// doubt notes of some of the work that it is about to be created: whether it is there
// is not known from then on.
func (w *Worker) doubt(ctx context.Context, work []directory.Work, indexes []int) error {
	list := make([]directory.Entity, len(indexes))
	for n, i := range indexes {
		list[n] = work[i].Link.Entity
	}
	return w.Store.Doubt(ctx, w.Account, w.lease, list)
}

// ask makes one call for the changes with the given indexes, none for none, and
// returns a result for each.
func ask[C any](ctx context.Context, w *Worker, changes []C, indexes []int, method func(context.Context, []C) []connectors.Result) ([]connectors.Result, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	some := make([]C, len(indexes))
	for n, i := range indexes {
		some[n] = changes[i]
	}
	w.Observer.Batch(w.Account, len(some))
	results := method(ctx, some)
	if len(results) != len(some) {
		return nil, fmt.Errorf("the connector gave %d results for %d changes", len(results), len(some))
	}
	return results, nil
}
