package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/store"
)

// Letter is a dead letter.
type Letter = deadletter.Letter

// LetterStates are the states that a filter may name, LetterClasses the
// classes.
var (
	LetterStates  = []string{string(deadletter.Open), string(deadletter.Replaying), string(deadletter.Delivered), string(deadletter.Discarded), "all"}
	LetterClasses = []string{
		string(connectors.Rejected), string(connectors.Conflict), string(connectors.UnknownOutcome), string(connectors.Unknown),
		string(connectors.Transient), string(connectors.Throttled), string(connectors.Unauthorized), string(connectors.Unavailable),
	}
)

// LetterFilter selects dead letters. State may be "all".
type LetterFilter struct {
	IDs                   []string
	Account, Class, State string
	// Group is the ID of a [LetterGroup].
	Group string
	// Overdue selects letters that should have been settled by now.
	Overdue bool
	Limit   int
}

// LetterGroup is dead letters of one cause.
type LetterGroup = deadletter.Group

// filter is the store's filter. The cause of a group is looked up among the
// letters that the rest of the filter selects, or of all that are open.
func (w *Worklist) filter(ctx context.Context, f LetterFilter) (deadletter.Filter, error) {
	state := deadletter.State(f.State)
	if f.State == "all" {
		state = ""
	}
	out := deadletter.Filter{IDs: f.IDs, Account: f.Account, Class: f.Class, State: state}
	if f.Overdue {
		out.DueBefore = time.Now()
	}
	if f.Group != "" {
		groups, err := w.db.Groups(ctx, out)
		if err != nil {
			return out, err
		}
		i := slices.IndexFunc(groups, func(g LetterGroup) bool { return g.ID == f.Group })
		if i < 0 {
			return out, fmt.Errorf("there is no group %q of such letters; crmsync deadletters list --group-by cause shows them", f.Group)
		}
		out.Cause = &groups[i].Cause
	}
	out.Limit = f.Limit
	return out, nil
}

// Worklist is the worklist of a worker, which need not be running: both read
// and write the same database.
type Worklist struct{ db *store.DB }

var errNoWorklist = errors.New("there is no database yet, and so no dead letter; crmsync serve creates it")

// OpenWorklist opens the worklist that a configuration names. It is empty
// before the first worker has created the database.
func OpenWorklist(ctx context.Context, c *config.Config) (*Worklist, error) {
	if !hasStore(c) {
		return &Worklist{}, nil
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Worklist{db}, nil
}

// Letters returns letters, the oldest first.
func (w *Worklist) Letters(ctx context.Context, f LetterFilter) ([]Letter, error) {
	if w.db == nil {
		return []Letter{}, nil
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return nil, err
	}
	return w.db.Letters(ctx, filter)
}

// Groups returns letters by their causes, the largest group first.
func (w *Worklist) Groups(ctx context.Context, f LetterFilter) ([]LetterGroup, error) {
	if w.db == nil {
		return []LetterGroup{}, nil
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return nil, err
	}
	groups, err := w.db.Groups(ctx, filter)
	if f.Limit > 0 && len(groups) > f.Limit {
		groups = groups[:f.Limit]
	}
	return groups, err
}

// Replay asks for another try of open letters and returns how many they are.
// A running worker notices within two seconds.
func (w *Worklist) Replay(ctx context.Context, f LetterFilter, by string) (int64, error) {
	if w.db == nil {
		return 0, errNoWorklist
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return 0, err
	}
	return w.db.Replay(ctx, filter, by)
}

// Discard settles open letters and returns how many they are.
func (w *Worklist) Discard(ctx context.Context, f LetterFilter, by, reason string) (int64, error) {
	if w.db == nil {
		return 0, errNoWorklist
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return 0, err
	}
	return w.db.Discard(ctx, filter, by, reason)
}

// Close releases the database.
func (w *Worklist) Close() error {
	if w.db == nil {
		return nil
	}
	return w.db.Close()
}
