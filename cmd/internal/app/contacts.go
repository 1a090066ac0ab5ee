package app

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"crmsync/connectors"
	"crmsync/jobs"
	"crmsync/sync/audit"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// syncing is what is remembered of an account's contact syncs from one to the
// next.
type syncing struct {
	brake deliver.Brake
	// rolling is the sweep that goes through all contacts a few pages at a time,
	// with what it has seen.
	rolling *deliver.Sweep
	// fits says whether the last one found that a whole comparison fits.
	fits, asked bool
}

const (
	// staleAfter is for how long a sweep that was broken off can be gone on with:
	// cursors last for an hour.
	staleAfter = time.Hour
)

// askedSync returns for when somebody wants an account's contacts compared.
func (a *App) askedSync(account string) func(ctx context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		open, err := a.store.OpenSweeps(ctx, account)
		for _, s := range open {
			if s.AskedBy != "" && (s.SeenAt.IsZero() || time.Since(s.SeenAt) < staleAfter) {
				return s.Due, err
			}
		}
		return time.Time{}, err
	}
}

// syncContacts compares the contacts of an account with what it last showed. A
// run that was broken off goes on where it was.
func (a *App) syncContacts(ctx context.Context, account *account, schedule jobs.Schedule, due time.Time) error {
	// A database connection of its own: the embedded database has one for
	// everybody else.
	db, err := OpenStore(ctx, a.config)
	if err != nil {
		return err
	}
	defer db.Close()
	run := &syncRun{App: a, db: db, account: account, schedule: schedule, due: due}
	return run.do(ctx)
}

// A syncRun is one tick of an account's contact sync.
type syncRun struct {
	*App
	db       *store.DB
	account  *account
	schedule jobs.Schedule
	due      time.Time
}

func (r *syncRun) do(ctx context.Context) error {
	open, err := r.db.OpenSweeps(ctx, r.account.name)
	if err != nil {
		return err
	}
	var whole, rolling *directory.Sweep
	for i := range open {
		s := &open[i]
		switch {
		case s.AskedBy != "" && s.Due.Equal(r.due):
			return r.whole(ctx, s)
		case s.AskedBy != "" && s.SeenAt.IsZero():
			continue // its turn comes
		case s.AskedBy != "":
			// Only one is under way at a time, and that is this one.
			s.Ended, s.Problem = time.Now().UTC(), "it was broken off; ask for it again"
			if err := r.db.SaveSweep(ctx, s); err != nil {
				return err
			}
		case time.Since(s.SeenAt) > staleAfter && s.Kind == directory.Whole || s.Kind == directory.Changes:
			s.Ended, s.Problem = time.Now().UTC(), "it was broken off, and begun again"
			if err := r.db.SaveSweep(ctx, s); err != nil {
				return err
			}
		case s.Kind == directory.Rolling:
			rolling = s
		default:
			whole = s
		}
	}
	if whole != nil {
		return r.whole(ctx, whole)
	}
	plan, err := r.plan(ctx)
	switch {
	case err != nil:
		return err
	case plan.fits:
		return r.whole(ctx, r.begin(directory.Whole, r.due))
	}
	return r.piecemeal(ctx, plan, rolling)
}

func (r *syncRun) begin(kind directory.SweepKind, due time.Time) *directory.Sweep {
	return &directory.Sweep{Account: r.account.name, Due: due, Kind: kind}
}

// whole goes through all contacts in one go.
func (r *syncRun) whole(ctx context.Context, state *directory.Sweep) error {
	_, err := r.run(ctx, r.sweep(), state)
	return err
}

// run goes on with a sweep and stores what has become of it.
func (r *syncRun) run(ctx context.Context, sweep *deliver.Sweep, state *directory.Sweep) (done bool, err error) {
	began := time.Now()
	if state.SeenAt.IsZero() {
		state.Began = began.UTC()
		if state.Known, err = r.db.CountRecords(ctx, r.account.name); err != nil {
			return false, err
		}
	} else if state.Kind == directory.Whole {
		r.log.Info("the contact sync goes on where it was broken off", "account", r.account.name, "read", state.Read)
	}
	state.SeenAt = began.UTC()
	if err := r.db.SaveSweep(ctx, state); err != nil {
		return false, err
	}
	done, err = sweep.Run(ctx, state)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var remapErr error
	if state.Kind != directory.Rolling { // which goes on with one of the others
		remapErr = r.remap(ctx, state)
	}
	state.SeenAt = time.Now().UTC()
	state.Worked += time.Since(began)
	// A scheduled one that the account was in trouble for is gone on with the
	// next time.
	trouble := connectors.AsError(err)
	later := trouble != nil && trouble.Class.AccountTrouble() && state.AskedBy == "" && state.Kind != directory.Changes && state.Cursor != ""
	if done || err != nil {
		if !later {
			state.Ended = state.SeenAt
		}
		r.tell(state, err)
	}
	if errors.Is(err, deliver.ErrTooMuch) {
		err = nil // the sync has done what it should
	}
	ever := true
	if done && err == nil && state.Kind != directory.Changes {
		ever, err = r.db.EverSwept(ctx, r.account.name)
	}
	err = errors.Join(err, remapErr, r.db.SaveSweep(ctx, state))
	if !ever && err == nil {
		err = r.endWait(ctx)
	}
	return done, err
}

