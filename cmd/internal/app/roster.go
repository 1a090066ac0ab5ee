package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// The states of accounts. Receiving is WhatsApp's, to which nothing is
// delivered; NotReady means that something about the account has to be mended;
// StandingBy that no replica works for it and one is about to; Stopped that
// none is running.
const (
	Receiving    = "receiving"
	Working      = "working"
	Starting     = "starting"
	NotReady     = "not_ready"
	BreakerOpen  = "breaker_open"
	Unauthorized = "unauthorized"
	Paused       = "paused"
	StandingBy   = "standing_by"
	Stopped      = "stopped"
)

// AccountState is an account as somebody from outside sees it.
type AccountState struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	State string `json:"state"`
	// Where is here if the replica of the configuration's data directory
	// works for the account, elsewhere if another does.
	Where string `json:"where,omitempty"`
	// Problem is what keeps it from working.
	Problem string `json:"problem,omitempty"`
	// PausedBy, PausedAt and PauseReason are set while it is paused.
	PausedBy    string     `json:"paused_by,omitempty"`
	PausedAt    *time.Time `json:"paused_at,omitempty"`
	PauseReason string     `json:"pause_reason,omitempty"`
	// Backlog is how many contacts, messages, files and tasks it does not show yet,
	// OldestWaiting since when the oldest of them waits.
	Backlog       int64      `json:"backlog"`
	OldestWaiting *time.Time `json:"oldest_waiting,omitempty"`
	LastSuccess   *time.Time `json:"last_success,omitempty"`
	// QuotaUsed is the share of its quota in use, 0 while nobody works for it.
	QuotaUsed float64 `json:"quota_used"`
	// MappingRevision is the mapping under which it is worked for, empty while
	// nobody does.
	MappingRevision string `json:"mapping_revision,omitempty"`
}

const (
	// reportEvery is how often replicas say how they see their accounts;
	// one that has been silent for silence is gone.
	reportEvery = 2 * time.Second
	silence     = 10 * time.Second
	// pausesEvery is how often replicas look for pauses.
	pausesEvery = 500 * time.Millisecond
)

// Roster is the accounts of a configuration as its database knows them; a
// worker need not be running.
type Roster struct {
	config *config.Config
	db     *store.DB
}

// OpenRoster opens the database that a configuration names, if there is one.
func OpenRoster(ctx context.Context, c *config.Config) (*Roster, error) {
	if !hasStore(c) {
		return &Roster{config: c}, nil
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Roster{c, db}, nil
}

// Close releases the database.
func (r *Roster) Close() error {
	if r.db == nil {
		return nil
	}
	return r.db.Close()
}

// NoSuchAccount says why an account cannot be meant.
type NoSuchAccount string

func (e NoSuchAccount) Error() string { return string(e) }

// crm makes sure that a name is an account's to which something is delivered.
func (r *Roster) crm(name string) error {
	crms := CRMs(r.config)
	if !slices.Contains(crms, name) {
		if slices.ContainsFunc(r.config.Accounts, func(a config.Account) bool { return a.Name == name }) {
			return NoSuchAccount("nothing is delivered to " + name + ", it sends webhooks; name a CRM account that it feeds")
		}
		return NoSuchAccount(fmt.Sprintf("there is no account %q in the configuration; the CRM accounts are %s", name, strings.Join(crms, ", ")))
	}
	if r.db == nil {
		return errors.New("there is no database yet, and so nothing to pause or resume; crmsync serve creates it")
	}
	return nil
}

// Pause pauses an account. Of one that is paused already nothing changes, and
// fresh is false. Running workers notice within a second.
func (r *Roster) Pause(ctx context.Context, name, by, reason string) (p store.Pause, fresh bool, err error) {
	if err := r.crm(name); err != nil {
		return p, false, err
	}
	return r.db.Pause(ctx, name, by, reason)
}

// Resume ends the pause of an account. It reports false if there was none.
func (r *Roster) Resume(ctx context.Context, name string) (was store.Pause, ok bool, err error) {
	if err := r.crm(name); err != nil {
		return was, false, err
	}
	return r.db.Resume(ctx, name)
}

// Accounts returns the accounts in the order of the configuration.
func (r *Roster) Accounts(ctx context.Context) ([]AccountState, error) {
	var pauses []store.Pause
	var reports []store.Report
	var waiting []store.Waiting
	var holders map[string]string
	if r.db != nil {
		var err, err2, err3, err4 error
		pauses, err = r.db.Pauses(ctx)
		reports, err2 = r.db.Reports(ctx)
		waiting, err3 = r.db.Waiting(ctx)
		holders, err4 = r.db.LeaseHolders(ctx)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			return nil, err
		}
	}
	here, _ := os.ReadFile(filepath.Join(r.config.DataDir, "instance"))
	list := make([]AccountState, len(r.config.Accounts))
	for i, a := range r.config.Accounts {
		s := &list[i]
		s.Name, s.Kind, s.State = a.Name, a.Kind, Stopped
		mine := slices.DeleteFunc(slices.Clone(reports), func(r store.Report) bool { return r.Account != a.Name })
		s.see(mine, holders[a.Name], strings.TrimSpace(string(here)))
		for _, w := range waiting {
			if w.Account == a.Name {
				s.Backlog, s.OldestWaiting = w.N, orNil(w.Oldest)
			}
		}
		for _, p := range pauses {
			if p.Account == a.Name {
				s.State, s.PausedBy, s.PausedAt, s.PauseReason = Paused, p.PausedBy, orNil(p.PausedAt), p.Reason
			}
		}
	}
	return list, nil
}

