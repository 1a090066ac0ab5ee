package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func lettersReplay() *cobra.Command {
	c := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Try dead letters again: those named, or all that the filter selects",
		Long: "Tries dead letters again, with the mapping that is in force now. The workers let them in as\n" +
			"the accounts' quotas allow, behind what is new. On a terminal, or with --wait, the command\n" +
			"stays until all are settled, says what became of them, and fails if some failed again.",
	}
	filter := filterFlags(c)
	all := c.Flags().Bool("all", false, "all open letters")
	dryRun := c.Flags().Bool("dry-run", false, "only say how many")
	by, waits := byFlag(c), waitFlags(c)
	c.Args = func(_ *cobra.Command, args []string) error {
		return errors.Join(filter.selects(args, *all), filter.read(), waits.check())
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		filter.name(args)
		if *dryRun {
			plan, err := list.Replayable(ctx, filter.LetterFilter)
			switch {
			case err != nil:
				return err
			case asJSON:
				err = writeJSON(c.OutOrStdout(), replayReport{ReplayPlan: plan})
			default:
				fmt.Fprintf(c.OutOrStdout(), "%s would be tried again.\n", countOf(plan.Letters, "open letter"))
				tellPlan(c.OutOrStdout(), plan)
			}
			return errors.Join(err, planned(plan, filter.IDs))
		}
		return replayLetters(ctx, c, list, filter.LetterFilter, replaying{by: *by, wait: waits.wanted(), asJSON: asJSON})
	})
	return c
}

// waiting is whether a command stays until letters are settled.
type waiting struct{ yes, no bool }

func waitFlags(c *cobra.Command) *waiting {
	w := &waiting{}
	c.Flags().BoolVar(&w.yes, "wait", false, "stay until the letters are settled; the default on a terminal")
	c.Flags().BoolVar(&w.no, "no-wait", false, "do not stay")
	return w
}

func (w *waiting) check() error {
	if w.yes && w.no {
		return errors.New("--wait and --no-wait contradict each other")
	}
	return nil
}

func (w *waiting) wanted() bool { return w.yes || !w.no && isatty.IsTerminal(os.Stdout.Fd()) }

// replaying says how letters are replayed.
type replaying struct {
	by           string
	wait, asJSON bool
	// edited are the fields that were mended before, if any.
	edited []string
}

// replayReport is what became of a replay.
type replayReport struct {
	app.ReplayPlan
	Edited []string `json:"edited,omitempty"`
	*app.LetterProgress
	// Failures are the causes of those that failed again.
	Failures []app.LetterGroup `json:"failures,omitempty"`
}

// replayLetters tries letters again, and waits for them if asked to.
func replayLetters(ctx context.Context, c *cobra.Command, list *app.Worklist, filter app.LetterFilter, how replaying) error {
	replay, plan, err := list.Replay(ctx, filter, how.by)
	if err != nil {
		return err
	}
	report := replayReport{ReplayPlan: plan, Edited: how.edited}
	if !how.asJSON {
		fmt.Fprintf(c.OutOrStdout(), "%s to be tried again.\n", countOf(plan.Letters, "open letter"))
		tellPlan(c.OutOrStdout(), plan)
	}
	if how.wait && plan.Letters > 0 {
		p, err := await(ctx, os.Stderr, list, replay, plan.Letters)
		if err != nil {
			return err
		}
		report.LetterProgress = &p
		if p.Failed > 0 {
			if report.Failures, err = list.Groups(context.WithoutCancel(ctx), app.LetterFilter{Replay: replay, State: "open"}); err != nil {
				return err
			}
		}
	}
	if how.asJSON {
		if err := writeJSON(c.OutOrStdout(), report); err != nil {
			return err
		}
	} else if report.LetterProgress != nil {
		summary(c.OutOrStdout(), report)
	}
	if p := report.LetterProgress; p != nil && p.Failed+p.Waiting > 0 {
		return errReported
	}
	return planned(plan, filter.IDs)
}

