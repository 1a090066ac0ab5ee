package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"crmsync/mapping"
)

func mappingCommand() *cobra.Command {
	c := &cobra.Command{Use: "mapping", Short: "Work on a mapping document", RunE: needsCommand}
	c.AddCommand(mappingCheckCommand(), mappingSchemaCommand())
	c.AddCommand(mappingHistory(), mappingRollback())
	return c
}

func mappingCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Report every fault of a mapping document",
		Args:  cobra.ExactArgs(1),
	}
	output := outputFlag(c)
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
		if asJSON {
			return report.print(cmd, true)
		}
		for _, account := range compiled.Accounts() {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d contact fields\n", account, len(compiled.Lines(account)))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The mapping is fine; revision %s.\n", compiled.Revision())
		return nil
	}
	return c
}
