package deliver

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// A Sweep goes through the contacts of an account and publishes what differs
// from what the account last showed, as facts. It writes nothing to the account.
// It keeps a few pages in memory, eight bytes of each record's id, and the ids of
// records that seem to have lost something.
//
// A listing is not believed in what it lacks. Known records that it has not
// shown, and those that it has shown without a value that they had, are read by
// their ids; and if more have lost something than usually happens, nothing of
// that is published, and a person is asked.
type Sweep struct {
	Account   string
	Connector interface {
		ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error)
		ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading
		Limits() connectors.Limits
	}
	Store interface {
		Shadows(ctx context.Context, account string, records []string) (map[string]directory.Link, error)
		ContactsOf(ctx context.Context, ids []int64) (map[int64]*directory.Contact, error)
		LinkedRecords(ctx context.Context, account string, after int64, limit int) ([]directory.Link, error)
		CountRecords(ctx context.Context, account string) (int64, error)
		SaveSweep(ctx context.Context, s *directory.Sweep) error
		ReadAgain(ctx context.Context, pulls []directory.Pull) error
		SeenDuplicates(ctx context.Context, account string, records []string) (map[string]string, error)
	}
	Mapping *mapping.Mapping
	// Region is that of numbers without a country code (ISO 3166).
	Region  string
	Publish func(ctx context.Context, facts []directory.Fact) error
	// Wait returns when the account may be called; Rest says how long it is left
	// alone after a call that took so long, so that deliveries have what they
	// need of its quota.
	Wait func(ctx context.Context) error
	Rest func(took time.Duration) time.Duration
	// Brake counts what the account loses.
	Brake *Brake
	// Since leaves out what was not changed since then, zero nothing. Such a
	// sweep does not see what is gone.
	Since time.Time
	// Enough reports whether it shall pause here, to be gone on with by another
	// Run. Nil is never.
	Enough func(state *directory.Sweep) bool
	// Tell is told of each difference that it finds, nil nobody. A sweep that
	// tells publishes nothing, stores nothing and does not brake.
	Tell func(Finding)
	Log  *slog.Logger

	lines  []mapping.Line
	fields []string
	// at is the page that it has come to, partial says that it has not seen those
	// from the first on. seen is nil before it has begun.
	at      string
	partial bool
	seed    maphash.Seed
	seen    map[uint64]struct{}
	// suspects are records that were listed without a value that they had.
	suspects []string
	// first and last are the records that the listing has shown first and last.
	first, last string
	// pending is what is not published yet, savedAt when the state was stored.
	pending []directory.Fact
	savedAt time.Time
	// idle is how many pages in a row have shown nothing new.
	idle int
	// asked is when the last call was made.
	asked time.Time
}

// A Finding is a difference that a sweep has found.
type Finding struct {
	RecordID string
	// ContactID is 0 for a record of nobody known.
	ContactID int64
	// Gone says that there is no such record any more, New that it was not
	// known; else Difference is set.
	Gone, New bool
	directory.Difference
}

const (
	// perLook is how many records are looked at by their ids at once, two that
	// are known to be there among them.
	perLook = 98
	// mostIdle is how many pages in a row may show nothing new. A listing that
	// goes round in circles has no end.
	mostIdle = 10
	// perPublish is how many facts are published at once, and saveEvery how often
	// at least it is stored how far a sweep has come: each takes the disk's time.
	perPublish = 500
	saveEvery  = 500 * time.Millisecond
)

