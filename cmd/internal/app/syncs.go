package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"crmsync/jobs"
	"crmsync/sync/directory"
)

// Sync is one contact sync of an account, as the database knows it.
type Sync struct {
	Account string `json:"account"`
	// State is waiting, running, done or stopped.
	State   string     `json:"state"`
	Kind    string     `json:"kind"`
	Due     time.Time  `json:"due"`
	Began   *time.Time `json:"began,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	AskedBy string     `json:"asked_by,omitempty"`
	// MassChange says that it may take over any number of losses.
	MassChange bool   `json:"mass_change_allowed,omitempty"`
	Problem    string `json:"problem,omitempty"`
	// Known is how many contacts were known when it began.
	Known     int64 `json:"known"`
	Read      int64 `json:"read"`
	Compared  int64 `json:"compared"`
	Here      int64 `json:"changed_here"`
	There     int64 `json:"changed_there"`
	Conflicts int64 `json:"conflicts"`
	Skipped   int64 `json:"skipped"`
	Gone      int64 `json:"gone"`
	Emptied   int64 `json:"emptied"`
	// Remapped are those that are written again because of an edited mapping.
	Remapped int64 `json:"remapped"`
	// Missed are those that are there and that the account's listing left out.
	Missed int64 `json:"missed"`
	// Partial says that it went on after a restart, and could not tell what is
	// gone.
	Partial bool    `json:"partial,omitempty"`
	Seconds float64 `json:"seconds"`
	Calls   int64   `json:"calls"`
}

func syncOf(s directory.Sweep) Sync {
	out := Sync{
		Account: s.Account, State: s.State(), Kind: string(s.Kind), Due: s.Due, Ended: orNil(s.Ended), AskedBy: s.AskedBy, MassChange: s.MassChange, Problem: s.Problem,
		Known: s.Known, Read: s.Read, Compared: s.Compared, Here: s.Changed, There: s.There, Conflicts: s.Conflicts, Skipped: s.Skipped,
		Gone: s.Gone, Emptied: s.Emptied, Remapped: s.Remapped, Missed: s.Missed, Partial: s.Partial, Seconds: s.Worked.Seconds(), Calls: s.Calls,
	}
	if !s.SeenAt.IsZero() {
		out.Began = orNil(s.Began)
	}
	return out
}

// SyncAccounts are those that names name, all CRM accounts if there are none.
func (r *Roster) SyncAccounts(names []string) ([]string, error) {
	for _, name := range names {
		if err := r.crm(name); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		names = CRMs(r.config)
	}
	if r.db == nil {
		return nil, errors.New("there is no database yet, and so nothing to compare with; crmsync serve creates it")
	}
	return names, nil
}

// AskSync asks an account's worker to compare all contacts now. It need not be
// running; it does so as soon as it is.
func (r *Roster) AskSync(ctx context.Context, account, by string, massChange bool) (Sync, error) {
	if err := r.crm(account); err != nil {
		return Sync{}, err
	}
	s, err := r.db.AskSweep(ctx, account, by, massChange)
	return syncOf(s), err
}

// FollowSync returns how far a sync has come, and whether a worker is alive.
func (r *Roster) FollowSync(ctx context.Context, s Sync) (now Sync, working bool, err error) {
	list, err := r.db.Sweeps(ctx, s.Account, 20)
	if err != nil {
		return s, false, err
	}
	now = s
	for _, found := range list {
		if found.Due.Equal(s.Due) {
			now = syncOf(found)
		}
	}
	working, err = r.db.Working(ctx)
	return now, working, err
}

// SyncStatus is how it stands with an account's contact syncs.
type SyncStatus struct {
	Account string `json:"account"`
	// Oldest is when the last sync began that went through all contacts: none
	// was compared longer ago. Nil if there was none.
	Oldest *time.Time `json:"oldest_comparison"`
	// Fits says that all contacts are compared each time; Why is why not.
	Fits bool   `json:"fits"`
	Why  string `json:"why,omitempty"`
	// MappingRevision is the mapping with which all contacts were last compared,
	// and InLine when; empty and nil if they never were.
	MappingRevision string     `json:"mapping_revision"`
	InLine          *time.Time `json:"in_line_since"`
	// Recent are the newest syncs, the newest first, those under way and those
	// that wait among them.
	Recent []Sync `json:"syncs"`
}

// Syncs returns how it stands with the contact syncs of accounts, with so many
// of the newest.
func (r *Roster) Syncs(ctx context.Context, accounts []string, limit int) ([]SyncStatus, error) {
	list := []SyncStatus{}
	schedule, err := jobs.Parse(r.config.Jobs.ContactSync, r.config.Jobs.TimeZone)
	if err != nil {
		return nil, err
	}
	_, every := schedule.Next(time.Now())
	for _, account := range r.config.Accounts {
		if !slices.Contains(accounts, account.Name) {
			continue
		}
		s := SyncStatus{Account: account.Name, Fits: true, Recent: []Sync{}}
		recent, err := r.db.Sweeps(ctx, account.Name, limit)
		if err != nil {
			return nil, err
		}
		revision, inLine, err := r.db.InLine(ctx, account.Name)
		if err != nil {
			return nil, err
		}
		s.MappingRevision, s.InLine = revision, orNil(inLine)
		complete, err := r.db.CompleteSweeps(ctx, account.Name, 1)
		if err != nil {
			return nil, err
		}
		if len(complete) > 0 {
			s.Oldest = orNil(complete[0].Began)
			if every > 0 {
				plan := planOf(complete[0], recent, account, r.config.Jobs.ContactSyncShare.Share(), every)
				s.Fits, s.Why = plan.fits, plan.why
			}
		}
		for _, one := range recent {
			s.Recent = append(s.Recent, syncOf(one))
		}
		list = append(list, s)
	}
	return list, nil
}
