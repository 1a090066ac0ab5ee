package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/mapping"
)

func mappingCommand() *cobra.Command {
	c := &cobra.Command{Use: "mapping", Short: "Work on a mapping document", RunE: needsCommand}
	c.AddCommand(mappingCheckCommand(), mappingTryCommand(), mappingDiffCommand(), mappingExampleCommand(),
		mappingHistory(), mappingRollback(), mappingSchemaCommand())
	return c
}

func mappingCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Report every fault of a mapping document, and run its examples",
		Long: "Report every fault of a mapping document, and run the examples in the folder beside it:\n" +
			"mapping.examples for mapping.yaml.",
		Args: cobra.ExactArgs(1),
	}
	output := outputFlag(c)
	folder := c.Flags().String("examples", "", "a folder with examples (default the one beside the mapping)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		source, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		report := checkReport{Findings: []any{}}
		compiled, err := mapping.Compile(args[0], source)
		if err != nil {
			report.add(err)
			return report.print(cmd, asJSON)
		}
		report.MappingRevision = compiled.Revision()
		n, failures, err := app.RunExamples(cmd.Context(), args[0], compiled, cmp.Or(*folder, app.ExamplesOf(args[0])))
		if err != nil {
			return err
		}
		report.Examples = &n
		if len(failures) > 0 {
			report.add(failures)
		}
		if asJSON || len(failures) > 0 {
			return report.print(cmd, asJSON)
		}
		for _, account := range compiled.Accounts() {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d contact fields\n", account, len(compiled.Lines(account)))
		}
		if n > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: all as expected\n", countOf(int64(n), "example"))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The mapping is fine; revision %s.\n", compiled.Revision())
		return nil
	}
	return c
}
