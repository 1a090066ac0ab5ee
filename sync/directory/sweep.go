package directory

import "time"

// A Sweep is one run through the contacts of an account.
type Sweep struct {
	Account string
	// Due is when it was to begin; it tells sweeps of an account apart.
	Due, Began time.Time
	// SeenAt is when it last went on, zero while nobody has begun it.
	SeenAt time.Time
	// Ended is zero until then. Problem is why it ended early.
	Ended   time.Time
	Problem string
	Kind    SweepKind
	// AskedBy is who has asked for it, empty if its time had come. MassChange
	// lets it take over that many contacts are gone, or have lost values.
	AskedBy    string
	MassChange bool
	// Cursor is the page that it has come to.
	Cursor string
	// Known is how many records the account was known to have when it began.
	Known int64
	// Read counts the records that the account showed, Compared those of them
	// that were known, and Skipped those that name nobody.
	Read, Compared, Skipped int64
	// Changed counts the records that have changed something here, as they
	// showed something else than before, are new, or are gone; There those in
	// which something of ours is written again, and Conflicts those of which a
	// field had been changed on both sides.
	Changed, There, Conflicts int64
	// Gone counts those that were not there any more, Emptied those that had
	// lost values. Missed were there, although the listing did not show them,
	// and Repeated were in it twice.
	Gone, Emptied, Missed, Repeated int64
	// Remapped counts the contacts that are to be written again because the
	// mapping translates them otherwise than before.
	Remapped int64
	// Partial says that it was gone on with after a restart, and could not tell
	// what is gone.
	Partial bool
	// Calls is how many it has made, Worked how long it was at it.
	Calls  int64
	Worked time.Duration
}

// SweepKind says which contacts a sweep goes through.
type SweepKind string

// The kinds of sweeps.
const (
	// Whole is through all contacts, in one go.
	Whole SweepKind = "whole"
	// Rolling is through all contacts, a few pages at a time.
	Rolling SweepKind = "rolling"
	// Changes is through those that were changed since the last sweep.
	Changes SweepKind = "changes"
)

// State is what becomes of it: waiting, running, done or stopped.
func (s *Sweep) State() string {
	switch {
	case s.SeenAt.IsZero():
		return "waiting"
	case s.Ended.IsZero():
		return "running"
	case s.Problem != "":
		return "stopped"
	}
	return "done"
}
