package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/stress"
	"crmsync/config"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Prove that everything received is accounted for",
		Long: "Prove that everything received is accounted for: recorded, and in each account in\n" +
			"agreement, pending, dead-lettered or skipped for a reason. It works beside a running\n" +
			"worker and without one, and changes nothing.\n\n" +
			"With --against-crm it also reads a sample of the records in each account, through a\n" +
			"tenth of its quota, and compares them with what the account was told.\n\n" +
			"Exit code 1 says that something does not close, that nobody can know because the\n" +
			"broker does not answer, or that an account shows something else; what, is listed by\n" +
			"its number. A loss is reported until somebody settles it with audit settle.",
		Args: cobra.NoArgs,
	}
	load := configFlag(c)
	output := outputFlag(c)
	since := c.Flags().String("since", "", "only what was received, recorded or changed since: 24h or 7d ago, a date, or an RFC 3339 time")
	until := c.Flags().String("until", "", "only what was received or recorded before: as --since")
	against := c.Flags().Bool("against-crm", false, "compare a sample with what the accounts hold")
	sample := c.Flags().Int("sample", 1000, "how many records of each account to compare, contacts and messages (with --against-crm)")
	account := c.Flags().String("account", "", "compare only this account (with --against-crm)")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		period, err := periodOf(*since, *until, time.Now())
		switch {
		case err != nil:
			return usageError{err}
		case *sample < 1:
			return usageError{fmt.Errorf("--sample is %d; write how many records", *sample)}
		case !*against && (*account != "" || cmd.Flags().Changed("sample")):
			return usageError{errors.New("--sample and --account go with --against-crm")}
		}
		settings, err := load()
		if err != nil {
			return err
		}
		if names := app.CRMs(settings); *account != "" && !slices.Contains(names, *account) {
			return usageError{fmt.Errorf("--account is %q; the configuration has %s", *account, strings.Join(names, ", "))}
		}
		var both auditReport
		if both.AuditReport, err = app.Audit(cmd.Context(), settings, period); err != nil {
			return err
		}
		if !asJSON {
			printAudit(cmd.OutOrStdout(), both.AuditReport)
		}
		if *against {
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "\nComparing at most %s records of each account, through a tenth of its quota …\n", stress.Whole(*sample))
			}
			if both.AgainstCRM, err = app.Compare(cmd.Context(), settings, *account, *sample); err != nil {
				return err
			}
		}
		if asJSON {
			err = writeJSON(cmd.OutOrStdout(), both)
		} else if *against {
			printComparison(cmd.OutOrStdout(), both.AgainstCRM)
		}
		if err == nil && !both.fine() {
			err = errReported
		}
		return err
	}
	c.AddCommand(auditSettle())
	return c
}

func auditSettle() *cobra.Command {
	c := &cobra.Command{
		Use:   "settle --reason TEXT",
		Short: "Say that what is lost is known, so that later audits close",
		Long: "Says, for the record, that somebody knows of the events that were acknowledged and are\n" +
			"lost, or of an EVENTS that was replaced or set back. Later audits note it and close.\n" +
			"What is lost after that is reported again. Nothing else that an audit finds can be\n" +
			"settled.",
	}
	by := byFlag(c)
	why := c.Flags().String("reason", "", "how it was lost")
	c.Args = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(*why) == "" {
			return errors.New("say how it was lost with --reason; it is kept")
		}
		return cobra.NoArgs(cmd, args)
	}
	withConfig(c, func(ctx context.Context, settings *config.Config, asJSON bool, _ []string) error {
		report, err := app.Settle(ctx, settings, *by, *why)
		switch {
		case err != nil:
			return err
		case !report.Events.Known:
			return fmt.Errorf("what is lost is not known: %s", report.Events.Why)
		case asJSON:
			settled := make([]string, len(report.Losses))
			for i, l := range report.Losses {
				settled[i] = l.String()
			}
			return writeJSON(c.OutOrStdout(), map[string]any{"settled": settled})
		case len(report.Losses) == 0:
			fmt.Fprintln(c.OutOrStdout(), "Nothing is lost that is not settled already.")
		}
		for _, l := range report.Losses {
			fmt.Fprintf(c.OutOrStdout(), "Settled: %s.\n", l)
		}
		return nil
	})
	return c
}

// auditReport is what audit prints.
type auditReport struct {
	*app.AuditReport
	AgainstCRM []*app.Consistency `json:"against_crm,omitempty"`
}

func (r *auditReport) fine() bool {
	return r.Closes && !slices.ContainsFunc(r.AgainstCRM, func(c *app.Consistency) bool { return !c.Agrees() })
}

func periodOf(since, until string, now time.Time) (p app.AuditPeriod, err error) {
	for _, bound := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", since, &p.Since}, {"--until", until, &p.Until}} {
		if bound.text == "" {
			continue
		}
		if *bound.into, err = momentOf(bound.text, now, before); err != nil {
			return p, fmt.Errorf("%s is %q; write 24h or 7d for so long ago, a date such as 2026-11-20, or a time such as 2026-11-20T09:00:00Z", bound.flag, bound.text)
		}
	}
	switch {
	case p.Since.After(now):
		return p, errors.New("--since is still to come; nothing has been received since")
	case !p.Until.IsZero() && !p.Since.Before(p.Until):
		return p, errors.New("--until is not after --since")
	}
	return p, nil
}

