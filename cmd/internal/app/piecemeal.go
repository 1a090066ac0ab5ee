package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/directory"
)

const (
	// overlap is how far a listing of changes reaches back behind the one before:
	// search indexes lag.
	overlap = 5 * time.Minute
	// zohoCredits is what a call of a listing costs at most in Zoho.
	zohoCredits = 3
)

// A syncPlan says what an account's contact sync can do in its time.
type syncPlan struct {
	// fits says that all contacts can be compared each time; why is why not.
	fits bool
	why  string
	// calls is how many may be made in one tick, 0 any number; until when.
	calls int64
	until time.Time
	// since is from when on changes are not known.
	since time.Time
}

// plan finds out whether all contacts can be compared each time: the last time
// it took less than the interval, and so many calls that a day of it stays
// within the share of the day's quota.
func (r *syncRun) plan(ctx context.Context) (syncPlan, error) {
	complete, err := r.db.CompleteSweeps(ctx, r.account.name, 1)
	next, every := r.schedule.Next(time.Now())
	if err != nil || len(complete) == 0 || next.IsZero() {
		return syncPlan{fits: true}, err
	}
	recent, err := r.db.Sweeps(ctx, r.account.name, 10)
	if err != nil {
		return syncPlan{}, err
	}
	plan := planOf(complete[0], recent, r.account.settings, r.config.Jobs.ContactSyncShare.Share(), every)
	// Half of the time is for pages that come late, and for the next.
	plan.until = time.Now().Add(time.Until(next) * 3 / 4)
	r.say(plan)
	return plan, nil
}

func planOf(last directory.Sweep, recent []directory.Sweep, account config.Account, share float64, every time.Duration) syncPlan {
	plan := syncPlan{fits: true, since: last.Began.Add(-overlap)}
	for _, s := range recent {
		if s.Kind == directory.Changes && s.State() == "done" && s.Began.Add(-overlap).After(plan.since) {
			plan.since = s.Began.Add(-overlap)
		}
	}
	ticks := max(int64(24*time.Hour/max(every, time.Minute)), 1)
	cost := int64(1)
	if account.Kind == config.Zoho {
		cost = zohoCredits
	}
	day := int64(float64(account.Quota.PerDay) * share)
	if day > 0 {
		plan.calls = max(day/cost/ticks, 1)
	}
	switch {
	case last.Worked > every:
		plan.fits, plan.why = false, fmt.Sprintf("comparing all contacts takes %s, and there are %s from one time to the next", last.Worked.Round(time.Second), every)
	case plan.calls > 0 && last.Calls > plan.calls:
		plan.fits, plan.why = false, fmt.Sprintf("comparing all contacts takes %d calls, and %d of the day's quota are for one time", last.Calls, plan.calls)
	}
	return plan
}

// say says when it changes whether a whole comparison fits.
func (r *syncRun) say(plan syncPlan) {
	was := &r.account.syncing
	fits := 0.0
	if plan.fits {
		fits = 1
	}
	r.metrics.syncFits.WithLabelValues(r.account.name).Set(fits)
	switch {
	case !plan.fits && (was.fits || !was.asked):
		r.log.Warn("not all contacts are compared each time: those that have changed are, and the others a part at a time",
			"account", r.account.name, "why", plan.why)
	case plan.fits && was.asked && !was.fits:
		r.log.Info("all contacts are compared each time again", "account", r.account.name)
	}
	was.fits, was.asked = plan.fits, true
}

// piecemeal compares what has changed, and goes on with the comparison of all
// for as long as there is time and quota.
func (r *syncRun) piecemeal(ctx context.Context, plan syncPlan, rolling *directory.Sweep) error {
	changes := r.begin(directory.Changes, r.due)
	sweep := r.sweep()
	sweep.Since = plan.since
	_, trouble := r.run(ctx, sweep, changes)
	if trouble == nil {
		trouble = r.deleted(ctx, changes, plan.since)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What cannot be listed by its changes is found by going through all.
	if rolling == nil {
		// A sweep is known by its time, and this one goes on for longer.
		rolling = r.begin(directory.Rolling, r.due.Add(time.Millisecond))
		r.account.syncing.rolling = nil
	}
	whole := r.account.syncing.rolling
	if whole == nil {
		whole = r.sweep()
		r.account.syncing.rolling = whole
	}
	whole.Store, whole.Mapping = r.db, r.now.Load().mapping
	had := rolling.Calls - changes.Calls
	whole.Enough = func(state *directory.Sweep) bool {
		return !time.Now().Before(plan.until) || plan.calls > 0 && state.Calls-had >= plan.calls
	}
	done, err := r.run(ctx, whole, rolling)
	if done || err != nil {
		r.account.syncing.rolling = nil
	}
	return errors.Join(trouble, err)
}

// deleted has the records read of whose deletion the account tells.
func (r *syncRun) deleted(ctx context.Context, state *directory.Sweep, since time.Time) error {
	const most = 50 // pages; the rest is found by the rolling sweep
	cursor := ""
	for range most {
		if err := r.account.guard.Wait(ctx, false); err != nil {
			return err
		}
		page, err := r.account.guard.ListDeleted(ctx, since, cursor)
		if e := connectors.AsError(err); e != nil {
			if e.Code == connectors.NotOffered {
				break
			}
			return err
		}
		state.Calls++
		pulls := make([]directory.Pull, len(page.Deletions))
		for i, d := range page.Deletions {
			pulls[i] = directory.Pull{RecordKey: directory.RecordKey{Account: r.account.name, ID: d.ID}, Change: connectors.RecordDeleted, At: time.Now()}
		}
		if err := r.db.WantPulls(ctx, pulls); err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	return r.db.SaveSweep(ctx, state)
}
