package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func deadlettersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deadletters",
		Short: "List, mend and settle what could not be delivered",
		RunE:  needsCommand,
	}
	c.AddCommand(lettersList(), lettersShow(), lettersEdit(), lettersReplay(), lettersDiscard())
	return c
}

// withWorklist runs f with the worklist that --config names.
func withWorklist(c *cobra.Command, f func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error) {
	withOpened(c, app.OpenWorklist, f)
}

func lettersList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List dead letters, the oldest first"}
	filter := filterFlags(c)
	c.Flags().StringVar(&filter.State, "state", "open", "open, replaying, delivered, discarded or all")
	c.Flags().IntVar(&filter.Limit, "limit", 100, "at most so many; 0 for all")
	by := c.Flags().String("group-by", "", "cause: one line for all letters of a cause")
	c.Args = func(cmd *cobra.Command, args []string) error {
		if *by != "" && *by != "cause" {
			return fmt.Errorf("--group-by is %q; letters are grouped by cause", *by)
		}
		return errors.Join(cobra.NoArgs(cmd, args), filter.read())
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, _ []string) error {
		if *by != "" {
			return listGroups(ctx, c, list, filter.LetterFilter, asJSON)
		}
		letters, err := list.Letters(ctx, filter.LetterFilter)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), letters)
		}
		if len(letters) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "No dead letters.")
			return nil
		}
		rows := make([][]any, len(letters))
		for i, l := range letters {
			rows[i] = []any{l.ID, l.Class, cmp.Or(l.Code, "-"), l.Attempts, age(l.CreatedAt), due(l), reason(l)}
		}
		writeTable(c.OutOrStdout(), []any{"ID", "Class", "Code", "Attempts", "Age", "Due", "Reason"}, rows)
		return nil
	})
	return c
}

func listGroups(ctx context.Context, c *cobra.Command, list *app.Worklist, filter app.LetterFilter, asJSON bool) error {
	groups, err := list.Groups(ctx, filter)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.OutOrStdout(), groups)
	}
	if len(groups) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "No dead letters.")
		return nil
	}
	writeGroups(c.OutOrStdout(), groups)
	return nil
}

func writeGroups(w io.Writer, groups []app.LetterGroup) {
	rows := make([][]any, len(groups))
	for i, g := range groups {
		rows[i] = []any{g.ID, g.Letters, g.Account, g.Title, g.Class, age(g.CreatedAt), dueAt(g.DueAt), g.Reason}
	}
	writeTable(w, []any{"Group", "Letters", "Account", "Cause", "Class", "Oldest", "First due", "Reason"}, rows)
}

func reason(l app.Letter) string { return because(l.Reason, l.Field) }

// because says why, and names the field if the reason does not.
func because(reason, field string) string {
	if field == "" || strings.Contains(reason, field) {
		return reason
	}
	return reason + " (field " + field + ")"
}

func age(t time.Time) string { return brief(time.Since(t)) }

// brief is a duration to the second, or to the minute if it is over an hour.
func brief(d time.Duration) string {
	if d >= time.Hour {
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}

func due(l app.Letter) string {
	if !l.SettledAt.IsZero() {
		return string(l.State)
	}
	return dueAt(l.DueAt)
}

func dueAt(t time.Time) string {
	if left := time.Until(t); left > 0 {
		return "in " + brief(left)
	}
	return "OVERDUE"
}

// failedAt is when the delivery failed, the last time if it is known.
func failedAt(l app.Letter) time.Time {
	if l.State == "open" {
		return l.UpdatedAt
	}
	return l.CreatedAt
}

func lettersDiscard() *cobra.Command {
	c := &cobra.Command{
		Use:   "discard [ID…] --reason TEXT",
		Short: "Settle dead letters without delivering them",
	}
	filter := filterFlags(c)
	all := c.Flags().Bool("all", false, "all open letters")
	by := byFlag(c)
	why := c.Flags().String("reason", "", "why they need not arrive")
	c.Args = func(_ *cobra.Command, args []string) error {
		if strings.TrimSpace(*why) == "" {
			return errors.New("say why with --reason; it is kept with the letter")
		}
		return errors.Join(filter.selects(args, *all), filter.read())
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		filter.IDs = args
		n, err := list.Discard(ctx, filter.LetterFilter, *by, *why)
		if err != nil {
			return err
		}
		return settled(c, asJSON, "discarded", "discarded", n, args)
	})
	return c
}

func settled(c *cobra.Command, asJSON bool, key, text string, n int64, named []string) error {
	if asJSON {
		if err := writeJSON(c.OutOrStdout(), map[string]int64{key: n}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.OutOrStdout(), "%s %s.\n", countOf(n, "open letter"), text)
	}
	return allOpen(n, named)
}

// allOpen fails if of the letters named fewer were open.
func allOpen(n int64, named []string) error {
	if int(n) < len(named) {
		fmt.Fprintln(os.Stderr, "crmsync: some of the letters named are not open; crmsync deadletters list --state all shows them")
		return errReported
	}
	return nil
}

// countOf is "1 letter" or "2 letters".
func countOf(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// byFlag adds --by: who acts, for the record.
func byFlag(c *cobra.Command) *string {
	return c.Flags().String("by", operator(), "who you are, for the record")
}

// operator is who runs the command, for the record.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
