package app

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/jobs"
	"crmsync/sync/audit"
	"crmsync/sync/store"
)

// CheckJobs reports schedules that cannot be read.
func CheckJobs(c *config.Config) error {
	var all error
	for _, job := range []struct{ key, expression string }{
		{"consistency_check", c.Jobs.ConsistencyCheck},
		{"contact_sync", c.Jobs.ContactSync},
		{"load_record", c.Jobs.LoadRecord},
		{"daily_report", c.Jobs.DailyReport},
		{"retention", c.Jobs.Retention},
	} {
		_, err := schedule(c, job.key, job.expression)
		all = errors.Join(all, err)
	}
	return all
}

func schedule(c *config.Config, key, expression string) (jobs.Schedule, error) {
	s, err := jobs.Parse(expression, c.Jobs.TimeZone)
	if err != nil {
		return s, config.Findings{{File: "jobs." + key, Problem: err.Error()}}
	}
	return s, nil
}

// jobsOf are what this worker does for an account on a schedule.
func (a *App) jobsOf(account *account) (*jobs.Scheduler, error) {
	consistency, err := schedule(a.config, "consistency_check", a.config.Jobs.ConsistencyCheck)
	contacts, err2 := schedule(a.config, "contact_sync", a.config.Jobs.ContactSync)
	// Whoever works for an account owns its quota.
	mine := func() bool { ready, _ := account.worker.State(); return ready && account.paused.Load() == nil }
	return &jobs.Scheduler{Ledger: a.store, Holder: a.holder, Log: a.log, Jobs: []jobs.Job{{
		Name: "consistency/" + account.name, Schedule: consistency, Mine: mine,
		Do: func(ctx context.Context, due time.Time) error { return a.checkConsistency(ctx, account, due) },
	}, {
		Name: "contacts/" + account.name, Schedule: contacts, AtOnce: true, Mine: mine, Asked: a.askedSync(account.name),
		Do: func(ctx context.Context, due time.Time) error { return a.syncContacts(ctx, account, contacts, due) },
	}}}, errors.Join(err, err2)
}

func (a *App) account(name string) *account {
	for _, account := range a.now.Load().accounts {
		if account.name == name {
			return account
		}
	}
	return nil
}

// consistencyReport is what a consistency check leaves behind.
type consistencyReport struct {
	Due             time.Time     `json:"due"`
	MappingRevision string        `json:"mapping_revision"`
	AgainstCRM      *Consistency  `json:"against_crm"`
	Audit           *audit.Report `json:"audit"`
}

// checkConsistency compares an account with what it was told, through its own
// guard, and audits the database; it leaves a report, metrics and a line in the
// log.
func (a *App) checkConsistency(ctx context.Context, account *account, due time.Time) error {
	// A database connection of its own: the embedded database has one for
	// everybody else.
	db, err := OpenStore(ctx, a.config)
	if err != nil {
		return err
	}
	defer db.Close()
	found := a.compare(ctx, account.settings, account.guard, db, restOf(account.settings), a.config.Jobs.ConsistencySample)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sums, err := a.auditBeside(ctx, db)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(consistencyReport{due, a.now.Load().mapping.Revision(), found, sums}, "", "  ")
	if err != nil {
		return err
	}
	file, err := keepReport(filepath.Join(a.config.DataDir, "reports"), "consistency-"+account.name+"-", due, append(text, '\n'))
	if err != nil {
		return err
	}
	a.observeConsistency(found, sums)
	log := a.log.With("account", account.name, "contacts", found.Contacts, "messages", found.Messages,
		"missing", found.Missing, "differing", found.Differing, "unaccounted", unaccounted(sums), "report", file)
	switch {
	case found.Problem != "":
		return errors.New("the account could not be compared to the end: " + found.Problem)
	case !found.Agrees() || !sums.Closes:
		log.Warn("consistency check: not everything is as it should be")
	default:
		log.Info("consistency check: all is as it should be")
	}
	return nil
}

const (
	// reportsKept is how many reports of a job there are, the newest ones: of a
	// weekly one those of two years.
	reportsKept = 100
	reportTime  = "20060102T150405Z"
)

// keepReport writes the report of a job, and removes its oldest ones if there
// are too many.
func keepReport(dir, job string, due time.Time, text []byte) (file string, err error) {
	file = filepath.Join(dir, job+due.UTC().Format(reportTime)+".json")
	if err := replaceFile(file, text); err != nil {
		return file, err
	}
	entries, err := os.ReadDir(dir) // in the order of their names, and so of their times
	if err != nil {
		return file, err
	}
	var ours []string
	for _, e := range entries {
		// Another account's name may begin with this one's.
		at, _ := strings.CutPrefix(e.Name(), job)
		if _, err := time.Parse(reportTime+".json", at); err == nil {
			ours = append(ours, e.Name())
		}
	}
	for _, name := range ours[:max(0, len(ours)-reportsKept)] {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return file, err
}

// auditBeside audits the database in which this worker works.
func (a *App) auditBeside(ctx context.Context, db *store.DB) (*audit.Report, error) {
	return persistently(ctx, func() (*audit.Report, error) {
		held, err := a.broker.Held(ctx)
		if err != nil {
			return nil, err
		}
		tally, err := db.Audit(ctx, audit.Period{}, held.Stream, held.Letters > 0)
		if err != nil {
			return nil, err
		}
		return audit.Close(audit.Period{}, tally, &held, "", CRMs(a.now.Load().config)), nil
	})
}

func unaccounted(r *audit.Report) (n int64) {
	for _, f := range r.Findings {
		n += f.Count
	}
	return n
}

func (a *App) observeConsistency(found *Consistency, sums *audit.Report) {
	set := func(outcome string, n int) {
		a.metrics.consistency.WithLabelValues(found.Account, outcome).Set(float64(n))
	}
	set("compared", found.Contacts+found.Messages)
	set("missing", found.Missing)
	set("differing", found.Differing)
	if found.Problem == "" {
		a.metrics.compared.WithLabelValues(found.Account).Set(float64(found.At.Unix()))
	}
	a.metrics.unaccounted.Set(float64(unaccounted(sums)))
}
