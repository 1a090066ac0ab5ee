package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// lookAgain is when a contact is looked at again whose record showed something
// that is not recorded yet.
const lookAgain = 200 * time.Millisecond

// heldBack is when a contact is looked at again whose record seems to be gone, as
// too many do.
const heldBack = time.Minute

// look reads the records in which fields are to be overwritten that people enter,
// just before: an edit there of which there was no news yet is recorded first,
// and may be the newer one. It returns the changes that may be made.
func (w *Worker) look(ctx context.Context, changes []contactChange, lines []mapping.Line) ([]contactChange, error) {
	var over []contactChange
	for _, c := range changes {
		if c.RecordID != "" && anyOf(lines, c.Fields) {
			over = append(over, c)
		}
	}
	began := time.Now().Truncate(time.Millisecond)
	readings, err := w.read(ctx, over, lines)
	if err != nil {
		return nil, err
	}
	held := map[*settled]bool{}
	var facts []directory.Fact
	for i, r := range readings {
		c := over[i]
		switch {
		case r.Err != nil && r.Err.Class.AccountTrouble():
			c.err, c.tried = r.Err, c.Fields
		case r.Err == nil && r.Record.ID == c.RecordID && w.news(lines, &c.Before, r.Record):
			if empties(lines, c.Before.Shadow, r.Record) {
				lets, err := w.lets(ctx, 1)
				if err != nil {
					return nil, err
				}
				if !lets {
					continue // what it has lost is not touched
				}
			}
			facts = append(facts, factOf(w.Account, c.RecordID, r.Record, began, lines, &c.Before))
			c.outcome, c.retryAfter = "unchanged", lookAgain
		default:
			continue // what else there may be the call tells
		}
		held[c.settled] = true
	}
	if len(facts) > 0 {
		err = w.Publish(ctx, facts)
	}
	return slices.DeleteFunc(changes, func(c contactChange) bool { return held[c.settled] }), err
}

// lets reports whether so many more losses of the account may be taken over, and
// says so in the log if they may not.
func (w *Worker) lets(ctx context.Context, losses int) (bool, error) {
	known, err := w.Store.CountRecords(ctx, w.Account)
	if err != nil || w.Brake.Lets(losses, known) {
		return err == nil, err
	}
	if w.Brake.News() {
		// The full sync sees it too, and asks.
		w.Log.Error("changed records are not taken over", "problem", ErrTooMuch)
	}
	return false, nil
}

// read reads the records of changes.
func (w *Worker) read(ctx context.Context, changes []contactChange, lines []mapping.Line) ([]connectors.Reading, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.Link.RecordID
	}
	readings := w.Connector.ReadContacts(ctx, ids, namesOf(lines))
	if len(readings) != len(ids) {
		return nil, fmt.Errorf("the connector gave %d readings of %d records", len(readings), len(ids))
	}
	return readings, nil
}

// sent is what is about to be sent of the fields that people enter, by contact,
// with what was sent before and may be there.
func sent(changes []contactChange, lines []mapping.Line) map[int64]map[string][]string {
	const most = 8 // values of a field
	all := map[int64]map[string][]string{}
	for _, c := range changes {
		values := maps.Clone(c.Before.Sent)
		for _, l := range lines {
			value, is := c.Fields[l.To]
			text := directory.ShadowOf(value)
			if !is || slices.Contains(values[l.To], text) {
				continue
			}
			if values == nil {
				values = map[string][]string{}
			}
			before := values[l.To]
			values[l.To] = append(slices.Clone(before[max(0, len(before)-most+1):]), text)
			all[c.Link.Entity.ID] = values
		}
	}
	return all
}

// lookAfterOurs looks at what was left as it was in records that were made by a
// call whose answer was lost: that is not somebody's, but what was sent then.
func (w *Worker) lookAfterOurs(ctx context.Context, changes []contactChange, lines []mapping.Line) error {
	var ours []contactChange
	for _, c := range changes {
		if c.err == nil && len(c.Before.Sent) > 0 && c.Before.RecordID == "" &&
			slices.ContainsFunc(lines, func(l mapping.Line) bool { return directory.Kept(c.shadow[l.To]) }) {
			ours = append(ours, c)
		}
	}
	readings, err := w.read(ctx, ours, lines)
	if err != nil {
		return err
	}
	for i, r := range readings {
		c := ours[i]
		for _, l := range lines {
			seen := directory.TextOf(r.Record.Fields[l.To])
			if r.Err != nil || !directory.Kept(c.shadow[l.To]) || !directory.Sent(c.Before.Sent, l, seen) {
				continue
			}
			c.shadow[l.To] = directory.SeenAs(l, seen)
			c.Link.State, c.retryAfter = directory.Pending, time.Millisecond // with its record now, and what differs
		}
	}
	return nil
}

// lookForGone looks for the records of changes that met with a conflict. That one
// is gone is news like any other, and the recorder says what follows.
func (w *Worker) lookForGone(ctx context.Context, m *mapping.Mapping, changes []contactChange, lines []mapping.Line) error {
	var lost []contactChange
	for _, c := range changes {
		if c.err != nil && c.err.Class == connectors.Conflict && c.err.RecordID == "" && c.Before.RecordID != "" {
			lost = append(lost, c)
		}
	}
	began := time.Now().Truncate(time.Millisecond)
	readings, err := w.read(ctx, lost, lines)
	if err != nil {
		return err
	}
	var facts []directory.Fact
	for i, r := range readings {
		c := lost[i]
		switch {
		case r.Err != nil && r.Err.Class.AccountTrouble():
			c.err = r.Err
		case r.Err == nil && r.Record.ID == "" && m.OnDelete(w.Account) == mapping.Erase:
			// The account tells of it, which says more than that it is not found.
			c.err, c.outcome, c.retryAfter = nil, "unchanged", heldBack
		case r.Err == nil && r.Record.ID == "":
			lets, err := w.lets(ctx, 1)
			if err != nil {
				return err
			}
			if !lets {
				c.err, c.outcome, c.retryAfter = nil, "unchanged", heldBack
				continue
			}
			facts = append(facts, factOf(w.Account, c.RecordID, r.Record, began, lines, &c.Before))
			c.err, c.outcome, c.retryAfter = nil, "unchanged", lookAgain
		}
	}
	if len(facts) == 0 {
		return nil
	}
	return w.Publish(ctx, facts)
}

// news reports whether a record shows what nobody knows: neither what it last
// showed nor what was sent to it.
func (w *Worker) news(lines []mapping.Line, link *directory.Link, r connectors.Record) bool {
	return differs(lines, link, r, w.Region)
}
