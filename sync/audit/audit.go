// Package audit proves that everything received is accounted for: what the
// broker has stored is recorded or waits, and what is recorded is in agreement,
// pending, dead-lettered or skipped for a reason, in every account.
package audit

import (
	"fmt"
	"time"

	"crmsync/sync/directory"
)

// A Period is the time that is looked at: facts that were received in it, and
// entities that were recorded or changed in it. Zero is open.
type Period struct{ Since, Until time.Time }

// A Report is what an audit has found.
type Report struct {
	At    time.Time `json:"at"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Closes says that all sums close and nothing is stranded. It is false as
	// long as the broker cannot be asked: nothing is proved then.
	Closes bool   `json:"closes"`
	Events Events `json:"events"`
	// Sources are the accounts that report facts.
	Sources []Source `json:"sources"`
	// Accounts are the accounts that are delivered to.
	Accounts []Account `json:"accounts"`
	Findings []Finding `json:"findings"`
	// Losses are what a person may settle, so that later reports close.
	Losses []Loss `json:"-"`
	// Notes are no faults.
	Notes []string `json:"notes,omitempty"`
}

// Events is what has become of everything that EVENTS has ever stored, which
// is what was acknowledged.
type Events struct {
	// Known is false if the broker could not be asked; the numbers are then 0,
	// and Why says why.
	Known bool   `json:"known"`
	Why   string `json:"why,omitempty"`
	// Stored = Recorded + Waiting + Lost + Settled. Settled are lost, and a
	// person knows.
	Stored   uint64 `json:"stored"`
	Recorded uint64 `json:"recorded"`
	Waiting  uint64 `json:"waiting"`
	Lost     uint64 `json:"lost"`
	Settled  uint64 `json:"settled"`
}

// A Source is an account that reports facts: Received = Recorded + Waiting, and
// Recorded = Applied + Skipped + Unreadable.
type Source struct {
	Account string `json:"account"`
	// Received leaves out what Waiting does when that is not known.
	Received int64 `json:"received"`
	Recorded int64 `json:"recorded"`
	// Waiting is how many events are not recorded yet, now and whatever the
	// period; nil if that is not known. With several accounts some of these may
	// be recorded already.
	Waiting *int64 `json:"waiting"`
	Applied int64  `json:"applied"`
	Skipped int64  `json:"skipped"`
	// Unreadable facts are on the worklist, or somebody has settled them.
	Unreadable      int64            `json:"unreadable"`
	SkippedByReason map[string]int64 `json:"skipped_by_reason,omitempty"`
}

// Counts say how an account stands to what it should show: Recorded = Agreed +
// Pending + DeadLettered + Skipped, or it does not close.
type Counts struct {
	Recorded     int64 `json:"recorded"`
	Agreed       int64 `json:"agreed"`
	Pending      int64 `json:"pending"`
	DeadLettered int64 `json:"dead_lettered"`
	Skipped      int64 `json:"skipped"`
}

func (c *Counts) add(d Counts) {
	c.Recorded += d.Recorded
	c.Agreed += d.Agreed
	c.Pending += d.Pending
	c.DeadLettered += d.DeadLettered
	c.Skipped += d.Skipped
}

// Closes reports whether the sum does.
func (c Counts) Closes() bool { return c.Recorded == c.Agreed+c.Pending+c.DeadLettered+c.Skipped }

// An Account is delivered to.
type Account struct {
	Account string `json:"account"`
	Counts
	SkippedByReason map[string]int64 `json:"skipped_by_reason,omitempty"`
	// OldestPending is since when the longest waiting entity waits.
	OldestPending time.Time                       `json:"oldest_pending,omitzero"`
	Entities      map[directory.EntityKind]Counts `json:"entities"`
}

// A Finding is something that does not close, and what shows it.
type Finding struct {
	Account string `json:"account,omitempty"`
	Problem string `json:"problem"`
	Count   int64  `json:"count"`
	// Names are the entities, facts or letters, at most [MostNames]; none has a
	// phone number or a text in it.
	Names []string `json:"names"`
}

// MostNames is how many names a finding has at most.
const MostNames = 1000

// Held is what the broker holds.
type Held struct {
	// Stream tells one EVENTS from another.
	Stream string `json:"stream"`
	// First is the number of the first event that it still has, or would have
	// next; Last that of the last one it has stored. Gone are the ones between
	// them that it has no more.
	First uint64  `json:"first"`
	Last  uint64  `json:"last"`
	Gone  []Range `json:"gone,omitempty"`
	// Waiting is how many it still has, Facts the same by account.
	Waiting uint64      `json:"waiting"`
	Facts   []HeldFacts `json:"facts,omitempty"`
	// Letters is how many letters the worklist has not taken in yet.
	Letters uint64 `json:"letters"`
}

// HeldFacts are events of one account and kind.
type HeldFacts struct {
	Account string `json:"account"`
	Kind    string `json:"kind"`
	N       uint64 `json:"n"`
}

// A Range is a range of event numbers, both ends in it.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// String names a loss for people.
func (l Loss) String() string {
	if l.First == 0 {
		return fmt.Sprintf("whatever came after event %d of %s", l.Last, l.Stream)
	}
	return l.Range.String() + " of " + l.Stream
}

func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprintf("event %d", r.First)
	}
	return fmt.Sprintf("events %d to %d", r.First, r.Last)
}

// A Loss is events that were acknowledged and are not there any more; or if
// First is 0, whatever came after Last in a stream that was replaced or set back.
type Loss struct {
	// Stream is [Held.Stream].
	Stream string
	Range
}

// A SettledLoss is one that a person has settled, for a reason.
type SettledLoss struct {
	Loss
	At         time.Time
	By, Reason string
}

// A Tally is what the database holds, all of it at one moment.
type Tally struct {
	// Recorded are the events of Held.Stream that have been recorded. Former are
	// the streams before it, each from 0 to the last event that was recorded.
	Recorded []Range
	Former   []Loss
	Settled  []SettledLoss
	// Owed is how many facts the recorded events have left, Kept how many facts
	// there are.
	Owed, Kept int64
	Facts      []FactCount
	Links      []LinkCount
	Oldest     map[string]time.Time
	// Missing are entities that an account should have and that are not even
	// owed to it. They are among the Findings too.
	Missing  []LinkCount
	Findings []Finding
}

// FactCount is how many facts of an account had an outcome.
type FactCount struct {
	Account, Outcome string
	N                int64
}

// LinkCount is how many entities of an account are in a state, for a reason
// if they are skipped.
type LinkCount struct {
	Account, Kind, State, Reason string
	N                            int64
}