// Run goes on with a sweep, from the page that it has come to, and keeps its
// state up to date. It reports false if it pauses before the end. With an error
// it can be gone on with.
func (s *Sweep) Run(ctx context.Context, state *directory.Sweep) (done bool, err error) {
	s.lines = shared(s.Mapping.Lines(s.Account))
	s.fields = namesOf(s.lines)
	resumed := state.Cursor != "" && (s.seen == nil || s.at != state.Cursor)
	if resumed || state.Cursor == "" {
		s.begin(resumed)
	}
	state.Partial = s.partial
	s.pending, s.savedAt = nil, time.Now()
	for {
		page, err := s.page(ctx, state)
		if resumed && refused(err) {
			s.begin(false) // the vendor has forgotten the page
			resumed, state.Cursor, state.Partial = false, "", false
			state.Read, state.Compared, state.Skipped, state.Emptied, state.Missed, state.Repeated = 0, 0, 0, 0, 0, 0
			s.Log.Info("the contact sync begins again: the account does not know any more where it was")
			continue
		}
		if err != nil {
			return false, err
		}
		resumed = false
		before := state.Read
		if err := s.compare(ctx, page.Records, state, true); err != nil {
			return false, err
		}
		if s.idle++; state.Read > before {
			s.idle = 0
		}
		if page.Next == "" {
			break
		}
		if s.idle >= mostIdle {
			return false, &connectors.Error{Class: connectors.Transient, Reason: "the listing of contacts goes round in circles"}
		}
		state.Cursor, s.at = page.Next, page.Next
		enough := s.Enough != nil && s.Enough(state)
		if enough || len(s.pending) >= perPublish || time.Since(s.savedAt) >= saveEvery {
			if err := s.save(ctx, state); err != nil {
				return false, err
			}
		}
		if enough {
			return false, nil
		}
	}
	if err := s.flush(ctx); err != nil {
		return false, err
	}
	return true, s.losses(ctx, state)
}

func (s *Sweep) begin(partial bool) {
	s.at, s.partial, s.idle, s.suspects = "", partial, 0, nil
	s.first, s.last = "", ""
	s.seed, s.seen = maphash.MakeSeed(), map[uint64]struct{}{}
}

// shown reports whether the listing has shown a record.
func (s *Sweep) shown(id string) bool {
	_, there := s.seen[maphash.String(s.seed, id)]
	return there
}

