package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func contactsJoins() *cobra.Command {
	c := &cobra.Command{
		Use:   "joins",
		Short: "List contacts that have become one, the newest first",
		Long: "Lists contacts that have become one: when, why, and what was moved. One that is wrong\n" +
			"can be undone with contacts split.",
		Args: cobra.NoArgs,
	}
	all := c.Flags().Bool("all", false, "those too that were split")
	limit := c.Flags().Int("limit", 100, "at most so many, 0 for all; with --output json all if it is left out")
	withPeople(c, func(ctx context.Context, people *app.People, asJSON bool, _ []string) error {
		most := *limit
		switch {
		case most < 0:
			return usageError{errors.New("--limit is negative; 0 shows all")}
		case asJSON && !c.Flags().Changed("limit"):
			most = 0
		case !asJSON && most > 0:
			most++ // to see whether there are more
		}
		list, err := people.Joins(ctx, *all, most)
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), list)
		case len(list) == 0:
			fmt.Fprintln(c.OutOrStdout(), "No contacts have become one.")
			return nil
		}
		shown := list
		if *limit > 0 {
			shown = list[:min(*limit, len(list))]
		}
		writeJoins(c.OutOrStdout(), shown)
		if len(shown) < len(list) {
			fmt.Fprintln(c.OutOrStdout(), "\nThere are more; --limit 0 shows all.")
		}
		return nil
	})
	return c
}

func writeJoins(w io.Writer, list []app.Join) {
	rows := make([][]any, len(list))
	for i, j := range list {
		split := "-"
		if j.SplitAt != nil {
			split = clock(*j.SplitAt) + " by " + j.SplitBy
		}
		rows[i] = []any{j.ID, clock(j.At), j.Survivor, j.Joined, j.Account, moved(j), split, j.Why}
	}
	writeTable(w, []any{"Join", "At", "Contact", "With", "Told by", "Moved", "Split", "Why"}, rows)
}

// moved says what a join has moved.
func moved(j app.Join) string {
	return strings.Join([]string{countOf(int64(j.Messages), "message"), countOf(int64(j.Records), "record"), countOf(int64(j.Fields), "field")}, ", ")
}

func contactsSplit() *cobra.Command {
	c := &cobra.Command{
		Use:   "split JOIN",
		Short: "Make two contacts again of two that have become one",
		Long: "Makes two contacts again of two that have become one: messages, names, records that\n" +
			"are still there and fields that have not changed since go back. Messages that came\n" +
			"later stay where they are. The two are not joined again by themselves.\n\n" +
			"crmsync contacts joins lists the joins.",
		Args: cobra.ExactArgs(1),
	}
	by := byFlag(c)
	dryRun := c.Flags().Bool("dry-run", false, "say what would be split, and change nothing")
	withPeople(c, func(ctx context.Context, people *app.People, asJSON bool, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return usageError{fmt.Errorf("%q is not the number of a join; %s contacts joins lists them", args[0], program())}
		}
		join, err := people.Split(ctx, id, *by, *dryRun)
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), join)
		}
		verb := "are two again"
		if *dryRun {
			verb = "would be two again"
		}
		fmt.Fprintf(c.OutOrStdout(), "Contacts %d and %d %s: %s to go back.\n", join.Survivor, join.Joined, verb, moved(join))
		return nil
	})
	return c
}
