package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

// letterFlags are the flags that select letters.
type letterFlags struct {
	app.LetterFilter
	older, dueBefore string
	command          *cobra.Command
}

// filterFlags adds the flags that select letters.
func filterFlags(c *cobra.Command) *letterFlags {
	f := &letterFlags{command: c}
	c.Flags().StringVar(&f.Account, "account", "", "only letters of this account")
	c.Flags().StringVar(&f.Class, "class", "", "only letters of this class, such as rejected")
	c.Flags().StringVar(&f.Cause, "cause", "", "only letters with this code, or code and field: 'INVALID_DATA on Mobile'")
	c.Flags().StringVar(&f.Group, "group", "", "only letters of this group, as list --group-by cause names it")
	c.Flags().StringVar(&f.older, "older", "", "only letters that failed first that long ago or longer: 2h, 3d")
	c.Flags().BoolVar(&f.Overdue, "overdue", false, "only letters that should have been settled by now")
	c.Flags().StringVar(&f.dueBefore, "due-before", "", "only letters to be settled before a time (2026-11-22T09:00:00Z, 2026-11-22) or within 4h, 1d")
	return f
}

// selects makes sure that everything is settled only by somebody who says so.
func (f *letterFlags) selects(ids []string, all bool) error {
	given := f.LetterFilter
	given.IDs = ids
	if !given.Selects() && f.older == "" && f.dueBefore == "" && !all {
		return errors.New("name letters, select them with --account, --class, --cause, --group, --older, --due-before or --overdue, or say --all")
	}
	return nil
}

// read makes sure that a mistyped filter is no empty worklist, and that an
// empty one, from a variable that is not set, does not select everything.
func (f *letterFlags) read() (err error) {
	for _, name := range []string{"account", "class", "cause", "group", "older", "due-before"} {
		if f.command.Flags().Changed(name) && strings.TrimSpace(f.command.Flag(name).Value.String()) == "" {
			return fmt.Errorf("--%s is empty; leave it out to select all", name)
		}
	}
	switch {
	case f.State != "" && !slices.Contains(app.LetterStates, f.State):
		return fmt.Errorf("--state is %q; it is one of %s", f.State, strings.Join(app.LetterStates, ", "))
	case f.Class != "" && !slices.Contains(app.LetterClasses, f.Class):
		return fmt.Errorf("--class is %q; it is one of %s", f.Class, strings.Join(app.LetterClasses, ", "))
	case f.Limit < 0:
		return fmt.Errorf("--limit is %d; it is 0 for all, or how many", f.Limit)
	}
	if f.older != "" {
		if f.Older, err = spanOf(f.older); err != nil {
			return fmt.Errorf("--older is %q; write how long ago, such as 30m, 2h or 3d", f.older)
		}
	}
	if f.dueBefore == "" {
		return nil
	}
	if f.DueBefore, err = momentOf(f.dueBefore, time.Now(), after); err != nil {
		return fmt.Errorf("--due-before is %q; write a time such as 2026-11-22T09:00:00Z, a day such as 2026-11-22, or how soon, such as 4h or 1d", f.dueBefore)
	}
	return nil
}

// name selects the letters named, each once.
func (f *letterFlags) name(ids []string) {
	f.IDs = slices.Compact(slices.Sorted(slices.Values(ids)))
}