// save publishes what the pages until now have shown, and then stores that the
// sweep has come so far.
func (s *Sweep) save(ctx context.Context, state *directory.Sweep) error {
	s.savedAt = time.Now()
	state.SeenAt = s.savedAt.UTC()
	if s.Tell != nil {
		return nil
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	return s.Store.SaveSweep(ctx, state)
}

// flush publishes what the pages until now have shown.
func (s *Sweep) flush(ctx context.Context) error {
	facts := s.pending
	s.pending = nil
	return s.publish(ctx, facts)
}

func refused(err error) bool {
	e := connectors.AsError(err)
	return e != nil && (e.Class == connectors.Rejected || e.Class == connectors.Conflict)
}

// page reads a page.
func (s *Sweep) page(ctx context.Context, state *directory.Sweep) (page connectors.Page, err error) {
	q := connectors.Query{Fields: s.fields, Since: s.Since, Cursor: state.Cursor}
	err = s.call(ctx, state, func() (err error) {
		page, err = s.Connector.ListContacts(ctx, q)
		return err
	})
	return page, err
}

// read reads records by their ids, those between two that the listing has shown:
// an account that does not show these either shows less than it has.
func (s *Sweep) read(ctx context.Context, state *directory.Sweep, ids []string) (readings []connectors.Reading, err error) {
	asked := ids
	if s.first != "" {
		asked = slices.Concat([]string{s.first}, ids, []string{s.last})
	}
	err = s.call(ctx, state, func() error {
		readings = s.Connector.ReadContacts(ctx, asked, s.fields)
		if len(readings) != len(asked) {
			return fmt.Errorf("the connector gave %d readings of %d records", len(readings), len(asked))
		}
		for i, r := range readings {
			switch {
			case r.Err != nil && r.Err.Class != connectors.Conflict:
				return r.Err
			case len(asked) > len(ids) && (i == 0 || i == len(asked)-1) && r.Err == nil && r.Record.ID == "":
				return &connectors.Error{Class: connectors.Transient, Reason: "the account does not show contacts that it has just listed"}
			}
		}
		return nil
	})
	if err == nil && len(asked) > len(ids) {
		readings = readings[1 : len(asked)-1]
	}
	return readings, err
}

// call makes a call in its turn, patiently, and leaves the account alone after
// it.
func (s *Sweep) call(ctx context.Context, state *directory.Sweep, f func() error) error {
	for since, try := time.Now(), 1; ; try++ {
		if err := s.Wait(ctx); err != nil {
			return err
		}
		state.Calls++
		began := time.Now()
		s.asked = began.Truncate(time.Millisecond)
		err := f()
		pause := s.Rest(time.Since(began))
		if e := connectors.AsError(err); e != nil {
			if !bearable(e, try, time.Since(since)) {
				return err
			}
			pause = min(max(e.RetryAfter, time.Second), time.Minute)
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		if err == nil {
			return nil
		}
	}
}

// bearable reports whether a call is worth another try, after so many and such a
// time. What was not let through says nothing, and passes.
func bearable(e *connectors.Error, tries int, took time.Duration) bool {
	const mostTries, mostTime = 10, 10 * time.Minute
	switch e.Class {
	case connectors.Unavailable, connectors.Throttled:
		return took < mostTime
	case connectors.Transient:
		return tries < mostTries
	default:
		return false
	}
}

// compare publishes what is news of the records that the last call has shown, of
// a listing's later on. Those of a listing that seem to have lost a value are kept
// back as suspects; others have been looked at by their ids. What was written or
// recorded while they were read has to be read again: nobody knows which of the
// two came first.
func (s *Sweep) compare(ctx context.Context, records []connectors.Record, state *directory.Sweep, listed bool) error {
	links, contacts, err := s.known(ctx, records)
	if err != nil {
		return err
	}
	duplicates, err := s.duplicates(ctx, records, links)
	if err != nil {
		return err
	}
	var facts []directory.Fact
	var again []directory.Pull
	for _, r := range records {
		link, linked := links[r.ID]
		if listed && !s.heed(r, linked, state) {
			continue
		}
		switch {
		case duplicates[r.ID], linked && link.Erase:
			state.Skipped++
			continue
		case linked && !differs(s.lines, &link, r, s.Region):
			continue
		case linked && !link.UpdatedBefore(s.asked):
			again = append(again, s.again(r.ID))
			continue
		case linked && listed && empties(s.lines, link.Shadow, r):
			s.suspects = append(s.suspects, strings.Clone(r.ID))
			state.Emptied++
			continue
		}
		fact := s.factOf(r.ID, r, link, linked)
		s.count(state, link, contacts[link.Entity.ID], fact)
		facts = append(facts, fact)
	}
	if err := s.readAgain(ctx, again); err != nil {
		return err
	}
	if listed {
		s.pending = append(s.pending, facts...)
		return nil
	}
	return s.publish(ctx, facts)
}

// factOf is what the last call has shown of a record.
func (s *Sweep) factOf(asked string, r connectors.Record, link directory.Link, linked bool) directory.Fact {
	if !linked {
		return factOf(s.Account, asked, r, s.asked, s.lines, nil)
	}
	return factOf(s.Account, asked, r, s.asked, s.lines, &link)
}

// again is the debt to read a record that the last call has shown.
func (s *Sweep) again(id string) directory.Pull {
	return directory.Pull{RecordKey: directory.RecordKey{Account: s.Account, ID: strings.Clone(id)}, Change: connectors.RecordUpdated, At: s.asked}
}

func (s *Sweep) readAgain(ctx context.Context, pulls []directory.Pull) error {
	if s.Tell != nil || len(pulls) == 0 {
		return nil
	}
	return s.Store.ReadAgain(ctx, pulls)
}

// heed counts a record of the listing, and reports whether it is to be looked
// at: it comes for the first time, and is somebody's.
func (s *Sweep) heed(r connectors.Record, linked bool, state *directory.Sweep) bool {
	if s.shown(r.ID) {
		state.Repeated++
		return false
	}
	s.seen[maphash.String(s.seed, r.ID)] = struct{}{}
	if s.last = strings.Clone(r.ID); s.first == "" {
		s.first = s.last
	}
	state.Read++
	if linked {
		state.Compared++
		return true
	}
	if s.nobody(r) {
		state.Skipped++
		return false
	}
	return true
}

// known returns the links of records, and the contacts of those that differ.
func (s *Sweep) known(ctx context.Context, records []connectors.Record) (map[string]directory.Link, map[int64]*directory.Contact, error) {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	links, err := s.Store.Shadows(ctx, s.Account, ids)
	if err != nil {
		return nil, nil, err
	}
	var people []int64
	for _, r := range records {
		if link, linked := links[r.ID]; linked && differs(s.lines, &link, r, s.Region) {
			people = append(people, link.Entity.ID)
		}
	}
	if len(people) == 0 {
		return links, nil, nil
	}
	contacts, err := s.Store.ContactsOf(ctx, people)
	return links, contacts, err
}

// nobody reports whether a record has nothing by which a person is known.
func (s *Sweep) nobody(r connectors.Record) bool {
	seen := func(field string) string { return directory.TextOf(r.Fields[field]) }
	return !directory.NamesSomebody(s.lines, seen, s.Region, s.Mapping.People().ByEmail)
}

// duplicates are those of the records that are linked to nobody and show what
// they did when they were found to be duplicates.
func (s *Sweep) duplicates(ctx context.Context, records []connectors.Record, links map[string]directory.Link) (map[string]bool, error) {
	unlinked := map[string]connectors.Record{}
	for _, r := range records {
		if _, linked := links[r.ID]; !linked {
			unlinked[r.ID] = r
		}
	}
	if len(unlinked) == 0 {
		return nil, nil
	}
	seen, err := s.Store.SeenDuplicates(ctx, s.Account, slices.Collect(maps.Keys(unlinked)))
	if err != nil {
		return nil, err
	}
	same := map[string]bool{}
	for id, shown := range seen {
		same[id] = shown == directory.Shown(s.factOf(id, unlinked[id], directory.Link{}, false).Observed.Fields)
	}
	return same, nil
}

// count counts what comes of a fact, and tells of it.
func (s *Sweep) count(state *directory.Sweep, link directory.Link, contact *directory.Contact, fact directory.Fact) {
	o := fact.Observed
	if contact == nil || o.Gone {
		state.Changed++
		s.tell(Finding{RecordID: o.ID, ContactID: link.Entity.ID, Gone: o.Gone, New: !o.Gone})
		return
	}
	sighting := directory.Sighting{Lines: s.lines, Seen: o.Fields, Region: s.Region, At: fact.At, Fact: fact.ID, Account: s.Account}
	var here, there, conflict int64
	for _, d := range contact.Differences(sighting, link.Shadow) {
		switch d.Effect {
		case directory.Taken:
			here = 1
		case directory.WrittenBack:
			there = 1
		case directory.LeftAlone, directory.Agreeing:
		}
		if d.Conflict {
			conflict = 1
		}
		s.tell(Finding{RecordID: o.ID, ContactID: link.Entity.ID, Difference: d})
	}
	state.Changed, state.There, state.Conflicts = state.Changed+here, state.There+there, state.Conflicts+conflict
}

func (s *Sweep) tell(f Finding) {
	if s.Tell != nil {
		s.Tell(f)
	}
}

func (s *Sweep) publish(ctx context.Context, facts []directory.Fact) error {
	if s.Tell != nil {
		return nil
	}
	for part := range slices.Chunk(facts, perPublish) {
		if err := s.Publish(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
