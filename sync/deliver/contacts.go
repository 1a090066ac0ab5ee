package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// keyShadow is the place in a contact's shadow of the key that the account
// knows it by. No vendor's field has such a name.
const keyShadow = "(key)"

// writeContacts brings a batch of contacts to the account.
func (w *Worker) writeContacts(ctx context.Context, work []directory.Work) ([]settled, error) {
	batch := make([]settled, len(work))
	var changes []connectors.ContactChange
	var shadows []map[string]string
	var changed []int
	m := w.Mapping()
	fill := guesses(m.Lines(w.Account))
	for i, todo := range work {
		batch[i] = begin(todo, todo.Contact.Version)
		link := &batch[i].Link
		fields := m.Translate(w.Account, todo.Contact.View())
		diff, shadow := difference(fields, link.Shadow)
		key := keyOf(todo)
		if link.RecordID != "" && len(diff) == 0 && shadow[keyShadow] == key {
			batch[i].agree(link.RecordID, shadow, "unchanged")
			continue
		}
		if link.RecordID == "" && todo.Contact.AccountKey() == "" && w.Listed != nil && !w.Listed(ctx) {
			batch[i].awaitListing()
			continue
		}
		if blocked, wait := heldKey(todo, key); blocked {
			batch[i].blockedBy(wait)
			continue
		}
		change := connectors.ContactChange{RecordID: link.RecordID, Phones: todo.Contact.Phones(), Fields: diff}
		if link.RecordID == "" || shadow[keyShadow] != key {
			change.Key = key
		}
		if link.RecordID == "" {
			change.Fill = fill
			for _, other := range todo.Namesakes {
				change.Not = append(change.Not, other.RecordID)
			}
		}
		shadow[keyShadow] = key
		changes, shadows, changed = append(changes, change), append(shadows, shadow), append(changed, i)
	}
	if len(changes) == 0 {
		return batch, nil
	}
	w.Observer.Batch(w.Account, len(changes))
	results := w.Connector.WriteContacts(ctx, changes)
	if len(results) != len(changes) {
		return nil, fmt.Errorf("the connector gave %d results for %d contacts", len(results), len(changes))
	}
	if err := w.refuseStrangers(ctx, batch, changed, results); err != nil {
		return nil, err
	}
	for n, r := range results {
		s := &batch[changed[n]]
		if r.Err != nil {
			s.err, s.tried = r.Err, changes[n].Fields
			continue
		}
		outcome := "updated"
		if s.Link.RecordID == "" {
			outcome = "created"
		}
		for _, name := range r.Kept {
			shadows[n][name] = directory.KeptShadow
		}
		s.agree(r.RecordID, shadows[n], outcome)
		s.Link.Revision, s.Link.WrittenAt = m.Revision(), time.Now()
	}
	return batch, nil
}

// keyOf is the contact's key in the account. Somebody who has never been on
// WhatsApp is created under a key of their own; a record of theirs that the account
// has made itself needs no key.
func keyOf(todo directory.Work) string {
	key := todo.Contact.AccountKey()
	switch {
	case key != "":
	case todo.Link.RecordID != "":
		key = todo.Link.Shadow[keyShadow]
	default:
		key = todo.Contact.CRMKey()
	}
	return key
}

// awaitListing puts somebody off who has never been on WhatsApp, and who may be
// among the account's contacts.
func (s *settled) awaitListing() {
	s.outcome, s.retryAfter = "unchanged", 10*time.Second
	s.Link.NextAttempt = time.Now().Add(s.retryAfter)
}

// heldKey reports whether a contact without a record waits for another one,
// who had its number before, to give up the key in the account; and whether
// that will happen by itself.
func heldKey(todo directory.Work, key string) (blocked, wait bool) {
	for _, other := range todo.Namesakes {
		if other.Shadow[keyShadow] == key {
			return true, other.State == directory.Pending
		}
	}
	return false, false
}

// blockedBy puts a contact off whose key another one has in the account.
func (s *settled) blockedBy(wait bool) {
	if wait {
		s.outcome, s.retryAfter = "unchanged", time.Second
		return
	}
	s.err = &connectors.Error{
		Class: connectors.Conflict, Code: "KEY_HELD",
		Reason: "the record of the number's former owner still has its key; settle that contact's dead letter first",
	}
}

// refuseStrangers makes failures of results that would tie a contact to a record
// which belongs to another: one that was found, and one that the account names
// because it has a value that only one record may have.
func (w *Worker) refuseStrangers(ctx context.Context, batch []settled, changed []int, results []connectors.Result) error {
	other := func(n int) string {
		r, own := &results[n], batch[changed[n]].Link.RecordID
		switch {
		case r.Err != nil && r.Err.RecordID != own:
			return r.Err.RecordID
		case r.Err == nil && !r.Created && r.RecordID != own:
			return r.RecordID
		}
		return ""
	}
	var fresh []string
	for n := range results {
		if id := other(n); id != "" {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	holders, err := w.Store.Holders(ctx, w.Account, fresh)
	if err != nil {
		return err
	}
	for n, r := range results {
		self := batch[changed[n]].Link.Entity.ID
		if !slices.ContainsFunc(holders[other(n)], func(id int64) bool { return id != self }) {
			continue
		}
		e := &connectors.Error{Class: connectors.Conflict, Code: "RECORD_HELD", Reason: "the record belongs to another contact"}
		if r.Err != nil {
			refused := *r.Err
			e = &refused
			e.Class, e.RecordID, e.Reason = connectors.Rejected, "", "another contact's record has a value that only one may have"
		}
		results[n] = connectors.Result{Err: e}
	}
	return nil
}

// guesses are the fields that people know better, those that belong together
// in a group.
func guesses(lines []mapping.Line) [][]string {
	var groups [][]string
	at := map[string]int{}
	for _, l := range lines {
		if l.Info.Guess == "" {
			continue
		}
		i, ok := at[l.Info.Guess]
		if !ok {
			i = len(groups)
			at[l.Info.Guess] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], l.To)
	}
	return groups
}
