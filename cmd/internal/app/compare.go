package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/guard"
	"crmsync/sync/audit"
	"crmsync/sync/deliver"
	"crmsync/sync/store"
)

// Consistency is what a comparison of an account has found.
type Consistency = audit.Consistency

// share is how much of an account's quota a comparison takes.
const share = 10 // one in so many

// comparePath is where a worker compares an account that it works for.
const comparePath = "/api/v1/compare"

// Compare compares every CRM account, or only one, with the directory: at most
// n records of each, read through a tenth of its quota. An account that a worker
// on this data directory works for is compared by that worker.
func Compare(ctx context.Context, c *config.Config, only string, n int) ([]*Consistency, error) {
	compiled, err := LoadMapping(c)
	if err != nil {
		return nil, err
	}
	a := aside(c, compiled)
	defer a.close(ctx)
	if !hasStore(c) {
		return []*Consistency{}, nil
	}
	if a.store, err = OpenStore(ctx, c); err != nil {
		return nil, err
	}
	paused, err := a.store.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	found := []*Consistency{}
	var running sync.WaitGroup
	for _, account := range c.Accounts {
		if account.Kind == config.WhatsApp || only != "" && account.Name != only {
			continue
		}
		i := len(found)
		found = append(found, nil)
		running.Go(func() {
			if slices.ContainsFunc(paused, func(p store.Pause) bool { return p.Account == account.Name }) {
				found[i] = notCompared(account.Name, errPaused(account.Name))
				return
			}
			path := comparePath + "?account=" + account.Name + "&sample=" + strconv.Itoa(n)
			var here Consistency
			if askWorker(ctx, c.DataDir, path, &here) == nil {
				found[i] = &here
			} else {
				found[i] = a.compareAside(ctx, account, n)
			}
		})
	}
	running.Wait()
	return found, ctx.Err()
}

// errPaused says that an account is paused, and what ends that.
func errPaused(account string) error {
	return fmt.Errorf("it is paused; crmsync accounts resume %s ends that", account)
}

// notCompared is a comparison that could not begin.
func notCompared(account string, err error) *Consistency {
	return &Consistency{Account: account, At: time.Now().UTC(), Drifts: []audit.Drift{}, Problem: err.Error()}
}

// compareHere answers what a comparison has found of an account that this worker
// works for. It lasts as long as it takes, or until the worker stops or somebody
// pauses the account.
func (a *App) compareHere(stopping <-chan struct{}, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	name := r.FormValue("account")
	n, err := strconv.Atoi(r.FormValue("sample"))
	account := a.account(name)
	if err != nil || account == nil || account.worker == nil {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such account"})
		return
	}
	go func() {
		for account.paused.Load() == nil {
			select {
			case <-stopping:
				cancel(errors.New("the worker has been stopped meanwhile"))
			case <-ctx.Done():
			case <-time.After(pausesEvery):
				continue
			}
			return
		}
		cancel(errPaused(name))
	}()
	if ready, _ := account.worker.State(); !ready {
		answer(w, http.StatusConflict, map[string]string{"error": "this worker does not work for the account"})
		return
	}
	db, err := OpenStore(ctx, a.config)
	if err == nil {
		defer db.Close()
		err = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	if err != nil {
		a.log.Warn("cannot compare an account", "account", name, "error", err)
		answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the database does not answer"})
		return
	}
	found := a.compare(ctx, account.settings, account.guard, db, restOf(account.settings), n)
	if ctx.Err() != nil {
		found.Problem = context.Cause(ctx).Error()
	}
	answer(w, http.StatusOK, found)
}

// restOf is how long an account is left alone between two calls, so that they
// take a share of its quota.
func restOf(c config.Account) time.Duration {
	return share * c.Quota.Per.Duration() / time.Duration(max(c.Quota.Requests, 1))
}

// compareAside compares an account through a connection of its own.
func (a *App) compareAside(ctx context.Context, account config.Account, n int) *Consistency {
	account.Quota.Requests = max(account.Quota.Requests/share, 1)
	connector, limiter := a.connector(account, func() bool { return true })
	vendor := guard.New(connector, guard.Options{Limiter: limiter})
	findings, err := a.identify(ctx, account, vendor)
	if i := slices.IndexFunc(findings, fatal); i >= 0 {
		return notCompared(account.Name, errors.New(findings[i].Problem))
	}
	if err == nil {
		// It learns how messages are written there, and changes nothing.
		_, err = vendor.Setup(ctx, deliver.FieldsOf(a.now.Load().mapping, account.Name), false)
	}
	if err != nil {
		return notCompared(account.Name, connectors.AsError(err))
	}
	return a.compare(ctx, account, vendor, a.store, 0, n)
}

// compare compares an account through a guard.
func (a *App) compare(ctx context.Context, account config.Account, vendor *guard.Guard, db *store.DB, rest time.Duration, n int) *Consistency {
	c := deliver.Comparison{
		Account: account.Name, Connector: vendor, Store: ownStore{db, func() []string { return a.now.Load().notFeeding(account.Name) }}, Mapping: a.now.Load().mapping, Rest: rest,
		Wait: func(ctx context.Context) error { return vendor.Wait(ctx, false) },
	}
	found, err := c.Run(ctx, n)
	if err != nil {
		a.log.Warn("an account cannot be compared to the end", "account", account.Name, "error", err)
	}
	return found
}
