package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// Cause is a code, or a code and a field as in "INVALID_DATA on Mobile".
	Cause string
	// Older selects letters that failed first that long ago or longer.
	Older time.Duration
	// Overdue selects letters that should have been settled by now, DueBefore
	// those that must be by then.
	Overdue   bool
	DueBefore time.Time
	// Replay is what [Worklist.Replay] returned.
	Replay string
	Limit  int
}

// Selects reports whether anything but a state is asked for.
func (f *LetterFilter) Selects() bool {
	return len(f.IDs) > 0 || f.Account != "" || f.Class != "" || f.Group != "" || f.Cause != "" || f.Older > 0 || f.Overdue || !f.DueBefore.IsZero()
}

// LetterGroup is dead letters of one cause.
type LetterGroup = deadletter.Group

// filter is the store's filter. The cause of a group is looked up among the
// letters that the rest of the filter selects, or of all that are open.
func (w *Worklist) filter(ctx context.Context, f LetterFilter) (deadletter.Filter, error) {
	if err := w.knows(ctx, f.Account); err != nil {
		return deadletter.Filter{}, err
	}
	state := deadletter.State(f.State)
	if f.State == "all" {
		state = ""
	}
	out := deadletter.Filter{IDs: f.IDs, Account: f.Account, Class: f.Class, State: state}
	out.Code, out.Field = deadletter.ParseCause(f.Cause)
	out.Replay, out.DueBefore = f.Replay, f.DueBefore
	if now := time.Now(); f.Overdue && (f.DueBefore.IsZero() || now.Before(f.DueBefore)) {
		out.DueBefore = now
	}
	if f.Older > 0 {
		out.CreatedBefore = time.Now().Add(-f.Older)
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

// knows makes sure that an account is one: it is in the configuration, or was
// and has letters still.
func (w *Worklist) knows(ctx context.Context, account string) error {
	var names []string
	for _, a := range w.config.Accounts {
		names = append(names, a.Name)
	}
	if account == "" || slices.Contains(names, account) {
		return nil
	}
	letters, err := w.db.Letters(ctx, deadletter.Filter{Account: account, Limit: 1})
	if err == nil && len(letters) == 0 {
		err = fmt.Errorf("there is no account %q, nor a letter of it; the configuration has %s", account, strings.Join(names, ", "))
	}
	return err
}

// Worklist is the worklist of a worker, which need not be running: both read
// and write the same database.
type Worklist struct {
	db     *store.DB
	config *config.Config
}

var errNoWorklist = errors.New("there is no database yet, and so no dead letter; crmsync serve creates it")

// OpenWorklist opens the worklist that a configuration names. It is empty
// before the first worker has created the database.
func OpenWorklist(ctx context.Context, c *config.Config) (*Worklist, error) {
	if !hasStore(c) {
		return &Worklist{config: c}, nil
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Worklist{db, c}, nil
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

// ReplayPlan is which open letters a filter selects.
type ReplayPlan struct {
	// Letters are those that are tried again.
	Letters int64 `json:"replayed"`
	// Gone are those that cannot be, by accounts that are not in the
	// configuration. They stay open.
	Gone map[string]int64 `json:"account_gone,omitempty"`
	// Paused are accounts of the first ones that somebody has paused: their
	// letters wait.
	Paused []string `json:"paused,omitempty"`
}

// Replayable says which open letters a filter selects.
func (w *Worklist) Replayable(ctx context.Context, f LetterFilter) (ReplayPlan, error) {
	if w.db == nil {
		return ReplayPlan{}, nil
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return ReplayPlan{}, err
	}
	return w.plan(ctx, filter)
}

func (w *Worklist) plan(ctx context.Context, filter deadletter.Filter) (plan ReplayPlan, err error) {
	filter.State = deadletter.Open
	counts, err := w.db.CountSelected(ctx, filter)
	if err != nil {
		return plan, err
	}
	pauses, err := w.db.Pauses(ctx)
	if err != nil {
		return plan, err
	}
	crms := CRMs(w.config)
	for _, c := range counts {
		switch {
		case !c.Facts && !slices.Contains(crms, c.Account):
			if plan.Gone == nil {
				plan.Gone = map[string]int64{}
			}
			plan.Gone[c.Account] += c.N
			continue
		case !c.Facts && slices.ContainsFunc(pauses, func(p store.Pause) bool { return p.Account == c.Account }):
			plan.Paused = append(plan.Paused, c.Account)
		}
		plan.Letters += c.N
	}
	return plan, nil
}

// Replay asks for another try of open letters, but for those of accounts that
// are gone. It returns a name by which [LetterFilter] selects them, and which
// they are. Running workers let them in as they have room.
func (w *Worklist) Replay(ctx context.Context, f LetterFilter, by string) (replay string, plan ReplayPlan, err error) {
	if w.db == nil {
		return "", plan, errNoWorklist
	}
	filter, err := w.filter(ctx, f)
	if err != nil {
		return "", plan, err
	}
	if plan, err = w.plan(ctx, filter); err != nil {
		return "", plan, err
	}
	filter.Accounts = append(CRMs(w.config), "") // never nil
	replay, plan.Letters, err = w.db.Replay(ctx, filter, by)
	return replay, plan, err
}

// LetterProgress is how far a replay has come.
type LetterProgress struct {
	// Applied are the letters that were delivered, Failed those that are open
	// again, Dropped those of what is not to be delivered any more, and Waiting
	// those that have not been tried yet.
	Applied int64 `json:"applied"`
	Failed  int64 `json:"failed"`
	Dropped int64 `json:"dropped"`
	Waiting int64 `json:"waiting"`
	// Paused are those that wait for accounts that are paused.
	Paused int64 `json:"waiting_for_paused,omitempty"`
	// Working says that a worker is alive.
	Working bool `json:"-"`
}

// Progress says how far a replay has come.
func (w *Worklist) Progress(ctx context.Context, replay string) (LetterProgress, error) {
	counts, paused, err := w.db.CountReplay(ctx, replay)
	if err != nil {
		return LetterProgress{}, err
	}
	working, err := w.db.Working(ctx)
	return LetterProgress{
		Applied: counts[deadletter.Delivered], Failed: counts[deadletter.Open], Dropped: counts[deadletter.Discarded],
		Waiting: counts[deadletter.Replaying], Paused: paused, Working: working,
	}, err
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
