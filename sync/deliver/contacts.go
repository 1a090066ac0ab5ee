package deliver

import (
	"context"
	"fmt"
	"slices"
	"sync"
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
	m := w.Mapping() // one for the batch, whatever is put in force meanwhile
	erased, work, err := w.erase(ctx, m, work, w.Connector.EraseContacts)
	if err != nil || len(work) == 0 {
		return erased, err
	}
	written, err := w.writeLiving(ctx, m, work)
	return append(erased, written...), err
}

// writeLiving is writeContacts of those who were not erased.
func (w *Worker) writeLiving(ctx context.Context, m *mapping.Mapping, work []directory.Work) ([]settled, error) {
	batch := make([]settled, len(work))
	var changes []contactChange
	fill := guesses(m.Lines(w.Account))
	lines := shared(m.Lines(w.Account))
	prompt := append(owners(m.Lines(w.Account)), lines...)
	listed := sync.OnceValue(func() bool { return w.Listed == nil || w.Listed(ctx) })
	for i, todo := range work {
		batch[i] = begin(m, todo, todo.Contact.Version)
		link := &batch[i].Link
		fields, refused := m.Translate(w.Account, todo.Contact.View())
		diff, shadow := changed(fields, link)
		if len(refused) > 0 && (link.RecordID == "" || len(diff) > 0 || !onlyMissing(refused)) {
			batch[i].refusedBy(refused[0])
			continue
		}
		key := keyOf(todo)
		if link.RecordID != "" && len(diff) == 0 && shadow[keyShadow] == key {
			batch[i].agree(link.RecordID, shadow, "unchanged")
			continue
		}
		if link.RecordID == "" && todo.Contact.AccountKey() == "" && !listed() {
			batch[i].awaitListing()
			continue
		}
		if blocked, wait := heldKey(todo, key); blocked {
			batch[i].blockedBy(wait)
			continue
		}
		change := connectors.ContactChange{RecordID: link.RecordID, Phones: todo.Contact.Phones(), Fields: diff, Prompt: anyOf(prompt, diff)}
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
		changes = append(changes, contactChange{change, shadow, &batch[i]})
	}
	changes, err := w.look(ctx, changes, lines)
	if err != nil || len(changes) == 0 {
		return batch, err
	}
	if err := w.Store.Sending(ctx, w.Account, w.lease, sent(changes, lines)); err != nil {
		return nil, err
	}
	if err := w.send(ctx, m, changes); err != nil {
		return nil, err
	}
	if err := w.lookAfterOurs(ctx, changes, lines); err != nil {
		return nil, err
	}
	return batch, w.lookForGone(ctx, m, changes, lines)
}

// refusedBy buries a contact that a line of the mapping does not let through.
func (s *settled) refusedBy(r mapping.Refusal) {
	s.err = &connectors.Error{
		Class: connectors.Rejected, Code: "MAPPING", Field: r.Line.To,
		Reason: fmt.Sprintf("%s (line %d of the mapping, revision %s)", r.Reason, r.Line.Number, s.mapping.Revision()),
	}
}

// onlyMissing reports whether all that is in the way is that a value is required. A
// record to which there is nothing to write stays as it is then.
func onlyMissing(refused []mapping.Refusal) bool {
	return !slices.ContainsFunc(refused, func(r mapping.Refusal) bool { return !r.Missing })
}

// A contactChange is what is to be written of a contact, the shadow as it is
// then, and what becomes of it.
type contactChange struct {
	connectors.ContactChange
	shadow map[string]string
	*settled
}

