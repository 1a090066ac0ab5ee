package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/stream"
)

// A Check is one thing asked of the outside, and the answer.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Notes are for people; they include the findings.
	Notes    []string             `json:"notes,omitempty"`
	Findings []connectors.Finding `json:"findings,omitempty"`
}

// aside are a worker's parts without the worker, for commands that ask accounts
// themselves. What they meet with is not logged.
func aside(c *config.Config, m *mapping.Mapping) *App {
	a := &App{config: c, log: slog.New(slog.DiscardHandler), metrics: newMetrics(), unlock: func() {}}
	a.now.Store(&inForce{config: c, mapping: m})
	return a
}

// CheckLive asks the database, an external broker and every account whether
// they are as crmsync needs them. With fix it creates missing fields.
func CheckLive(ctx context.Context, c *config.Config, fix bool) []Check {
	checks := []Check{checkDatabase(ctx, c), checkBroker(ctx, c)}
	compiled, err := LoadMapping(c)
	if err != nil {
		return append(checks, failed("mapping", err))
	}
	a := aside(c, compiled)
	defer a.close(ctx)
	a.now.Store(&inForce{config: c, mapping: compiled, media: a.mediaClients(c.Accounts)})
	if checks[0].OK && hasStore(c) {
		_, _ = a.database(ctx) // what is wrong with it has been said
	}
	for _, account := range c.Accounts {
		name := "account " + account.Name
		if account.Kind == config.WhatsApp {
			checks = append(checks, a.checkWhatsApp(ctx, account))
			continue
		}
		connector, _ := a.connector(account, func() bool { return true })
		findings, err := a.identify(ctx, account, connector)
		if err == nil && !slices.ContainsFunc(findings, fatal) {
			var lacking []connectors.Finding
			lacking, err = deliver.SetUp(ctx, connector, compiled, account.Name, fix)
			findings = append(lacking, findings...)
			if err == nil {
				findings = append(findings, checkOwners(ctx, connector, compiled, account.Name)...)
			}
		}
		if err != nil {
			checks = append(checks, failed(name, fmt.Errorf("%s: %w", host(account), connectors.AsError(err))))
			continue
		}
		checks = append(checks, judge(name, findings))
	}
	return checks
}

// MappingNotes are what is allowed in a mapping and probably not meant, and what an
// account cannot do that it asks of it, with what happens instead.
func MappingNotes(c *config.Config, m *mapping.Mapping) (notes config.Findings) {
	for _, w := range m.Warnings(c.Mapping) {
		notes = append(notes, config.Finding{File: w.File, Line: w.Line, Column: w.Column, Problem: w.Problem})
	}
	for _, account := range c.Accounts {
		if account.Kind != config.HubSpot && m.OnDelete(account.Name) == mapping.Erase {
			notes = append(notes, config.Finding{File: c.Mapping, Problem: fmt.Sprintf(
				"on_delete: erase in %s: a record that somebody merges into another one there is told of as deleted, so that a person may be erased who only had two records; see docs/contacts.md", account.Name)})
		}
		if account.Kind == config.Zoho && m.Merges(account.Name) {
			notes = append(notes, config.Finding{File: c.Mapping, Problem: fmt.Sprintf(
				"duplicates: merge does nothing in %s: Zoho CRM merges contacts on its own pages only; they are listed, as with report", account.Name)})
		}
	}
	return notes
}

func fatal(f connectors.Finding) bool { return f.Fatal }

// identify finds out whether an account is another than the one whose records
// the database knows under its name. Without a database none is known.
func (a *App) identify(ctx context.Context, account config.Account, vendor connectors.Writer) ([]connectors.Finding, error) {
	is, findings, err := deliver.WhichAccount(ctx, vendor, account.Name, account.Kind)
	if err != nil || a.store == nil {
		return findings, err
	}
	switch other, err := a.store.Replaced(ctx, is); {
	case err != nil:
		findings = append(findings, connectors.Finding{Problem: "the database does not answer which account this was"})
	case other != nil:
		findings = append(findings, connectors.Finding{Problem: is.InsteadOf(*other), Fatal: true})
	}
	return findings, nil
}

// checkWhatsApp asks about the token, if the account needs one.
func (a *App) checkWhatsApp(ctx context.Context, account config.Account) Check {
	check := Check{Name: "account " + account.Name, OK: true}
	client := a.now.Load().media[account.Name]
	if client == nil {
		check.Notes = []string{"it only sends webhooks: the app secret and the verify token are set, and there is nothing to ask"}
		return check
	}
	problem, err := client.Check(ctx)
	switch {
	case err != nil:
		return failed(check.Name, fmt.Errorf("%s: %w", host(account), err))
	case problem != "":
		return failed(check.Name, errors.New(problem))
	}
	return check
}

// host is where an account is asked.
func host(a config.Account) string {
	if u, err := url.Parse(a.BaseURL); err == nil && u.Host != "" {
		return u.Host
	}
	for _, address := range []string{a.WebhookURL.Reveal(), a.AccountsURL} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			return u.Host
		}
	}
	return cmp.Or(map[string]string{config.HubSpot: "api.hubapi.com", config.WhatsApp: "graph.facebook.com"}[a.Kind], a.Kind)
}

func judge(name string, findings []connectors.Finding) Check {
	check := Check{Name: name, OK: true, Findings: findings}
	for _, f := range findings {
		note := f.Problem
		if place := placeOf(f); place != "" {
			note = place + ": " + note
		}
		if f.Fixable {
			note += " (--fix creates it)"
		}
		check.Notes = append(check.Notes, note)
		check.OK = check.OK && !f.Fatal
	}
	return check
}

// placeOf is what a finding is about, such as "contact field lastname".
func placeOf(f connectors.Finding) string {
	place := strings.TrimSuffix(f.Object, "s")
	if f.Field != "" {
		place += " field " + f.Field
	}
	return strings.TrimSpace(place)
}

// checkDatabase opens the database, unless that would create one.
func checkDatabase(ctx context.Context, c *config.Config) Check {
	check := Check{Name: "database PostgreSQL", OK: true}
	if c.Database.URL.Reveal() == "" {
		check.Name = "database SQLite in " + c.DataDir
		if !hasStore(c) {
			if err := writable(c.DataDir); err != nil {
				return failed(check.Name, err)
			}
			check.Notes = []string{"it does not exist yet; serve creates it"}
			return check
		}
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return failed(check.Name, err)
	}
	defer db.Close()
	return check
}

// writable reports why files cannot be created in a directory, or the
// directory itself. It leaves nothing behind.
func writable(dir string) error {
	var created []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		created = append(created, d)
	}
	defer func() {
		for _, d := range created {
			_ = os.Remove(d) // fails if somebody uses it by now
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "check-")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// checkBroker asks an external broker. The embedded one belongs to a running
// worker and is not disturbed.
func checkBroker(ctx context.Context, c *config.Config) Check {
	if len(c.NATS.URLs) == 0 {
		name := "broker embedded in " + c.DataDir
		if err := writable(streams(c)); err != nil {
			return failed(name, err)
		}
		return Check{Name: name, OK: true}
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
