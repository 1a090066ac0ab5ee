package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/stress"
)

func syncCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sync",
		Short: "Compare all contacts of the CRM accounts now, or see how that has gone",
		RunE:  needsCommand,
	}
	c.AddCommand(syncNow(), syncStatus())
	return c
}

func syncNow() *cobra.Command {
	c := &cobra.Command{
		Use:   "now",
		Short: "Compare all contacts now",
		Long: "Compare all contacts of the CRM accounts with what crmsync knows, now and not at the next\n" +
			"time. The workers do it, within the accounts' quotas; the command waits until they have.\n" +
			"An interrupt ends the wait and not the sync.\n\n" +
			"With --dry-run nothing is changed anywhere: the differences are listed, field by field, with\n" +
			"what would come of each. That shows what is in the records, names and numbers too.",
		Args: cobra.NoArgs,
	}
	accounts := c.Flags().StringArray("account", nil, "only this account; may be repeated (default all)")
	dryRun := c.Flags().Bool("dry-run", false, "list the differences and change nothing")
	massChange := c.Flags().Bool("allow-mass-change", false, "take over what is gone or has lost values, however much it is")
	noWait := c.Flags().Bool("no-wait", false, "do not wait until it is done")
	load := configFlag(c)
	output := c.Flags().StringP("output", "o", "text", "text or json; with --dry-run also csv")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *output != "text" && *output != "json" && *output != "csv":
			return usageError{fmt.Errorf("--output is %q; it is text, json or csv", *output)}
		case *output == "csv" && !*dryRun:
			return usageError{errors.New("--output csv is for --dry-run, which lists differences")}
		case *dryRun && (*massChange || *noWait):
			return usageError{errors.New("--dry-run changes nothing and is waited for; leave out --allow-mass-change and --no-wait")}
		}
		settings, err := load()
		if err != nil {
			return err
		}
		roster, err := app.OpenRoster(cmd.Context(), settings)
		if err != nil {
			return err
		}
		defer roster.Close()
		names, err := roster.SyncAccounts(*accounts)
		if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		if *dryRun {
			return trySync(cmd.Context(), c, settings, names, *output)
		}
		var asked []app.Sync
		for _, name := range names {
			s, err := roster.AskSync(cmd.Context(), name, operator(), *massChange)
			if err != nil {
				return err
			}
			asked = append(asked, s)
		}
		if *noWait {
			if *output == "json" {
				return writeJSON(c.OutOrStdout(), asked)
			}
			fmt.Fprintf(c.OutOrStdout(), "Asked for; see how it goes with: %s sync status\n", program())
			return nil
		}
		return awaitSyncs(cmd.Context(), c.OutOrStdout(), roster, asked, *output == "json")
	}
	return c
}

// awaitSyncs waits until syncs have ended, or no worker is there to do them.
func awaitSyncs(ctx context.Context, w io.Writer, roster *app.Roster, syncs []app.Sync, asJSON bool) error {
	const (
		look  = 250 * time.Millisecond
		alone = 10 * time.Second // a worker that is being restarted
	)
	screen := newScreen(os.Stderr, 5*time.Second)
	began := time.Now()
	seen := began
	working, over := true, false
	for !over {
		over = true
		for i := range syncs {
			var err error
			// Its own context: an interrupt ends the wait and not a statement.
			if syncs[i], working, err = roster.FollowSync(context.WithoutCancel(ctx), syncs[i]); err != nil {
				return err
			}
			over = over && syncs[i].Ended != nil
		}
		if working {
			seen = time.Now()
		}
		screen.show(syncLine(syncs, time.Since(began)))
		if over || time.Since(seen) > alone {
			break
		}
		select {
		case <-ctx.Done():
			over = true
		case <-time.After(look):
		}
	}
	screen.clear()
	failed := false
	for _, s := range syncs {
		failed = failed || s.State != "done"
	}
	if asJSON {
		if err := writeJSON(w, syncs); err != nil {
			return err
		}
	} else {
		writeSyncs(w, syncs)
		tellProblems(w, syncs, working)
	}
	if failed {
		return errReported
	}
	return nil
}

// tellProblems says why syncs have not come to their end.
func tellProblems(w io.Writer, syncs []app.Sync, working bool) {
	for _, s := range syncs {
		switch {
		case s.Problem != "":
			fmt.Fprintf(w, "\n%s: %s\n", s.Account, s.Problem)
		case s.Ended == nil && !working:
			fmt.Fprintf(w, "\n%s: no worker is running; it is done as soon as one is.\n", s.Account)
		case s.Ended == nil:
			fmt.Fprintf(w, "\n%s: the worker goes on with it; see %s sync status\n", s.Account, program())
		case s.Partial:
			fmt.Fprintf(w, "\n%s: it went on after a restart; what is gone in the account is found by the next one.\n", s.Account)
		case s.Missed > 0:
			fmt.Fprintf(w, "\n%s: the account's listing has left out %s that are there; they were read one by one.\n", s.Account, countOf(s.Missed, "contact"))
		}
	}
}

