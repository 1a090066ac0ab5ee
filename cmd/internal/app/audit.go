package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"crmsync/config"
	"crmsync/sync/audit"
	"crmsync/sync/store"
	"crmsync/sync/stream"
)

type (
	// AuditPeriod is what an audit is asked about.
	AuditPeriod = audit.Period
	// AuditReport is what it finds.
	AuditReport = audit.Report
	// AuditSource is what it finds of an account that reports.
	AuditSource = audit.Source
	// AuditAccount is what it finds of an account that is delivered to.
	AuditAccount = audit.Account
	// AuditCounts say how an account stands to what it should show.
	AuditCounts = audit.Counts
	// AuditFinding is something that does not close.
	AuditFinding = audit.Finding
)

const (
	// heldPath is where a worker says what its broker holds.
	heldPath = "/api/v1/held"
	// lookAgain is how often an audit looks again before it reports what might
	// just have been on its way, and lookAfter after how long.
	lookAgain = 5
	lookAfter = time.Second
)

// Audit counts what was received and what has become of it, beside a running
// worker or without one.
func Audit(ctx context.Context, c *config.Config, p AuditPeriod) (*AuditReport, error) {
	var db *store.DB
	if hasStore(c) {
		var err error
		if db, err = OpenStore(ctx, c); err != nil {
			return nil, err
		}
		defer db.Close()
	}
	return persistently(ctx, func() (*AuditReport, error) { return auditOnce(ctx, c, db, p) })
}

// persistently repeats an audit that does not close: what is still there after
// a few seconds was not just on its way.
func persistently(ctx context.Context, once func() (*AuditReport, error)) (*AuditReport, error) {
	report, err := once()
	for n := 0; n < lookAgain && err == nil && len(report.Findings) > 0; n++ {
		if !pause(ctx, lookAfter) {
			return nil, ctx.Err()
		}
		earlier := report
		if report, err = once(); err == nil {
			report.Persistent(earlier)
		}
	}
	return report, err
}

func auditOnce(ctx context.Context, c *config.Config, db *store.DB, p AuditPeriod) (*AuditReport, error) {
	held, why := heldBy(ctx, c)
	tally := &audit.Tally{}
	if db != nil {
		name := ""
		if held != nil {
			name = held.Stream
		}
		var err error
		if tally, err = db.Audit(ctx, p, name, held != nil && held.Letters > 0); err != nil {
			return nil, err
		}
	}
	report := audit.Close(p, tally, held, why, CRMs(c))
	if db == nil {
		report.Notes = append(report.Notes, "there is no database yet; crmsync serve creates it")
	}
	return report, nil
}

// Settle settles what is lost for good, for a reason: later audits note it, and
// close. It returns the audit that has found the losses.
func Settle(ctx context.Context, c *config.Config, by, reason string) (*AuditReport, error) {
	report, err := Audit(ctx, c, AuditPeriod{})
	if err != nil || !report.Events.Known || len(report.Losses) == 0 {
		return report, err
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return report, db.SettleLosses(ctx, report.Losses, by, reason)
}

// CRMs are the accounts that are delivered to.
func CRMs(c *config.Config) []string {
	var names []string
	for _, a := range c.Accounts {
		if a.Kind != config.WhatsApp {
			names = append(names, a.Name)
		}
	}
	return names
}

// heldBy asks the broker what it holds: an external one itself, an embedded one
// through the worker in which it runs, or if there is none, by starting it for a
// moment.
func heldBy(ctx context.Context, c *config.Config) (held *audit.Held, why string) {
	held = &audit.Held{}
	if len(c.NATS.URLs) > 0 {
		err := reach(ctx, c, held)
		if err != nil {
			return nil, err.Error()
		}
		return held, ""
	}
	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	asked := askWorker(soon, c.DataDir, heldPath, held)
	if asked == nil {
		return held, ""
	}
	if _, err := os.Stat(streams(c)); errors.Is(err, fs.ErrNotExist) {
		return held, "" // there is nothing in it
	}
	_, unlock, err := lockData(c.DataDir, 0)
	if err != nil {
		return nil, "the worker in which the broker runs cannot be asked: " + asked.Error()
	}
	defer unlock()
	b, err := openBroker(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err.Error()
	}
	defer b.Close()
	if *held, err = b.Held(ctx); err != nil {
		return nil, err.Error()
	}
	return held, ""
}

func reach(ctx context.Context, c *config.Config, held *audit.Held) error {
	o, err := brokerOptions(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	b, err := stream.Reach(o)
	if err != nil {
		return err
	}
	defer b.Close()
	*held, err = b.Held(ctx)
	return err
}

// held answers what the broker holds.
func (a *App) held(w http.ResponseWriter, r *http.Request) {
	held, err := a.broker.Held(r.Context())
	if err != nil {
		a.log.Warn("cannot say what the broker holds", "error", err)
		answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the broker does not answer"})
		return
	}
	answer(w, http.StatusOK, held)
}

// countEvents makes the database count the events that are recorded from now
// on.
func (a *App) countEvents(ctx context.Context) error {
	held, err := a.broker.Held(ctx)
	if err != nil {
		return err
	}
	if len(a.config.NATS.URLs) == 0 { // else other replicas record meanwhile
		back, err := a.store.SetBack(ctx, held.Stream, held.Last)
		if err != nil {
			return err
		}
		if back {
			a.log.Error("the embedded broker has fewer events than were recorded from it: it was set back, and what waited in it then may be lost; crmsync audit reports it until somebody settles it")
		}
	}
	return a.store.CountEvents(ctx, held.Stream, held.First)
}

// noteFeeds notes, before the first batch is recorded under a configuration,
// which accounts it will be for.
func (a *App) noteFeeds(ctx context.Context) error {
	now := a.now.Load()
	if a.feedsNoted == now {
		return nil
	}
	feeds := map[string][]string{}
	for name := range now.former {
		feeds[name] = now.deliverTo(name)
	}
	for _, account := range now.config.Accounts {
		if account.Kind == config.WhatsApp {
			feeds[account.Name] = now.deliverTo(account.Name)
		}
	}
	err := a.store.Feeds(ctx, feeds)
	if err == nil {
		a.feedsNoted = now
	}
	return err
}
