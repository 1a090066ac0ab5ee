package deliver

import (
	"context"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// losses reads the records that the listing has not shown, or has shown without
// a value that they had, and publishes what they have lost, unless that is too
// much. What was not listed from the beginning on cannot show what is gone.
func (s *Sweep) losses(ctx context.Context, state *directory.Sweep) error {
	known, err := s.Store.CountRecords(ctx, s.Account)
	if err != nil {
		return err
	}
	before := state.Emptied - int64(len(s.suspects)) // seen before a restart
	lost := &lossList{sweep: s, state: state, known: known, before: int(before)}
	state.Emptied = before
	if err := lost.look(ctx, s.suspects); err != nil {
		return err
	}
	s.suspects = nil
	if !s.partial && s.Since.IsZero() {
		if err := s.missing(ctx, state, lost); err != nil {
			return err
		}
	}
	if lost.braked() && (tooMuch(lost.before+len(lost.facts), known) || !s.Brake.Lets(len(lost.facts), known)) {
		return ErrTooMuch
	}
	return s.publish(ctx, lost.facts)
}

// missing looks at the known records that the listing has not shown.
func (s *Sweep) missing(ctx context.Context, state *directory.Sweep, lost *lossList) error {
	var missing []string
	for after := int64(0); ; {
		links, err := s.Store.LinkedRecords(ctx, s.Account, after, 1000)
		if err != nil {
			return err
		}
		for _, l := range links {
			after = l.Entity.ID
			if !s.shown(l.RecordID) && l.UpdatedBefore(state.Began) {
				missing = append(missing, l.RecordID)
			}
		}
		for len(missing) >= perLook || len(links) == 0 && len(missing) > 0 {
			part := missing[:min(perLook, len(missing))]
			missing = missing[len(part):]
			if err := lost.look(ctx, part); err != nil {
				return err
			}
		}
		if len(links) == 0 {
			return nil
		}
	}
}

// A lossList is what has been lost, as far as it is certain.
type lossList struct {
	sweep *Sweep
	state *directory.Sweep
	known int64
	// before is what was lost before a restart.
	before int
	facts  []directory.Fact
}

// look reads records by their ids. What is gone then, or empty, is; the others
// are compared like those that a listing shows.
func (l *lossList) look(ctx context.Context, ids []string) error {
	s := l.sweep
	for len(ids) > 0 {
		part := ids[:min(len(ids), max(s.Connector.Limits().Contacts-2, 1), perLook)]
		ids = ids[len(part):]
		readings, err := s.read(ctx, l.state, part)
		if err != nil {
			return err
		}
		var there []connectors.Record
		var gone []directory.Fact
		var again []directory.Pull
		links, err := s.Store.Shadows(ctx, s.Account, part)
		if err != nil {
			return err
		}
		for i, r := range readings {
			link, linked := links[part[i]]
			switch {
			case r.Err != nil || !linked || link.Erase:
				// Nothing is known of it, or it is nobody's by now.
			case !link.UpdatedBefore(s.asked) && r.Record.ID != part[i]:
				again = append(again, s.again(part[i]))
			case r.Record.ID == "":
				gone = append(gone, s.factOf(part[i], r.Record, link, true))
				l.state.Gone++
				s.count(l.state, link, nil, gone[len(gone)-1])
			case r.Record.ID != part[i]:
				// Merged into another, which shows that it is there.
				l.facts = append(l.facts, s.factOf(part[i], r.Record, link, true))
				l.state.Changed++
			default:
				there = append(there, r.Record)
			}
		}
		l.facts = append(l.facts, gone...)
		if err := s.readAgain(ctx, again); err != nil {
			return err
		}
		if err := l.compare(ctx, there, links); err != nil {
			return err
		}
		if err := l.enough(ctx); err != nil {
			return err
		}
	}
	return nil
}

// braked reports whether it matters how much it is.
func (l *lossList) braked() bool { return l.sweep.Tell == nil && !l.state.MassChange }

// enough ends the looking when it is too much already, so that the list stays
// short. Where that does not matter what is known is published at once.
func (l *lossList) enough(ctx context.Context) error {
	if l.braked() {
		// Nobody deletes the last contact, as far as a listing goes that shows
		// none at all.
		if empty := l.sweep.first == "" && !l.sweep.partial && len(l.facts) > 0; empty && l.sweep.Since.IsZero() || tooMuch(l.before+len(l.facts), l.known) {
			return ErrTooMuch
		}
		return nil
	}
	facts := l.facts
	l.facts = nil
	return l.sweep.publish(ctx, facts)
}

// compare compares records that were read by their ids.
func (l *lossList) compare(ctx context.Context, records []connectors.Record, links map[string]directory.Link) error {
	s := l.sweep
	var whole []connectors.Record
	for _, r := range records {
		link := links[r.ID]
		if !s.shown(r.ID) {
			l.state.Missed++
			l.state.Compared++
		}
		if !empties(s.lines, link.Shadow, r) || !link.UpdatedBefore(s.asked) {
			whole = append(whole, r)
			continue
		}
		contacts, err := s.Store.ContactsOf(ctx, []int64{link.Entity.ID})
		if err != nil {
			return err
		}
		fact := s.factOf(r.ID, r, link, true)
		l.state.Emptied++
		s.count(l.state, link, contacts[link.Entity.ID], fact)
		l.facts = append(l.facts, fact)
	}
	return s.compare(ctx, whole, l.state, false)
}

// empties reports whether a record has lost a value that it had.
func empties(lines []mapping.Line, shadow map[string]string, r connectors.Record) bool {
	for _, l := range lines {
		was := shadow[l.To]
		if was != "" && !directory.Kept(was) && directory.TextOf(r.Fields[l.To]) == "" {
			return true
		}
	}
	return false
}
