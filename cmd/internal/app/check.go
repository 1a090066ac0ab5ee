package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/deliver"
	"crmsync/sync/stream"
)

// A Check is one thing asked of the outside, and the answer.
type Check struct {
	Name  string   `json:"name"`
	OK    bool     `json:"ok"`
	Notes []string `json:"notes,omitempty"`
}

// CheckLive asks the database, an external broker and every account whether
// they are as crmsync needs them. With fix it creates missing fields.
func CheckLive(ctx context.Context, c *config.Config, fix bool) []Check {
	checks := []Check{checkDatabase(ctx, c), checkBroker(ctx, c)}
	compiled, err := LoadMapping(c)
	if err != nil {
		return append(checks, failed("mapping", err))
	}
	a := &App{config: c, log: slog.New(slog.DiscardHandler), metrics: newMetrics()}
	for _, account := range c.Accounts {
		if account.Kind == config.WhatsApp {
			continue
		}
		connector, _ := a.connector(account)
		findings, err := connector.Setup(ctx, deliver.FieldsOf(compiled, account.Name), fix)
		if err != nil {
			checks = append(checks, failed("account "+account.Name, connectors.AsError(err)))
			continue
		}
		checks = append(checks, judge("account "+account.Name, findings))
	}
	return checks
}

func judge(name string, findings []connectors.Finding) Check {
	check := Check{Name: name, OK: true}
	for _, f := range findings {
		note := f.Problem
		if f.Fixable {
			note += " (--fix creates it)"
		}
		check.Notes = append(check.Notes, note)
		check.OK = check.OK && !f.Fatal
	}
	return check
}

func checkDatabase(ctx context.Context, c *config.Config) Check {
	name := "database PostgreSQL"
	if c.Database.URL.Reveal() == "" {
		name = "database SQLite in " + c.DataDir
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return failed(name, err)
		}
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return failed(name, err)
	}
	defer db.Close()
	return Check{Name: name, OK: true}
}

// checkBroker asks an external broker. The embedded one belongs to a running
// worker and is not disturbed.
func checkBroker(ctx context.Context, c *config.Config) Check {
	if len(c.NATS.URLs) == 0 {
		return Check{Name: "broker embedded in " + c.DataDir, OK: true}
	}
	name := fmt.Sprintf("broker NATS at %d address(es)", len(c.NATS.URLs))
	var b *stream.Broker
	b, err := openBroker(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return failed(name, err)
	}
	defer b.Close()
	return Check{Name: name, OK: true, Notes: []string{"make sure that its servers have sync_interval: always; it cannot be asked"}}
}

func failed(name string, err error) Check { return Check{Name: name, Notes: []string{err.Error()}} }
