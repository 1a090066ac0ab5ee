package app

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

// syncContacts compares all contacts of an account with what it last showed. A
// run that was broken off goes on where it was.
func (a *App) syncContacts(ctx context.Context, account *account, due time.Time) error {
	// A database connection of its own: the embedded database has one for
	// everybody else.
	db, err := OpenStore(ctx, a.config)
	if err != nil {
		return err
	}
	defer db.Close()
	state := &directory.Sweep{Account: account.name, Due: due, Began: time.Now().UTC()}
	before, err := db.Sweeps(ctx, account.name, 1)
	if err != nil {
		return err
	}
	if len(before) > 0 && before[0].Ended.IsZero() && time.Since(before[0].Began) < time.Hour {
		state = &before[0]
		a.log.Info("the contact sync goes on where it was broken off", "account", account.name, "read", state.Read)
	}
	if err := db.SaveSweep(ctx, state); err != nil {
		return err
	}
	sweep := &deliver.Sweep{
		Account: account.name, Connector: account.guard, Store: db, Mapping: a.now.Load().mapping, Region: a.config.DefaultRegion, Publish: a.broker.PublishFacts,
		Wait: func(ctx context.Context) error {
			if err := a.cpu.wait(ctx); err != nil {
				return err
			}
			return account.guard.Wait(ctx, false)
		},
		// As long as deliveries need little of the quota, all of the rest is
		// for this.
		Rest: func() time.Duration {
			if account.limiter.Used() < 0.5 {
				return 0
			}
			return restOf(account.settings)
		},
		Log: a.log.With("account", account.name),
	}
	err = sweep.Run(ctx, state)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	state.Ended = time.Now().UTC()
	log := a.log.With("account", account.name, "read", state.Read, "compared", state.Compared, "changed", state.Changed, "gone", state.Gone,
		"took", state.Ended.Sub(state.Began).Round(time.Millisecond).String())
	switch {
	case errors.Is(err, deliver.ErrTooMuch):
		state.Problem = err.Error()
		log.Error("the contact sync has stopped", "problem", err)
		err = nil
	case err != nil:
		state.Problem = err.Error()
		log.Warn("the contact sync could not be done to the end", "problem", err)
	default:
		log.Info("contact sync")
	}
	return errors.Join(err, db.SaveSweep(ctx, state))
}

// listed reports whether a contact sync of an account has come to its end, ever.
func (a *App) listed(account string) func(ctx context.Context) bool {
	var done atomic.Bool
	return func(ctx context.Context) bool {
		if done.Load() || a.config.Jobs.ContactSync == "off" {
			return true
		}
		ever, err := a.store.EverSwept(ctx, account)
		if err != nil {
			a.log.Warn("cannot see whether the contacts of the account have been listed", "account", account, "error", err)
		}
		if ever {
			done.Store(true)
		}
		return ever
	}
}
