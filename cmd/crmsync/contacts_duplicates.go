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
			"number. crmsync works with one of them and leaves the others as they are. Merge them in\n" +
			"the account, or delete those that are too many; the list follows within seconds where\n" +
			"the account sends webhooks, else with the next contact sync.",
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
}
