package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func deadlettersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deadletters",
		Short: "List and settle what could not be delivered",
		RunE:  needsCommand,
	}
	c.AddCommand(lettersList(), lettersShow(), lettersReplay(), lettersDiscard())
	return c
}

// withWorklist runs f with the worklist that --config names.
func withWorklist(c *cobra.Command, f func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error) {
	load := configFlag(c)
	output := outputFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		settings, err := load()
		if err != nil {
			return err
		}
		list, err := app.OpenWorklist(cmd.Context(), settings)
		if err != nil {
			return err
		}
		defer list.Close()
		return f(cmd.Context(), list, asJSON, args)
	}
}

// filterFlags adds the flags that select letters.
func filterFlags(c *cobra.Command, state string) *app.LetterFilter {
	f := &app.LetterFilter{}
	c.Flags().StringVar(&f.Account, "account", "", "only letters of this account")
	c.Flags().StringVar(&f.Class, "class", "", "only letters of this class, such as rejected")
	c.Flags().StringVar(&f.Group, "group", "", "only letters of this group, as list --group-by cause names it")
	c.Flags().BoolVar(&f.Overdue, "overdue", false, "only letters that should have been settled by now")
	if state != "" {
		c.Flags().StringVar(&f.State, "state", state, "open, replaying, delivered, discarded or all")
	}
	return f
}

func lettersList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List dead letters, the oldest first"}
	filter := filterFlags(c, "open")
	c.Flags().IntVar(&filter.Limit, "limit", 100, "at most so many; 0 for all")
	by := c.Flags().String("group-by", "", "cause: one line for all letters of a cause")
	c.Args = func(cmd *cobra.Command, args []string) error {
		if *by != "" && *by != "cause" {
			return fmt.Errorf("--group-by is %q; letters are grouped by cause", *by)
		}
		return errors.Join(cobra.NoArgs(cmd, args), valid(filter))
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, _ []string) error {
		if *by != "" {
			return listGroups(ctx, c, list, *filter, asJSON)
		}
		letters, err := list.Letters(ctx, *filter)
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
	rows := make([][]any, len(groups))
	for i, g := range groups {
		rows[i] = []any{g.ID, g.Letters, g.Account, g.Class, cmp.Or(g.Code, "-"), age(g.CreatedAt), dueAt(g.DueAt), because(g.Reason, g.Field)}
	}
	writeTable(c.OutOrStdout(), []any{"Group", "Letters", "Account", "Class", "Code", "Oldest", "First due", "Reason"}, rows)
	return nil
}

func reason(l app.Letter) string { return because(l.Reason, l.Field) }

// because says why, and names the field if the reason does not.
func because(reason, field string) string {
	if field == "" || strings.Contains(reason, field) {
		return reason
	}
	return reason + " (field " + field + ")"
}

func age(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }

func due(l app.Letter) string {
	if !l.SettledAt.IsZero() {
		return string(l.State)
	}
	return dueAt(l.DueAt)
}

func dueAt(t time.Time) string {
	if left := time.Until(t); left > 0 {
		return "in " + left.Truncate(time.Minute).String()
	}
	return "OVERDUE"
}

func lettersShow() *cobra.Command {
	c := &cobra.Command{Use: "show ID", Short: "Show one dead letter: what failed, why, and what to do", Args: cobra.ExactArgs(1)}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		letters, err := list.Letters(ctx, app.LetterFilter{IDs: args, State: "all"})
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			return fmt.Errorf("there is no dead letter %q; crmsync deadletters list --state all shows them", args[0])
		}
		l := letters[0]
		if asJSON {
			return writeJSON(c.OutOrStdout(), l)
		}
		row := func(name string, value any) {
			if text := fmt.Sprint(value); text != "" {
				fmt.Fprintf(c.OutOrStdout(), "%-10s %s\n", name, text)
			}
		}
		row("Letter", l.ID)
		row("State", l.State)
		row("Account", l.Account)
		if l.Entity.ID != 0 {
			row("About", l.Entity)
		} else {
			row("About", "a part of a webhook that cannot be read")
		}
		row("Class", l.Class)
		row("Code", l.Code)
		row("Field", l.Field)
		row("Reason", reason(l))
		row("Attempts", l.Attempts)
		row("Tried", strings.Join(l.History, ", "))
		row("Mapping", l.Revision)
		row("Failed", failedAt(l).Local().Format(time.RFC3339))
		row("Due", l.DueAt.Local().Format(time.RFC3339))
		if !l.SettledAt.IsZero() {
			row("Settled", l.SettledAt.Local().Format(time.RFC3339))
		}
		row("By", l.SettledBy)
		row("Note", l.Note)
		if !l.State.Settled() {
			fmt.Fprintf(c.OutOrStdout(), "\nMend the cause, then: %[1]s deadletters replay %[2]s\nOr let it go:         %[1]s deadletters discard %[2]s --reason '…'\n", program(), l.ID)
		}
		return nil
	})
	return c
}

