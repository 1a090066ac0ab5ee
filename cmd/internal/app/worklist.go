package app

import (
	"context"
	"errors"

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
	Limit                 int
}

func (f LetterFilter) filter() deadletter.Filter {
	state := deadletter.State(f.State)
	if f.State == "all" {
		state = ""
	}
	return deadletter.Filter{IDs: f.IDs, Account: f.Account, Class: f.Class, State: state, Limit: f.Limit}
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
	return w.db.Letters(ctx, f.filter())
}

// Replay asks for another try of open letters and returns how many they are.
// A running worker notices within two seconds.
func (w *Worklist) Replay(ctx context.Context, f LetterFilter, by string) (int64, error) {
	if w.db == nil {
		return 0, errNoWorklist
	}
	return w.db.Replay(ctx, f.filter(), by)
}

// Discard settles open letters and returns how many they are.
func (w *Worklist) Discard(ctx context.Context, f LetterFilter, by, reason string) (int64, error) {
	if w.db == nil {
		return 0, errNoWorklist
	}
	return w.db.Discard(ctx, f.filter(), by, reason)
}

// Close releases the database.
func (w *Worklist) Close() error {
	if w.db == nil {
		return nil
	}
	return w.db.Close()
}