// syncLine says how far syncs have come after a time: as a bar that says how
// long it will go on, and plainly.
func syncLine(syncs []app.Sync, took time.Duration) (drawn, plain string) {
	var read, known int64
	var parts []string
	for _, s := range syncs {
		part := s.Read
		if s.Ended == nil {
			part = min(s.Read, s.Known)
			known += max(s.Known, s.Read)
		} else {
			known += s.Read
		}
		read += part
		switch {
		case s.State == "waiting":
			parts = append(parts, s.Account+" waits")
		case s.Ended != nil:
			parts = append(parts, s.Account+" "+s.State)
		default:
			parts = append(parts, s.Account+" "+stress.Whole(int(s.Read)))
		}
	}
	plain = strings.Join(parts, ", ")
	const width = 30
	filled := int(width * read / max(known, 1))
	drawn = strings.Repeat("█", filled) + strings.Repeat("░", width-filled) + "  " + plain
	if read > 0 && known > read && took > 2*time.Second {
		left := time.Duration(float64(took) / float64(read) * float64(known-read))
		drawn += ", about " + left.Round(time.Second).String() + " left"
	}
	return drawn, plain
}

func syncStatus() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "List the contact syncs of each CRM account",
		Long: "List the contact syncs of each CRM account, the newest first: what they have read, compared\n" +
			"and found. Nobody in the account was compared longer ago than the last complete one began.",
		Args: cobra.NoArgs,
	}
	accounts := c.Flags().StringArray("account", nil, "only this account; may be repeated (default all)")
	limit := c.Flags().Int("limit", 10, "how many of each account")
	withRoster(c, func(ctx context.Context, roster *app.Roster, asJSON bool, _ []string) error {
		if *limit < 1 {
			return usageError{errors.New("--limit is at least 1")}
		}
		names, err := roster.SyncAccounts(*accounts)
		if err != nil {
			return err
		}
		list, err := roster.Syncs(ctx, names, *limit)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), list)
		}
		for i, s := range list {
			if i > 0 {
				fmt.Fprintln(c.OutOrStdout())
			}
			writeSyncStatus(c.OutOrStdout(), s)
		}
		return nil
	})
	return c
}

func writeSyncStatus(w io.Writer, s app.SyncStatus) {
	if s.Oldest == nil {
		fmt.Fprintf(w, "%s: its contacts have never been compared to the end\n", s.Account)
	} else {
		fmt.Fprintf(w, "%s: every contact was compared in the last %s\n", s.Account, ago(s.Oldest))
	}
	if s.InLine != nil {
		fmt.Fprintf(w, "All are in line with mapping %s, since %s; what has been remapped since may still be on its way.\n", s.MappingRevision, momentText(*s.InLine))
	}
	if !s.Fits {
		fmt.Fprintf(w, "Not all are compared each time: %s. Those that have changed are, and the others a part at a time.\n", s.Why)
	}
	for _, one := range s.Recent {
		if one.State == "running" {
			_, plain := syncLine([]app.Sync{one}, 0)
			fmt.Fprintf(w, "Under way: %s of about %s\n", plain, stress.Whole(int(max(one.Known, one.Read))))
		}
	}
	if len(s.Recent) > 0 {
		fmt.Fprintln(w)
		writeSyncs(w, s.Recent)
		if last := s.Recent[0]; last.Problem != "" {
			fmt.Fprintf(w, "\nThe last has stopped: %s\n", last.Problem)
		}
	}
}

func writeSyncs(w io.Writer, syncs []app.Sync) {
	rows := make([][]any, len(syncs))
	for i, s := range syncs {
		began := s.Due
		if s.Began != nil {
			began = *s.Began
		}
		state := s.State
		if s.Kind != "whole" {
			state += ", " + s.Kind
		}
		rows[i] = []any{
			s.Account, began.Local().Format(time.DateTime), state, s.Read, s.Compared, s.Here, s.There, s.Conflicts, s.Skipped, s.Gone, s.Remapped,
			cmp.Or(brief(time.Duration(s.Seconds*float64(time.Second))), "-"), s.Calls,
		}
	}
	writeTable(w, []any{"Account", "Began", "State", "Read", "Compared", "Changed here", "Changed there", "Conflicts", "Skipped", "Gone", "Remapped", "Took", "Calls"}, rows)
}