// send makes the call.
func (w *Worker) send(ctx context.Context, m *mapping.Mapping, changes []contactChange) error {
	w.Observer.Batch(w.Account, len(changes))
	list := make([]connectors.ContactChange, len(changes))
	for i := range changes {
		list[i] = changes[i].ContactChange
	}
	results := w.Connector.WriteContacts(ctx, list)
	if len(results) != len(changes) {
		return fmt.Errorf("the connector gave %d results for %d contacts", len(results), len(changes))
	}
	if err := w.refuseStrangers(ctx, changes, results); err != nil {
		return err
	}
	doubles, err := w.toBeMerged(ctx, m, results)
	if err != nil {
		return err
	}
	for n, r := range results {
		c := &changes[n]
		if r.Err != nil {
			if _, double := doubles[r.Err.RecordID]; double && w.awaitsMerge(c.Link) {
				c.outcome, c.retryAfter = "unchanged", mergeWait
				c.Link.NextAttempt = time.Now().Add(c.retryAfter)
			} else {
				c.err, c.tried = r.Err, c.Fields
			}
			continue
		}
		outcome := "updated"
		if c.Link.RecordID == "" {
			outcome = "created"
		}
		for _, name := range r.Kept {
			c.shadow[name] = directory.KeptShadow
		}
		c.wrote(r.RecordID, c.shadow, outcome)
	}
	return nil
}

// toBeMerged are the records that failures name, because they have a value that only
// one may have, and that are about to be merged with the contact's own, by id.
func (w *Worker) toBeMerged(ctx context.Context, m *mapping.Mapping, results []connectors.Result) (seen map[string]string, err error) {
	var named []string
	for _, r := range results {
		if r.Err != nil && r.Err.Class == connectors.Conflict && r.Err.RecordID != "" {
			named = append(named, r.Err.RecordID)
		}
	}
	if len(named) == 0 || !m.Merges(w.Account) {
		return nil, nil
	}
	return w.Store.SeenDuplicates(ctx, w.Account, named)
}

// awaitsMerge reports whether a contact may still be put off until a duplicate of its
// record is merged. One of whom nobody has reported anything, such as one that is
// written anew under another mapping, waits from now on.
func (w *Worker) awaitsMerge(l directory.Link) bool {
	if !l.Since.IsZero() {
		return time.Since(l.Since) < mergedWithin
	}
	first, _ := w.putOff.LoadOrStore(l.Entity.ID, time.Now())
	if since, is := first.(time.Time); is && time.Since(since) < mergedWithin {
		return true
	}
	w.putOff.Delete(l.Entity.ID)
	return false
}

// owners are the lines by which somebody gets a contact.
func owners(lines []mapping.Line) []mapping.Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l mapping.Line) bool { return l.Info.Type != mapping.Owner })
}

// anyOf reports whether a line's field is among the fields.
func anyOf(lines []mapping.Line, fields map[string]any) bool {
	return slices.ContainsFunc(lines, func(l mapping.Line) bool { _, is := fields[l.To]; return is })
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
// among the account's contacts. Whoever has listed them ends the wait.
func (s *settled) awaitListing() {
	s.outcome, s.unlisted = "unchanged", true
	s.Link.NextAttempt = time.Now().Add(10 * time.Minute)
}

// listedMeanwhile ends the wait of those who were put off while somebody ended it.
func (w *Worker) listedMeanwhile(ctx context.Context, batch []settled) error {
	if !slices.ContainsFunc(batch, func(s settled) bool { return s.unlisted }) || !w.Listed(ctx) {
		return nil
	}
	return w.Store.EndWait(ctx, w.Account)
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
func (w *Worker) refuseStrangers(ctx context.Context, changes []contactChange, results []connectors.Result) error {
	other := func(n int) string {
		r, own := &results[n], changes[n].Link.RecordID
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
		self := changes[n].Link.Entity.ID
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

// guesses are the fields that are not written over what is in a record that turns
// out to be the contact's: what people enter, which is merged when it has been
// read. Those that belong together are in a group.
func guesses(lines []mapping.Line) [][]string {
	var groups [][]string
	at := map[string]int{}
	for _, l := range lines {
		if l.Info.Guess == "" && (!l.Info.Shared || l.Info.Type == mapping.Phone) { // by the number it was found
			continue
		}
		i, ok := at[l.Info.Guess]
		if !ok || l.Info.Guess == "" {
			i = len(groups)
			at[l.Info.Guess] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], l.To)
	}
	return groups
}
