package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// A Sweep goes through all contacts of an account and publishes what differs
// from what the account last showed, as facts. It writes nothing to the account
// and keeps one page in memory, and the ids of the records.
type Sweep struct {
	Account   string
	Connector interface {
		ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error)
		ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading
	}
	Store interface {
		Shadows(ctx context.Context, account string, records []string) (map[string]directory.Link, error)
		LinkedRecords(ctx context.Context, account string, after int64, limit int) ([]directory.Link, error)
		SaveSweep(ctx context.Context, s *directory.Sweep) error
		ReadAgain(ctx context.Context, pulls []directory.Pull) error
	}
	Mapping *mapping.Mapping
	// Region is that of numbers without a country code (ISO 3166).
	Region  string
	Publish func(ctx context.Context, facts []directory.Fact) error
	// Wait returns when the account may be called; Rest says how long it is left
	// alone after a call, so that deliveries have most of its quota.
	Wait func(ctx context.Context) error
	Rest func() time.Duration
	// MassChange lets it report that more records are gone, or have lost
	// values, than usually happens.
	MassChange bool
	Log        *slog.Logger
}

const (
	// A sweep that finds more than a share of the known records gone, or fields
	// emptied, and more than a few, asks a person first: the listing may be
	// wrong.
	massShare = 20 // one in so many
	massFew   = 10
	perLook   = 100
)

// ErrTooMuch says that a sweep has found more losses than usually happen, and what
// to do.
var ErrTooMuch = errors.New("more contacts are gone, or have lost values, than usual: nothing of that is taken over; see whether the account is right, then run crmsync sync now --allow-mass-change")

// Run goes on with a sweep, from the page that it has come to, and keeps its
// state up to date. With an error it can be gone on with.
func (s *Sweep) Run(ctx context.Context, state *directory.Sweep) error {
	lines := shared(s.Mapping.Lines(s.Account))
	fields := namesOf(lines)
	whole := state.Cursor == "" // else pages before were not seen by this run
	seen := map[string]struct{}{}
	var emptied []directory.Fact
	for {
		began := time.Now().Truncate(time.Millisecond)
		page, err := s.page(ctx, connectors.Query{Fields: fields, Cursor: state.Cursor})
		if err != nil {
			return err
		}
		facts, empty, err := s.compare(ctx, began, page.Records, lines, state, seen)
		if err != nil {
			return err
		}
		emptied = append(emptied, empty...)
		if err := s.publish(ctx, facts); err != nil {
			return err
		}
		state.Changed += int64(len(facts))
		state.Cursor = page.Next
		if page.Next == "" {
			break
		}
		if err := s.Store.SaveSweep(ctx, state); err != nil {
			return err
		}
	}
	if !whole {
		// What is gone can be told from a whole listing only.
		state.Partial = true
		return s.publish(ctx, emptied)
	}
	return s.losses(ctx, state, seen, lines, emptied)
}

// page reads a page in its turn, patiently.
func (s *Sweep) page(ctx context.Context, q connectors.Query) (page connectors.Page, err error) {
	const tries = 10
	for try := 1; ; try++ {
		if err = s.Wait(ctx); err != nil {
			return page, err
		}
		if page, err = s.Connector.ListContacts(ctx, q); err == nil {
			if !sleep(ctx, s.Rest()) {
				return page, ctx.Err()
			}
			return page, nil
		}
		e := connectors.AsError(err)
		if try == tries || !e.Class.AccountTrouble() || e.Class == connectors.Unauthorized || !sleep(ctx, min(max(e.RetryAfter, time.Second), time.Minute)) {
			return page, err
		}
	}
}

// compare returns what is news of a page's records, which was asked for at a
// time: facts, and apart from them those that empty a field.
func (s *Sweep) compare(ctx context.Context, began time.Time, records []connectors.Record, lines []mapping.Line, state *directory.Sweep, seen map[string]struct{}) (facts, emptied []directory.Fact, err error) {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	links, err := s.Store.Shadows(ctx, s.Account, ids)
	if err != nil {
		return nil, nil, err
	}
	var again []directory.Pull // was written or recorded while it was read
	for _, r := range records {
		if _, twice := seen[r.ID]; twice {
			state.Repeated++
			continue
		}
		seen[strings.Clone(r.ID)] = struct{}{}
		state.Read++
		link, linked := links[r.ID]
		if linked {
			state.Compared++
		}
		if linked && !differs(lines, &link, r, s.Region) {
			continue
		}
		if linked && !link.UpdatedBefore(began) {
			again = append(again, directory.Pull{RecordKey: directory.RecordKey{Account: s.Account, ID: r.ID}, Change: connectors.RecordUpdated, At: began})
			continue
		}
		var known *directory.Link
		if linked {
			known = &link
		}
		fact := factOf(s.Account, r.ID, r, began, lines, known)
		if linked && empties(lines, link.Shadow, r) {
			emptied = append(emptied, fact)
		} else {
			facts = append(facts, fact)
		}
	}
	return facts, emptied, s.Store.ReadAgain(ctx, again)
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

// losses looks after the known records that the listing has not shown, and
// publishes those that are gone and those that have lost values, unless they are
// too many.
func (s *Sweep) losses(ctx context.Context, state *directory.Sweep, seen map[string]struct{}, lines []mapping.Line, emptied []directory.Fact) error {
	var gone []directory.Fact
	known := 0
	for after := int64(0); ; {
		links, err := s.Store.LinkedRecords(ctx, s.Account, after, 1000)
		if err != nil {
			return err
		}
		if len(links) == 0 {
			break
		}
		var missing []string
		for _, l := range links {
			after = l.Entity.ID
			known++
			if _, there := seen[l.RecordID]; !there && l.UpdatedBefore(state.Began) {
				missing = append(missing, l.RecordID)
			}
		}
		facts, err := s.verify(ctx, missing, lines)
		if err != nil {
			return err
		}
		gone = append(gone, facts...)
	}
	state.Gone, state.Emptied = int64(len(gone)), int64(len(emptied))
	if n := len(gone) + len(emptied); n > massFew && n*massShare > known && !s.MassChange {
		return ErrTooMuch
	}
	state.Changed += int64(len(emptied) + len(gone))
	return s.publish(ctx, append(emptied, gone...))
}

// verify asks for records one by one that a listing has not shown. A listing may
// be wrong; what is not there when it is asked for is gone.
func (s *Sweep) verify(ctx context.Context, ids []string, lines []mapping.Line) (facts []directory.Fact, err error) {
	for len(ids) > 0 {
		part := ids[:min(len(ids), perLook)]
		ids = ids[len(part):]
		if err := s.Wait(ctx); err != nil {
			return nil, err
		}
		began := time.Now().Truncate(time.Millisecond)
		readings := s.Connector.ReadContacts(ctx, part, namesOf(lines))
		if len(readings) != len(part) {
			return nil, fmt.Errorf("the connector gave %d readings of %d records", len(readings), len(part))
		}
		for i, r := range readings {
			switch {
			case r.Err != nil && r.Err.Class != connectors.Conflict:
				return nil, r.Err
			case r.Err != nil, r.Record.ID == part[i]:
				continue // it is there, and will be in the next listing
			}
			facts = append(facts, factOf(s.Account, part[i], r.Record, began, lines, nil))
		}
		if !sleep(ctx, s.Rest()) {
			return nil, ctx.Err()
		}
	}
	return facts, nil
}

func (s *Sweep) publish(ctx context.Context, facts []directory.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	return s.Publish(ctx, facts)
}
