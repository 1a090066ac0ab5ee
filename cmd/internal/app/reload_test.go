package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"crmsync/config"
	"crmsync/mapping"
)

// An account has just changed while its refresh token is being replaced. Its
// next worker would use the one before, which the vendor takes only once: it
// begins when the new one is stored.
func TestAReloadWaitsForARefreshTokenToBeStored(t *testing.T) {
	was := &config.Config{DataDir: t.TempDir(), Accounts: []config.Account{{Name: "hubspot", Kind: config.HubSpot}}}
	db, err := OpenStore(t.Context(), was)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := &App{config: was, log: slog.New(slog.DiscardHandler), metrics: newMetrics(), store: db}
	a.now.Store(&inForce{config: was, mapping: &mapping.Mapping{}, accounts: []*account{{name: "hubspot", settings: was.Accounts[0], stop: func() {}}}})
	stored := make(chan struct{})
	a.renews("hubspot", func(ctx context.Context) {
		select {
		case <-stored:
		case <-ctx.Done():
		}
	})
	next := &config.Config{DataDir: was.DataDir, Accounts: []config.Account{{Name: "whatsapp", Kind: config.WhatsApp}}}
	done := make(chan struct{})
	go func() { a.bringAbout(t.Context(), next, &mapping.Mapping{}); close(done) }()
	select {
	case <-done:
		t.Error("the reload did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(stored)
	<-done
	if a.now.Load().config != next {
		t.Error("the new configuration is not in force")
	}
	if len(a.renewals) > 0 {
		t.Error("what is gone is still waited for")
	}
}