// tellPlan says which letters are not tried again, or not now.
func tellPlan(w io.Writer, plan app.ReplayPlan) {
	for _, account := range slices.Sorted(maps.Keys(plan.Gone)) {
		n := plan.Gone[account]
		fmt.Fprintf(w, "%s of %s left open: the account is not in the configuration. Put it back, or discard them.\n", countOf(n, "letter"), account)
	}
	for _, account := range plan.Paused {
		fmt.Fprintf(w, "%s is paused; its letters wait for: %s accounts resume %s\n", account, program(), account)
	}
}

// planned fails if letters that were asked for cannot be tried again.
func planned(plan app.ReplayPlan, named []string) error {
	if plan.Letters == 0 && len(plan.Gone) > 0 {
		return errReported
	}
	for _, n := range plan.Gone {
		if len(named) > 0 && n > 0 {
			return errReported
		}
	}
	return allOpen(plan.Letters, named)
}

// summary says what became of letters that were tried again.
func summary(w io.Writer, r replayReport) {
	parts := []string{countOf(r.Applied, "letter") + " applied"}
	if r.Dropped > 0 {
		parts = append(parts, fmt.Sprint(r.Dropped, " not to be delivered any more"))
	}
	if r.Failed > 0 {
		parts = append(parts, fmt.Sprint(r.Failed, " failed again"))
	}
	if r.Waiting > 0 {
		parts = append(parts, fmt.Sprint(r.Waiting, " not tried yet"))
	}
	fmt.Fprintln(w, strings.Join(parts, ", ")+".")
	if len(r.Failures) > 0 {
		fmt.Fprintln(w)
		writeGroups(w, r.Failures)
	}
	switch {
	case r.Waiting == 0:
	case r.Waiting == r.LetterProgress.Paused:
		fmt.Fprintln(w, "They are tried when the account is resumed.")
	case !r.Working:
		fmt.Fprintln(w, "No worker is running; they are tried again as soon as one is.")
	default:
		fmt.Fprintln(w, "The worker goes on with them.")
	}
}

// await waits until all letters of a replay are settled, nobody tries them
// because no worker is alive or their accounts are paused, or the operator has
// had enough.
func await(ctx context.Context, w *os.File, list *app.Worklist, replay string, total int64) (app.LetterProgress, error) {
	const (
		look  = 250 * time.Millisecond
		alone = 5 * time.Second // a worker that is being restarted
	)
	screen := newScreen(w, 5*time.Second)
	defer screen.clear()
	began := time.Now()
	working := began
	for {
		// Its own context: an interrupt ends the wait and not a statement.
		p, err := list.Progress(context.WithoutCancel(ctx), replay)
		if err != nil {
			return p, err
		}
		if p.Working && p.Waiting > p.Paused {
			working = time.Now()
		}
		screen.show(replayLine(p, total, time.Since(began)))
		if p.Waiting == 0 || time.Since(working) > alone {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, nil
		case <-time.After(look):
		}
	}
}

// replayLine says how far a replay has come after a time: as a bar that says
// how long it will go on, and plainly.
func replayLine(now app.LetterProgress, total int64, took time.Duration) (drawn, plain string) {
	done := total - now.Waiting
	plain = fmt.Sprintf("%d of %d", done, total)
	if now.Failed > 0 {
		plain += fmt.Sprintf(", %d failed again", now.Failed)
	}
	const width = 30
	filled := int(width * done / max(total, 1))
	drawn = strings.Repeat("█", filled) + strings.Repeat("░", width-filled) + "  " + plain
	if done > 0 && now.Waiting > 0 && took > 2*time.Second {
		left := time.Duration(float64(took) / float64(done) * float64(now.Waiting))
		drawn += ", about " + left.Round(time.Second).String() + " left"
	}
	return drawn, plain
}