func printAudit(out io.Writer, r *app.AuditReport) {
	fmt.Fprintf(out, "Audit of %s.\n\n", periodText(r))
	var rows [][]any
	for _, s := range r.Sources {
		waiting := "?"
		if s.Waiting != nil {
			waiting = stress.Whole(*s.Waiting)
		}
		rows = append(rows, []any{s.Account, stress.Whole(s.Received), stress.Whole(s.Recorded), waiting, stress.Whole(s.Applied), stress.Whole(s.Skipped), stress.Whole(s.Unreadable)})
	}
	if len(rows) > 0 {
		writeNumbers(out, []any{"Facts from", "Received", "Recorded", "Waiting", "Applied", "Skipped", "Unreadable"}, rows)
		fmt.Fprintln(out)
	}
	rows = nil
	row := func(account, what string, c app.AuditCounts) {
		rows = append(rows, []any{account, what, stress.Whole(c.Recorded), stress.Whole(c.Agreed), stress.Whole(c.Pending), stress.Whole(c.DeadLettered), stress.Whole(c.Skipped)})
	}
	for _, a := range r.Accounts {
		row(a.Account, "all", a.Counts)
		for _, kind := range slices.Sorted(maps.Keys(a.Entities)) {
			row("", string(kind)+"s", a.Entities[kind])
		}
	}
	writeNumbers(out, []any{"Account", "", "Recorded", "Agreed", "Pending", "Dead letters", "Skipped"}, rows)
	fmt.Fprintln(out)
	printReasons(out, r)
	if e := r.Events; e.Known {
		fmt.Fprintf(out, "Of %s events ever acknowledged, %s are recorded, %s wait, %s are lost.\n", stress.Whole(e.Stored), stress.Whole(e.Recorded), stress.Whole(e.Waiting), stress.Whole(e.Lost+e.Settled))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	if r.Closes {
		fmt.Fprintln(out, "All sums close.")
		return
	}
	if !r.Events.Known {
		fmt.Fprintf(out, "Whether anything is lost is not known: %s.\n", r.Events.Why)
	}
	if len(r.Findings) == 0 {
		return
	}
	fmt.Fprintln(out, "\nThis does not close:")
	for _, f := range r.Findings {
		fmt.Fprintf(out, "  %s\n", findingText(f))
	}
	if len(r.Losses) > 0 {
		fmt.Fprintf(out, "\nOnce you know how it was lost: %s audit settle --reason '…'\n", program())
	}
}

func printComparison(out io.Writer, list []*app.Consistency) {
	fmt.Fprintln(out)
	var rows [][]any
	for _, c := range list {
		rows = append(rows, []any{c.Account, stress.Whole(c.Contacts), stress.Whole(c.Messages), stress.Whole(c.Missing), stress.Whole(c.Differing)})
	}
	writeNumbers(out, []any{"Compared with", "Contacts", "Messages", "Missing", "Differing"}, rows)
	fmt.Fprintln(out)
	fine := true
	for _, c := range list {
		fine = fine && c.Agrees()
		if c.Problem != "" {
			fmt.Fprintf(out, "%s could not be compared to the end: %s\n", c.Account, c.Problem)
		}
		const most = 10
		for _, d := range c.Drifts[:min(most, len(c.Drifts))] {
			what := "is not there any more"
			if !d.Missing {
				what = "differs in " + strings.Join(d.Fields, ", ")
			}
			fmt.Fprintf(out, "%s: %s, record %s, %s\n", c.Account, d.Entity, d.RecordID, what)
		}
		if more := len(c.Drifts) - most; more > 0 {
			fmt.Fprintf(out, "%s: %s more (--output json lists them)\n", c.Account, stress.Whole(more))
		}
	}
	if fine {
		fmt.Fprintln(out, "The accounts show what they were told.")
	}
}

func periodText(r *app.AuditReport) string {
	at := func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
	switch {
	case r.Since.IsZero() && r.Until.IsZero():
		return "everything until " + at(r.At)
	case r.Since.IsZero():
		return "everything before " + at(r.Until)
	case r.Until.IsZero():
		return at(r.Since) + " until " + at(r.At)
	}
	return at(r.Since) + " until " + at(r.Until)
}

func printReasons(out io.Writer, r *app.AuditReport) {
	var rows [][]any
	add := func(account, what string, reasons map[string]int64) {
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			rows = append(rows, []any{stress.Whole(reasons[reason]), account, what, reason})
		}
	}
	for _, s := range r.Sources {
		add(s.Account, "facts", s.SkippedByReason)
	}
	for _, a := range r.Accounts {
		add(a.Account, "", a.SkippedByReason)
	}
	if len(rows) > 0 {
		writeTable(out, []any{"Skipped", "Account", "", "Reason"}, rows)
		fmt.Fprintln(out)
	}
	for _, a := range r.Accounts {
		if !a.OldestPending.IsZero() {
			fmt.Fprintf(out, "The oldest that is pending in %s has waited for %s.\n", a.Account, age(a.OldestPending))
		}
	}
}

// findingText says what does not close, with the first names of it.
func findingText(f app.AuditFinding) string {
	const most = 10
	text := fmt.Sprintf("%s %s", stress.Whole(f.Count), f.Problem)
	if f.Account != "" {
		text = f.Account + ": " + text
	}
	if len(f.Names) == 0 {
		return text
	}
	text += ": " + strings.Join(f.Names[:min(most, len(f.Names))], ", ")
	if f.Count > most {
		text += fmt.Sprintf(" and %s more (--output json lists them)", stress.Whole(f.Count-most))
	}
	return text
}
