package app

import (
	"context"
	"log/slog"
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

// Compare compares every CRM account, or only one, with the directory: at most
// n records of each, read through a tenth of its quota. A worker may be running
// beside it.
func Compare(ctx context.Context, c *config.Config, only string, n int) ([]*Consistency, error) {
	compiled, err := LoadMapping(c)
	if err != nil {
		return nil, err
	}
	a := &App{config: c, log: slog.New(slog.DiscardHandler), metrics: newMetrics(), unlock: func() {}, mapping: compiled}
	defer a.close(ctx)
	if !hasStore(c) {
		return []*Consistency{}, nil
	}
	if a.store, err = OpenStore(ctx, c); err != nil {
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
			r := a.compareAside(ctx, account, n)
			found[i] = r
		})
	}
	running.Wait()
	return found, ctx.Err()
}

// compareAside compares an account through a connection of its own.
func (a *App) compareAside(ctx context.Context, account config.Account, n int) *Consistency {
	account.Quota.Requests = max(account.Quota.Requests/share, 1)
	connector, limiter := a.connector(account)
	vendor := guard.New(account.Name, connector, guard.Options{Limiter: limiter})
	// It learns how messages are written there, and changes nothing.
	if _, err := vendor.Setup(ctx, deliver.FieldsOf(a.mapping, account.Name), false); err != nil {
		return &Consistency{Account: account.Name, At: time.Now().UTC(), Drifts: []audit.Drift{}, Problem: connectors.AsError(err).Error()}
	}
	return a.compare(ctx, account, vendor, a.store, 0, n)
}

// compare compares an account through a guard.
func (a *App) compare(ctx context.Context, account config.Account, vendor *guard.Guard, db *store.DB, rest time.Duration, n int) *Consistency {
	c := deliver.Comparison{
		Account: account.Name, Connector: vendor, Store: db, Mapping: a.mapping, Rest: rest,
		Wait: func(ctx context.Context) error { return vendor.Wait(ctx, false) },
	}
	found, err := c.Run(ctx, n)
	if err != nil {
		a.log.Warn("an account cannot be compared to the end", "account", account.Name, "error", err)
	}
	return found
}
