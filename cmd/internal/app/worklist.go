package app

import (
	"context"

	"crmsync/config"
	"crmsync/sync/deadletter"
	"crmsync/sync/store"
)

// Letter is a dead letter.
type Letter = deadletter.Letter

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

// OpenWorklist opens the worklist that a configuration names.
func OpenWorklist(ctx context.Context, c *config.Config) (*Worklist, error) {
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Worklist{db}, nil
}

// Letters returns letters, the oldest first.
func (w *Worklist) Letters(ctx context.Context, f LetterFilter) ([]Letter, error) {
	return w.db.Letters(ctx, f.filter())
}

// Replay asks for another try of open letters and returns how many they are.
// A running worker notices within two seconds.
func (w *Worklist) Replay(ctx context.Context, f LetterFilter, by string) (int64, error) {
	return w.db.Replay(ctx, f.filter(), by)
}

// Discard settles open letters and returns how many they are.
func (w *Worklist) Discard(ctx context.Context, f LetterFilter, by, reason string) (int64, error) {
	return w.db.Discard(ctx, f.filter(), by, reason)
}

// Close releases the database.
func (w *Worklist) Close() error { return w.db.Close() }
