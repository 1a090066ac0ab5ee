package app

import (
	"context"
	"errors"
	"time"

	"crmsync/jobs"
)

// ownJobs are what happens on a schedule and concerns no account: of all
// replicas one does it, but for the load record, which each has its own of.
func (a *App) ownJobs() (*jobs.Scheduler, error) {
	load, err := schedule(a.config, "load_record", a.config.Jobs.LoadRecord)
	daily, err2 := schedule(a.config, "daily_report", a.config.Jobs.DailyReport)
	retention, err3 := schedule(a.config, "retention", a.config.Jobs.Retention)
	return &jobs.Scheduler{Ledger: a.store, Holder: a.holder, Log: a.log, Jobs: []jobs.Job{{
		Name: "load/" + a.holder, Schedule: load,
		Do: func(ctx context.Context, _ time.Time) error { return a.recordLoad(ctx) },
	}, {
		Name: "daily report", Schedule: daily, Do: a.reportDay,
	}, {
		Name: "retention", Schedule: retention, AtOnce: true,
		Do: func(ctx context.Context, _ time.Time) error { return a.forget(ctx) },
	}}}, errors.Join(err, err2, err3)
}

// forget removes what is kept for a time only. Facts lose their raw parts and
// stay, since an audit counts them.
func (a *App) forget(ctx context.Context) error {
	keep := a.config.Retention
	now := time.Now()
	letters, err := a.store.ForgetSettled(ctx, now.Add(-keep.DeadLetters.Duration()))
	raw, err2 := a.store.ForgetRaw(ctx, now.Add(-keep.Raw.Duration()))
	history, err3 := a.store.ForgetHistory(ctx, now.Add(-keep.History.Duration()))
	if letters+raw+history > 0 {
		a.log.Info("what was kept for a time only is forgotten", "parts_of_settled_dead_letters", letters, "raw_parts", raw, "syncs_and_loads", history)
	}
	return errors.Join(err, err2, err3)
}