// see takes in how the replicas see the account. Who has its lease works for
// it.
func (s *AccountState) see(reports []store.Report, holder, here string) {
	if holder != "" {
		s.State, s.Where = Starting, place(holder, here)
	}
	for _, r := range reports {
		if at := r.LastSuccess; at != nil && (s.LastSuccess == nil || at.After(*s.LastSuccess)) {
			s.LastSuccess = orNil(*at)
		}
		switch {
		case r.State == Stopped, time.Since(r.ReportedAt) > silence:
		case r.State == Receiving:
			if s.State = Receiving; s.Where != "here" {
				s.Where = place(r.Holder, here)
			}
		case holder == "":
			s.State = StandingBy
		case r.Holder == holder && r.State != StandingBy:
			s.State, s.Problem, s.QuotaUsed, s.MappingRevision = r.State, r.Problem, r.QuotaUsed, r.Revision
		}
	}
}

func place(holder, here string) string {
	if holder == here {
		return "here"
	}
	return "elsewhere"
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// report is what this replica does about an account, and why it can do no
// more. Pauses are another matter.
func (a *account) report() (state, problem string) {
	if a.worker == nil {
		return Receiving, ""
	}
	ready, problem := a.worker.State()
	trouble := a.guard.Trouble()
	switch {
	case problem == deliver.StandingBy:
		return StandingBy, problem
	case trouble != nil && trouble.Class == connectors.Unauthorized:
		return Unauthorized, trouble.Error()
	case trouble != nil:
		return BreakerOpen, trouble.Error()
	case ready:
		return Working, ""
	case problem == "":
		return Starting, ""
	}
	return NotReady, problem
}

// followPauses pauses and resumes accounts as the database says. While it is
// away, everything stays as it is.
func (a *App) followPauses(ctx context.Context) error {
	for pause(ctx, pausesEvery) {
		if err := a.readPauses(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("cannot look which accounts are paused", "error", err)
		}
	}
	return nil
}

func (a *App) readPauses(ctx context.Context) error {
	pauses, err := a.store.Pauses(ctx)
	if err != nil {
		return err
	}
	by := make(map[string]*store.Pause, len(pauses))
	for i := range pauses {
		by[pauses[i].Account] = &pauses[i]
	}
	accounts := a.now.Load().accounts
	for _, account := range accounts {
		if account.guard == nil {
			continue
		}
		p := by[account.name]
		switch was := account.paused.Swap(p); {
		case p != nil && was == nil:
			a.log.Warn("the account is paused; deliveries to it wait", "account", account.name, "by", p.PausedBy, "since", p.PausedAt.UTC(), "reason", p.Reason)
		case p == nil && was != nil:
			a.log.Info("the account is resumed", "account", account.name)
		}
		account.guard.Pause(p != nil)
	}
	return nil
}

// sendReports says in the database how this replica sees its accounts, at once
// when that changes.
func (a *App) sendReports(ctx context.Context) error {
	var said string
	var at time.Time
	for {
		reports := a.reports()
		now := ""
		for _, r := range reports {
			now += r.Account + " " + r.State + " " + r.Problem + "\n"
		}
		if now != said || time.Since(at) >= reportEvery {
			err := a.store.KeepReports(ctx, reports)
			if err != nil && ctx.Err() == nil {
				a.log.Warn("cannot say how the accounts are", "error", err)
			}
			said, at = now, time.Now()
		}
		if !pause(ctx, reportEvery/4) {
			return nil
		}
	}
}

// lastReport says that this replica has stopped, when its workers have ended:
// what they did last counts as their last success.
func (a *App) lastReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	reports := a.reports()
	for i := range reports {
		reports[i].State, reports[i].Problem, reports[i].QuotaUsed = Stopped, "", 0
	}
	if err := a.store.KeepReports(ctx, reports); err != nil {
		a.log.Warn("cannot say how the accounts are", "error", err)
	}
}

func (a *App) reports() []store.Report {
	now := a.now.Load()
	accounts := now.accounts
	reports := make([]store.Report, len(accounts))
	for i, account := range accounts {
		r := &reports[i]
		r.Account, r.Holder, r.Revision, r.LastSuccess = account.name, a.holder, now.mapping.Revision(), account.succeeded.Load()
		r.State, r.Problem = account.report()
		if account.limiter != nil {
			r.QuotaUsed = account.limiter.Used()
		}
	}
	return reports
}

// observer also notes successes.
type observer struct {
	*metrics
	account *account
}

func (o observer) Delivery(account string, kind directory.EntityKind, outcome string) {
	o.metrics.Delivery(account, kind, outcome)
	if outcome == "created" || outcome == "updated" {
		now := time.Now()
		o.account.succeeded.Store(&now)
	}
}
