package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

func mappingDiffCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff NEW",
		Short: "Show what another mapping would change in the accounts, and change nothing",
		Long: "Show what a mapping would change in the accounts, before it is put in force: it is applied\n" +
			"to every contact of the directory, and compared with what each account was last told. What\n" +
			"the mapping of the configuration would write anyway does not count. Nothing is written, and\n" +
			"nobody is called; a worker may be running.\n\n" +
			"Examples show the form of values only (letters as x and X, digits as 9), but for times and\n" +
			"values of a list; --values shows them as they are: they are people's data.",
		Args: cobra.ExactArgs(1),
	}
	o := app.DiffOptions{}
	c.Flags().StringVar(&o.Account, "account", "", "only this CRM account")
	c.Flags().StringVar(&o.Old, "old", "", "compare with this mapping instead of the configuration's")
	c.Flags().BoolVar(&o.Values, "values", false, "show values in examples: they are people's data")
	since := c.Flags().String("since", "", "only contacts that have changed since: a time, or how long ago, such as 24h or 7d")
	withConfig(c, func(ctx context.Context, settings *config.Config, asJSON bool, args []string) error {
		var err error
		if *since != "" {
			if o.Since, err = momentOf(*since, time.Now(), before); err != nil {
				return usageError{fmt.Errorf("--since is %q; it is a time such as 2026-11-20 or 2026-11-20T14:00, or how long ago, such as 24h or 7d", *since)}
			}
		}
		screen := newScreen(os.Stderr, 5*time.Second)
		o.Progress = func(contacts int64) {
			if contacts%10_000 == 0 {
				text := countOf(contacts, "contact") + " compared"
				screen.show(text, text)
			}
		}
		diff, err := app.DiffMapping(ctx, settings, args[0], o)
		screen.clear()
		if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
			return usageError{err}
		}
		switch {
		case err != nil:
			return reportFindings(c, err, asJSON)
		case asJSON:
			return writeJSON(c.OutOrStdout(), diff)
		}
		showMappingDiff(c.OutOrStdout(), diff, o.Values)
		return nil
	})
	return c
}

func showMappingDiff(w io.Writer, d *app.MappingDiff, values bool) {
	headRow(w, "Old", filepath.Base(d.Old.File)+", revision "+d.Old.Revision)
	headRow(w, "New", filepath.Base(d.New.File)+", revision "+d.New.Revision)
	text := countOf(d.Contacts, "contact")
	if d.Since != nil {
		text += " that changed since " + clock(*d.Since)
	}
	headRow(w, "Compared", fmt.Sprintf("%s in %.1f s", text, d.Seconds))
	for _, note := range d.Notes {
		headRow(w, "Note", note)
	}
	masked := false
	for i := range d.Accounts {
		masked = showAccountDiff(w, &d.Accounts[i]) || masked
	}
	fmt.Fprintln(w, "\nNothing was written, and nobody was called.")
	if masked && !values {
		fmt.Fprintln(w, "Of values only the form is shown; --values shows them as they are.")
	}
}

// showAccountDiff reports whether it shows values.
func showAccountDiff(w io.Writer, a *app.AccountDiff) (shown bool) {
	fmt.Fprintf(w, "\n%s  %d of %s would change\n", a.Account, a.Changed, countOf(a.Contacts, "contact"))
	if a.Refused > 0 {
		fmt.Fprintf(w, "  %s would newly be refused, and become dead letters:\n", countOf(a.Refused, "contact"))
		for _, r := range a.Refusals {
			fmt.Fprintf(w, "    %s (line %d): %s: %s\n", r.Field, r.Line, r.Reason, contactsNamed(r.Contacts, r.Examples))
		}
	}
	if a.Accepted > 0 {
		fmt.Fprintf(w, "  %s would not be refused any more\n", countOf(a.Accepted, "contact"))
	}
	if len(a.Fields) == 0 {
		return false
	}
	rows := make([][]any, len(a.Fields))
	for i, f := range a.Fields {
		line := any("-")
		if f.Line > 0 {
			line = f.Line
		}
		rows[i] = []any{f.Field + fromText(f), line, orDash(f.Added), orDash(f.Changed), orDash(f.Cleared), orDash(f.Stopped)}
	}
	indentedNumbers(w, []any{"Field", "Line", "Added", "Changed", "Cleared", "No longer written"}, rows)
	stopped := false
	rows = nil
	for _, f := range a.Fields {
		stopped = stopped || f.Stopped > 0
		for _, e := range f.Examples {
			rows = append(rows, []any{f.Field, fmt.Sprintf("contact:%d", e.Contact), e.What, oneLine(e.Before), oneLine(e.After)})
		}
	}
	if stopped {
		fmt.Fprintln(w, "  What is no longer written stays in the account as it is.")
	}
	fmt.Fprintln(w, "\n  For example")
	indented(w, []any{"Field", "Contact", "What", "Before", "After"}, rows)
	return true
}

func orDash(n int64) any {
	if n == 0 {
		return "-"
	}
	return n
}

// fromText says which contact field a field carries.
func fromText(f app.FieldDiff) string {
	if f.From == "" {
		return ""
	}
	return " <- " + f.From
}

// contactsNamed is how many contacts, and which, as far as they are known.
func contactsNamed(n int64, ids []int64) string {
	text := countOf(n, "contact")
	for i, id := range ids {
		text += map[bool]string{true: ", such as ", false: ", "}[i == 0] + fmt.Sprintf("contact:%d", id)
	}
	return text
}
