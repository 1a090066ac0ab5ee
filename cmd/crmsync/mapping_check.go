package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/mapping"
)

func mappingCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Report every fault of a mapping document, and run its examples",
		Long: "Report every fault of a mapping document, and run the examples in the folder beside it:\n" +
			"mapping.examples for mapping.yaml. Warnings are no faults.\n\n" +
			"With --live --config the lines are compared with the fields that the accounts of the\n" +
			"configuration have; with --fix the fields that an account lacks are created.",
		Args: cobra.ExactArgs(1),
	}
	load := configFlag(c)
	output := outputFlag(c)
	folder := c.Flags().String("examples", "", "a folder with examples (default the one beside the mapping)")
	live := c.Flags().Bool("live", false, "compare it with the fields of the accounts (with --config)")
	fix := c.Flags().Bool("fix", false, "create the fields that an account lacks (with --live)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		file, configured := args[0], cmd.Flags().Changed("config")
		switch {
		case *fix && !*live:
			return usageError{errors.New("--fix goes with --live")}
		case *live && !configured:
			return usageError{errors.New("--live goes with --config, which says where the accounts are")}
		}
		report := mappingReport{Findings: []any{}, Warnings: mapping.Findings{}}
		compiled, err := app.ReadMapping(file)
		if err == nil && configured {
			settings, unread := load()
			if unread != nil {
				return unread
			}
			settings.Mapping = file
			if compiled, err = app.LoadMapping(settings); err == nil {
				for _, note := range app.MappingNotes(settings, compiled) {
					report.Warnings = append(report.Warnings, mapping.Finding{File: note.File, Line: note.Line, Column: note.Column, Problem: note.Problem})
				}
				if *live {
					report.Fields = app.CheckFields(cmd.Context(), settings, compiled, *fix)
				}
			}
		}
		if err != nil {
			all := checkReport{Findings: []any{}}
			all.add(err)
			report.Findings = all.Findings
			return report.print(cmd, asJSON, nil)
		}
		report.MappingRevision = compiled.Revision()
		if !configured {
			report.Warnings = append(report.Warnings, compiled.Warnings(file)...)
		}
		n, failures, err := app.RunExamples(cmd.Context(), file, compiled, cmp.Or(*folder, app.ExamplesOf(file)))
		if err != nil {
			return err
		}
		report.Examples = n
		for _, f := range failures {
			report.Findings = append(report.Findings, f)
		}
		return report.print(cmd, asJSON, compiled)
	}
	return c
}

// mappingReport is what mapping check prints.
type mappingReport struct {
	OK              bool   `json:"ok"`
	MappingRevision string `json:"mapping_revision,omitempty"`
	Findings        []any  `json:"findings"`
	// Warnings are no faults.
	Warnings mapping.Findings `json:"warnings"`
	// Fields are what does not fit between lines and the accounts' fields, with
	// --live.
	Fields []app.FieldFinding `json:"fields,omitempty"`
	// Examples is how many examples were run.
	Examples int `json:"examples"`
}

func (r *mappingReport) print(cmd *cobra.Command, asJSON bool, compiled *mapping.Mapping) error {
	r.OK = len(r.Findings) == 0
	for _, f := range r.Fields {
		r.OK = r.OK && !f.Fatal
	}
	if asJSON {
		if err := writeJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	} else {
		r.write(cmd.OutOrStdout(), compiled)
	}
	if !r.OK {
		return errReported
	}
	return nil
}

func (r *mappingReport) write(w io.Writer, compiled *mapping.Mapping) {
	for _, f := range r.Findings {
		if m, ok := f.(map[string]string); ok {
			f = m["problem"]
		}
		fmt.Fprintln(w, f)
	}
	for _, f := range r.Fields {
		if f.Fatal {
			fmt.Fprintln(w, f)
		}
	}
	if compiled != nil && r.OK {
		for _, account := range compiled.Accounts() {
			fmt.Fprintf(w, "%s: %s\n", account, countOf(int64(len(compiled.Lines(account))), "contact field"))
		}
		if n := len(compiled.Rules()); n > 0 {
			fmt.Fprintln(w, countOf(int64(n), "rule"))
		}
		if r.Examples > 0 {
			fmt.Fprintf(w, "%s: all as expected\n", countOf(int64(r.Examples), "example"))
		}
	}
	for _, f := range r.Warnings {
		fmt.Fprintln(w, "warning:", f)
	}
	for _, f := range r.Fields {
		if !f.Fatal {
			fmt.Fprintln(w, "warning:", f)
		}
	}
	if r.OK {
		fmt.Fprintf(w, "The mapping is fine; revision %s.\n", r.MappingRevision)
	}
}
