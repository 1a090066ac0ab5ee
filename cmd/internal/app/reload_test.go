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

// An account's mapping or timeout changes while its quota is in use. Its next
// worker does not begin with another full burst, which the vendor would refuse;
// only another account, or another quota, begins anew.
func TestAReloadDoesNotForgetTheQuotaInUse(t *testing.T) {
	c := config.Account{
		Name: "portal", Kind: config.Bitrix24, WebhookURL: config.NewSecret("https://one.test/rest/1/secret/"),
		Quota: config.Quota{Requests: 2, Per: config.Duration(time.Second)}, Timeout: config.Duration(time.Second),
	}
	a := &App{config: &config.Config{DataDir: t.TempDir()}, log: slog.New(slog.DiscardHandler), metrics: newMetrics()}
	_, limiter := a.connector(c, func() bool { return true })
	for range 40 {
		if err := limiter.Pace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	used := limiter.Used()
	c.Timeout, c.CreateFields = config.Duration(2*time.Second), true
	if _, next := a.connector(c, func() bool { return true }); used == 0 || next.Used() < used/2 {
		t.Errorf("of the quota %v were in use, after the change %v", used, next.Used())
	}
	for name, change := range map[string]func(c *config.Account){
		"another quota":  func(c *config.Account) { c.Quota.Requests = 5 },
		"another portal": func(c *config.Account) { c.WebhookURL = config.NewSecret("https://two.test/rest/1/secret/") },
	} {
		other := c
		change(&other)
		if _, next := a.connector(other, func() bool { return true }); next.Used() != 0 {
			t.Errorf("%s begins with %v in use", name, next.Used())
		}
	}
}