// remap owes the account what the mapping in force translates otherwise than the
// contacts were written, unless that is known since it is in force.
func (r *syncRun) remap(ctx context.Context, state *directory.Sweep) error {
	began, now := time.Now(), r.now.Load()
	was, _, err := r.db.InLine(ctx, r.account.name)
	if err != nil || was == now.mapping.Revision() {
		return err
	}
	own := ownStore{r.db, func() []string { return now.notFeeding(r.account.name) }}
	found, err := (&deliver.Remap{Account: r.account.name, Store: own, Mapping: now.mapping}).Run(ctx)
	state.Remapped += found.Owed
	if err != nil {
		return err
	}
	log := r.log.With("account", r.account.name, "mapping_revision", now.mapping.Revision(), "before", was,
		"compared", found.Compared, "remapped", found.Owed, "took", time.Since(began).Round(time.Millisecond).String())
	if found.Refused > 0 {
		log.Warn("contacts are brought into line with the mapping, but for those that it does not let through; they stay as they are", "refused", found.Refused)
	} else {
		log.Info("contacts are brought into line with the mapping")
	}
	return r.db.BroughtInLine(ctx, r.account.name, now.mapping.Revision())
}

// tell says what has become of a sweep.
func (r *syncRun) tell(state *directory.Sweep, err error) {
	log := r.log.With("account", state.Account, "kind", state.Kind, "read", state.Read, "compared", state.Compared,
		"changed", state.Changed, "gone", state.Gone, "remapped", state.Remapped, "calls", state.Calls, "took", state.Worked.Round(time.Millisecond).String())
	if err != nil && !state.Ended.IsZero() {
		state.Problem = err.Error()
	}
	switch {
	case errors.Is(err, deliver.ErrTooMuch):
		log.Error("the contact sync has stopped", "problem", err)
	case err != nil:
		log.Warn("the contact sync could not be done to the end", "problem", err)
	case state.Missed > 0:
		log.Warn("contact sync: the account's listing has left out contacts that are there; they were read one by one", "missed", state.Missed)
	default:
		log.Info("contact sync")
	}
	if err == nil && state.Kind != directory.Changes {
		r.metrics.synced.WithLabelValues(state.Account).Set(float64(state.Began.Unix()))
	}
	for outcome, n := range map[string]int64{
		"read": state.Read, "compared": state.Compared, "changed_here": state.Changed, "changed_there": state.There,
		"conflicts": state.Conflicts, "skipped": state.Skipped, "gone": state.Gone, "remapped": state.Remapped,
	} {
		r.metrics.syncRecords.WithLabelValues(state.Account, outcome).Add(float64(n))
	}
}

// sweep is one through the account.
func (r *syncRun) sweep() *deliver.Sweep { return r.sweepOf(r.account, r.db) }

// sweepOf is a sweep of an account, at a pace that leaves deliveries what they
// need.
func (a *App) sweepOf(account *account, db *store.DB) *deliver.Sweep {
	return &deliver.Sweep{
		Account: account.name, Connector: account.guard, Store: db, Mapping: a.now.Load().mapping, Region: a.config.DefaultRegion,
		Publish: a.broker.PublishFacts, Brake: &account.syncing.brake,
		Wait: func(ctx context.Context) error {
			if err := a.cpu.wait(ctx); err != nil {
				return err
			}
			return account.guard.Wait(ctx, false)
		},
		Rest: func(took time.Duration) time.Duration {
			share := a.config.Jobs.ContactSyncShare.Share()
			if !account.worker.Busy() {
				share = max(share, 0.9)
			}
			quota := account.settings.Quota
			apart := time.Duration(float64(quota.Per.Duration()) / float64(max(quota.Requests, 1)) / share)
			return max(apart-took, 0)
		},
		Log: a.log.With("account", account.name),
	}
}

// listed reports whether all contacts of an account have been seen once: a contact
// sync has come to its end, and what it has seen is recorded.
func (a *App) listed(account string) func(ctx context.Context) bool {
	var done atomic.Bool
	began := time.Now()
	return func(ctx context.Context) bool {
		if done.Load() || a.config.Jobs.ContactSync == "off" {
			return true
		}
		last, err := a.store.CompleteSweeps(ctx, account, 1)
		is := len(last) > 0
		if is && err == nil && last[0].Ended.After(began) {
			is, err = a.caughtUp(ctx, account)
		}
		if err != nil {
			a.log.Warn("cannot see whether the contacts of the account have been listed", "account", account, "error", err)
			return false
		}
		if is {
			done.Store(true)
		}
		return is
	}
}

// caughtUp reports whether all that was seen of an account's records is recorded.
func (a *App) caughtUp(ctx context.Context, account string) (bool, error) {
	held, err := a.broker.Held(ctx)
	return err == nil && !slices.ContainsFunc(held.Facts, func(f audit.HeldFacts) bool {
		return f.Account == account && f.Kind == string(connectors.KindObserved)
	}), err
}

// endWait lets those be delivered who have waited for the first sweep, once what it
// has seen is recorded.
func (r *syncRun) endWait(ctx context.Context) error {
	const look, enough = time.Second, 10 * time.Minute
	for began := time.Now(); time.Since(began) < enough; {
		done, err := r.caughtUp(ctx, r.account.name)
		if err != nil {
			return err
		}
		if done {
			return r.db.EndWait(ctx, r.account.name)
		}
		if !pause(ctx, look) {
			return ctx.Err()
		}
	}
	return nil // they try again by themselves
}
