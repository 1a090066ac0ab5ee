package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

// withPeople runs f with the contacts of the configuration that --config names.
func withPeople(c *cobra.Command, f func(ctx context.Context, people *app.People, asJSON bool, args []string) error) {
	withOpened(c, app.OpenPeople, func(ctx context.Context, people *app.People, asJSON bool, args []string) error {
		err := f(ctx, people, asJSON, args)
		if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
			return usageError{err}
		}
		return err
	})
}

func contactsDuplicates() *cobra.Command {
	c := &cobra.Command{
		Use:   "duplicates",
		Short: "List people who have several records in one account",
		Long: "Lists people who have several records in one account: those that show the same phone\n" +
			"number. crmsync works with one of them. Where the mapping says duplicates: merge it merges\n" +
			"the others into that one, and says below the list why if the account does not let it; else\n" +
			"it leaves them as they are. Merge them in the account, or delete those that are too many;\n" +
			"the list follows within seconds where the account sends webhooks, else with the next\n" +
			"contact sync.",
		Args: cobra.NoArgs,
	}
	account := c.Flags().String("account", "", "only this account")
	withPeople(c, func(ctx context.Context, people *app.People, asJSON bool, _ []string) error {
		list, err := people.Duplicates(ctx, *account)
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), list)
		case len(list) == 0:
			fmt.Fprintln(c.OutOrStdout(), "Nobody is known to have two records in one account.")
			return nil
		}
		writeDoubles(c.OutOrStdout(), list)
		return nil
	})
	return c
}

func writeDoubles(w io.Writer, list []app.Double) {
	rows := make([][]any, len(list))
	for i, d := range list {
		others := make([]string, len(d.Others))
		for n, o := range d.Others {
			others[n] = o.Record
		}
		rows[i] = []any{d.Account, d.ContactID, cmp.Or(d.Linked, "-"), strings.Join(others, ", "), clock(d.Others[0].Found)}
	}
	writeTable(w, []any{"Account", "Contact", "Record", "Other records", "Since"}, rows)
	writeRefusals(w, list)
}

// writeRefusals says of which records why they were not merged, those of one
// account and reason in one line.
func writeRefusals(w io.Writer, list []app.Double) {
	type refusal struct{ account, why string }
	var order []refusal
	records := map[refusal][]string{}
	for _, d := range list {
		for _, o := range d.Others {
			r := refusal{d.Account, o.NotMerged}
			if r.why == "" {
				continue
			}
			if records[r] == nil {
				order = append(order, r)
			}
			records[r] = append(records[r], o.Record)
		}
	}
	for i, r := range order {
		if i == 0 {
			fmt.Fprintln(w)
		}
		what := "record " + records[r][0]
		if n := len(records[r]); n > 1 {
			what = fmt.Sprintf("%d records", n)
		}
		fmt.Fprintf(w, "%s: %s not merged: %s\n", r.account, what, r.why)
	}
}
