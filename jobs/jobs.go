package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Job is done at times, once among all replicas.
type Job struct {
	// Name is unique among jobs, such as "consistency/hubspot".
	Name     string
	Schedule Schedule
	// AtOnce makes it due at the start if it has never been done.
	AtOnce bool
	// Asked returns the time for which somebody wants it to be done besides, zero
	// if nobody does. Doing it ends that. Nil is never.
	Asked func(ctx context.Context) (due time.Time, err error)
	// Mine reports whether this replica is the one that may do it, as only the
	// one that works for an account calls it. Nil is any.
	Mine func() bool
	// Do does the job for the time at which it was due. It ends early when ctx
	// does, because the program stops or the job is not ours any more; then it
	// is done again from the start.
	Do func(ctx context.Context, due time.Time) error
}

// A Ledger knows what was done, for all replicas.
type Ledger interface {
	// LastRun returns when a job was last due and begun, and whether that run
	// has ended; zero if there was none.
	LastRun(ctx context.Context, job string) (due time.Time, ended bool, err error)
	// BeginRun reports whether the holder shall do the job for a time. It is
	// false if the run has ended, or another holder was seen at it less than
	// the given time ago.
	BeginRun(ctx context.Context, job string, due time.Time, holder string, seen time.Duration) (bool, error)
	// SeenAtRun says that the holder is still at it. It reports false if another
	// one is by now.
	SeenAtRun(ctx context.Context, job string, due time.Time, holder string) (still bool, err error)
	// EndRun says that it is done, and what the problem was.
	EndRun(ctx context.Context, job string, due time.Time, holder, problem string) error
}

// A Scheduler does jobs when they are due. Like a delivery a job is a debt and
// not an event: one that was due while nobody was there is made up for as soon
// as somebody is, once, however often it was.
type Scheduler struct {
	Jobs   []Job
	Ledger Ledger
	// Holder names this replica.
	Holder string
	Log    *slog.Logger
}

const (
	lookEvery = time.Second
	// seenEvery is how often whoever does a job says so, gone after how long
	// without that somebody else takes it over.
	seenEvery = 5 * time.Second
	gone      = 30 * time.Second
)

// Run does jobs until ctx ends, each in its turn and none twice at a time.
func (s *Scheduler) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, job := range s.Jobs {
		if job.Schedule.cron != nil || job.Asked != nil {
			running.Go(func() { s.follow(ctx, job) })
		}
	}
	running.Wait()
	return nil
}

// follow does one job whenever it is due.
func (s *Scheduler) follow(ctx context.Context, job Job) {
	began := time.Now()
	next := began // when to look into the ledger again
	for sleep(ctx, lookEvery) {
		now := time.Now()
		if job.Mine != nil && !job.Mine() || s.asked(ctx, job) || job.Schedule.cron == nil || now.Before(next) {
			continue
		}
		last, ended, err := s.Ledger.LastRun(ctx, job.Name)
		if err != nil {
			s.failed(ctx, job, "cannot see when a job was last done; trying again", err)
			continue
		}
		due := last
		if last.IsZero() {
			last = began
			if job.AtOnce {
				due, ended = began.Truncate(time.Second), false
			}
		}
		if d := job.Schedule.due(last, now); !d.IsZero() {
			due, ended = d, false
		}
		if due.IsZero() || ended {
			next = job.Schedule.next(now)
			continue
		}
		s.begin(ctx, job, due)
	}
}

// asked does a job that somebody wants to be done besides, and reports whether
// there was such a wish.
func (s *Scheduler) asked(ctx context.Context, job Job) bool {
	if job.Asked == nil {
		return false
	}
	due, err := job.Asked(ctx)
	if err != nil {
		s.failed(ctx, job, "cannot see whether a job is asked for; trying again", err)
		return false
	}
	return !due.IsZero() && s.begin(ctx, job, due)
}

// begin does a job for a time if it is this replica's turn, and reports whether
// it was.
func (s *Scheduler) begin(ctx context.Context, job Job, due time.Time) bool {
	mine, err := s.Ledger.BeginRun(ctx, job.Name, due, s.Holder, gone)
	if err != nil {
		s.failed(ctx, job, "cannot begin a job; trying again", err)
		return false
	}
	if mine {
		s.do(ctx, job, due)
	}
	return mine
}

func (s *Scheduler) failed(ctx context.Context, job Job, what string, err error) {
	if ctx.Err() == nil {
		s.Log.Warn(what, "job", job.Name, "error", err)
	}
}

// do does a job for a time. If it does not come to its end the ledger does not
// say that it has.
func (s *Scheduler) do(ctx context.Context, job Job, due time.Time) {
	ours, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ours, job, due, ended, cancel) })
	s.Log.Info("job begun", "job", job.Name, "due", due)
	began := time.Now()
	err := recovered(func() error { return job.Do(ours, due) })
	close(ended)
	watching.Wait()
	if ours.Err() != nil {
		s.Log.Warn("job broken off; it is done again", "job", job.Name, "due", due)
		return
	}
	problem := ""
	if err != nil {
		problem = err.Error()
		s.Log.Error("job failed", "job", job.Name, "due", due, "error", err)
	} else {
		s.Log.Info("job done", "job", job.Name, "due", due, "took", time.Since(began).Round(time.Millisecond).String())
	}
	for ctx.Err() == nil {
		err := s.Ledger.EndRun(ctx, job.Name, due, s.Holder, problem)
		if err == nil {
			return
		}
		s.failed(ctx, job, "cannot note that a job is done; trying again", err)
		sleep(ctx, lookEvery)
	}
}

// watch says that a job is being done, and breaks it off when it is not ours
// any more.
func (s *Scheduler) watch(ctx context.Context, job Job, due time.Time, ended <-chan struct{}, breakOff context.CancelFunc) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	seen := time.Now()
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if job.Mine != nil && !job.Mine() {
			breakOff()
			return
		}
		if time.Since(seen) < seenEvery {
			continue
		}
		still, err := s.Ledger.SeenAtRun(ctx, job.Name, due, s.Holder)
		switch {
		case err != nil:
			s.failed(ctx, job, "cannot note that a job goes on", err)
		case still:
			seen = time.Now()
		}
		if err == nil && !still || time.Since(seen) > gone {
			breakOff()
			return
		}
	}
}

// recovered makes an error of a panic: one job that has a fault does not take
// the worker with it.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the job panicked: %v", p)
		}
	}()
	return f()
}

// sleep pauses and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