// failedAt is when the delivery failed, the last time if it is known.
func failedAt(l app.Letter) time.Time {
	if l.State == "open" {
		return l.UpdatedAt
	}
	return l.CreatedAt
}

func lettersReplay() *cobra.Command {
	c := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Try dead letters again: those named, or all that the filter selects",
	}
	filter := filterFlags(c, "")
	all := c.Flags().Bool("all", false, "all open letters")
	dryRun := c.Flags().Bool("dry-run", false, "only say how many")
	c.Args = func(_ *cobra.Command, args []string) error {
		return errors.Join(selects(filter, args, *all), valid(filter))
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		filter.IDs = args
		if *dryRun {
			filter.State = "open"
			letters, err := list.Letters(ctx, *filter)
			if err != nil {
				return err
			}
			return settled(c, asJSON, "replayed", "would be tried again", int64(len(letters)), args)
		}
		n, err := list.Replay(ctx, *filter, operator())
		if err != nil {
			return err
		}
		return settled(c, asJSON, "replayed", "to be tried again", n, args)
	})
	return c
}

func lettersDiscard() *cobra.Command {
	c := &cobra.Command{
		Use:   "discard [ID…] --reason TEXT",
		Short: "Settle dead letters without delivering them",
	}
	filter := filterFlags(c, "")
	all := c.Flags().Bool("all", false, "all open letters")
	why := c.Flags().String("reason", "", "why they need not arrive")
	c.Args = func(_ *cobra.Command, args []string) error {
		if strings.TrimSpace(*why) == "" {
			return errors.New("say why with --reason; it is kept with the letter")
		}
		return errors.Join(selects(filter, args, *all), valid(filter))
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		filter.IDs = args
		n, err := list.Discard(ctx, *filter, operator(), *why)
		if err != nil {
			return err
		}
		return settled(c, asJSON, "discarded", "discarded", n, args)
	})
	return c
}

// selects makes sure that everything is settled only by somebody who says so.
func selects(f *app.LetterFilter, ids []string, all bool) error {
	if len(ids) == 0 && f.Account == "" && f.Class == "" && f.Group == "" && !f.Overdue && !all {
		return errors.New("name letters, select them with --account, --class, --group or --overdue, or say --all")
	}
	return nil
}

// valid makes sure that a mistyped filter is no empty worklist.
func valid(f *app.LetterFilter) error {
	switch {
	case f.State != "" && !slices.Contains(app.LetterStates, f.State):
		return fmt.Errorf("--state is %q; it is one of %s", f.State, strings.Join(app.LetterStates, ", "))
	case f.Class != "" && !slices.Contains(app.LetterClasses, f.Class):
		return fmt.Errorf("--class is %q; it is one of %s", f.Class, strings.Join(app.LetterClasses, ", "))
	case f.Limit < 0:
		return fmt.Errorf("--limit is %d; it is 0 for all, or how many", f.Limit)
	}
	return nil
}

func settled(c *cobra.Command, asJSON bool, key, text string, n int64, named []string) error {
	if asJSON {
		if err := writeJSON(c.OutOrStdout(), map[string]int64{key: n}); err != nil {
			return err
		}
	} else {
		letters := "letters"
		if n == 1 {
			letters = "letter"
		}
		fmt.Fprintf(c.OutOrStdout(), "%d open %s %s.\n", n, letters, text)
	}
	if int(n) < len(named) {
		fmt.Fprintln(os.Stderr, "crmsync: some of the letters named are not open; crmsync deadletters list --state all shows them")
		return errReported
	}
	return nil
}

// operator is who runs the command, for the record.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
