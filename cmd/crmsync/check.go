package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
	"crmsync/mapping"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and the mapping, with --live the accounts too",
		Long: "Check the configuration and the mapping, all findings at once.\n\n" +
			"With --live also the broker, the database and every account with its fields;\n" +
			"with --fix the fields that an account lacks are created.",
		Args: cobra.NoArgs,
	}
	load := configFlag(c)
	output := outputFlag(c)
	live := c.Flags().Bool("live", false, "ask the broker, the database and the accounts")
	fix := c.Flags().Bool("fix", false, "create the fields that an account lacks (with --live)")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if *fix && !*live {
			return usageError{errors.New("--fix goes with --live")}
		}
		report := checkReport{Findings: []any{}}
		settings, err := load()
		if err == nil {
			report.Notes = append(settings.Notes, settings.Placeholders...)
			var compiled *mapping.Mapping
			if compiled, err = app.LoadMapping(settings); err == nil {
				report.MappingRevision = compiled.Revision()
				report.Notes = append(report.Notes, app.MappingNotes(settings, compiled)...)
				err = app.CheckJobs(settings)
			}
		}
		if err != nil {
			report.add(err)
			return report.print(cmd, asJSON)
		}
		if *live {
			report.Checks = app.CheckLive(cmd.Context(), settings, *fix)
		}
		return report.print(cmd, asJSON)
	}
	return c
}

// checkReport is what check prints.
type checkReport struct {
	OK              bool   `json:"ok"`
	MappingRevision string `json:"mapping_revision,omitempty"`
	// Examples is how many examples of the mapping were run.
	Examples *int  `json:"examples,omitempty"`
	Findings []any `json:"findings"`
	// Notes are no faults.
	Notes  config.Findings `json:"notes,omitempty"`
	Checks []app.Check     `json:"checks,omitempty"`
}

// add takes in the findings of an error, each as its own.
func (r *checkReport) add(err error) {
	if all, ok := errors.AsType[config.Findings](err); ok {
		for _, f := range all {
			r.Findings = append(r.Findings, f)
		}
		return
	}
	if all, ok := errors.AsType[mapping.Findings](err); ok {
		for _, f := range all {
			r.Findings = append(r.Findings, f)
		}
		return
	}
	r.Findings = append(r.Findings, map[string]string{"problem": err.Error()})
}

func (r *checkReport) print(cmd *cobra.Command, asJSON bool) error {
	r.OK = len(r.Findings) == 0
	for _, c := range r.Checks {
		r.OK = r.OK && c.OK
	}
	out := cmd.OutOrStdout()
	if asJSON {
		if err := writeJSON(out, r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Findings {
			if m, ok := f.(map[string]string); ok {
				f = m["problem"]
			}
			fmt.Fprintln(out, f)
		}
		for _, n := range r.Notes {
			fmt.Fprintf(out, "note: %s\n", n)
		}
		for _, c := range r.Checks {
			fmt.Fprintf(out, "%s  %s\n", map[bool]string{true: "ok  ", false: "FAIL"}[c.OK], c.Name)
			for _, note := range c.Notes {
				fmt.Fprintf(out, "      %s\n", note)
			}
		}
		if r.OK {
			fmt.Fprintf(out, "The configuration is fine; mapping revision %s.\n", r.MappingRevision)
		}
	}
	if !r.OK {
		return errReported
	}
	return nil
}
