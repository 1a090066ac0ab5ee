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
	c.Flags().IntVar(&filter.Limit, "limit", 100, "at most so many, 0 for all; with --output json all if it is left out")
	by := c.Flags().String("group-by", "", "cause: one line for all letters of a cause")
	c.Args = func(cmd *cobra.Command, args []string) error {
		if *by != "" && *by != "cause" {
			return fmt.Errorf("--group-by is %q; letters are grouped by cause", *by)
		}
		return errors.Join(cobra.NoArgs(cmd, args), filter.read())
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, _ []string) error {
		most := filter.Limit
		switch {
		case asJSON && !c.Flags().Changed("limit"):
			filter.Limit = 0
		case !asJSON && most > 0:
			filter.Limit++ // to see whether there are more
		}
		if *by != "" {
			groups, err := list.Groups(ctx, filter.LetterFilter)
			return printed(c, asJSON, groups, err, most, writeGroups)
		}
		letters, err := list.Letters(ctx, filter.LetterFilter)
		return printed(c, asJSON, letters, err, most, writeLetters)
	})
	return c
}

// printed prints a list, of which at most so many: 0 for all.
func printed[T any](c *cobra.Command, asJSON bool, list []T, err error, most int, write func(io.Writer, []T)) error {
	switch {
	case err != nil:
		return err
	case asJSON:
		return writeJSON(c.OutOrStdout(), list)
	case len(list) == 0:
		fmt.Fprintln(c.OutOrStdout(), "No dead letters.")
	case most > 0 && len(list) > most:
		write(c.OutOrStdout(), list[:most])
		fmt.Fprintln(c.OutOrStdout(), "\nThere are more; --limit 0 shows all.")
	default:
		write(c.OutOrStdout(), list)
	}
	return nil
}

func writeLetters(w io.Writer, letters []app.Letter) {
	rows := make([][]any, len(letters))
	for i, l := range letters {
		rows[i] = []any{l.ID, l.Class, cmp.Or(l.Code, "-"), l.Attempts, age(l.CreatedAt), due(l), reason(l)}
	}
	writeTable(w, []any{"ID", "Class", "Code", "Attempts", "Age", "Due", "Reason"}, rows)
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
		filter.name(args)
		n, err := list.Discard(ctx, filter.LetterFilter, *by, *why)
		switch {
		case err != nil:
			return err
		case asJSON:
			err = writeJSON(c.OutOrStdout(), map[string]int64{"discarded": n})
		default:
			fmt.Fprintf(c.OutOrStdout(), "%s discarded.\n", countOf(n, "open letter"))
		}
		return errors.Join(err, allOpen(n, filter.IDs))
	})
	return c
}

// allOpen fails if of the letters named fewer were open.
func allOpen(n int64, named []string) error {
	if int(n) < len(named) {
		fmt.Fprintln(os.Stderr, "crmsync: some of the letters named are not open, or a filter leaves them out; crmsync deadletters list --state all shows them")
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
