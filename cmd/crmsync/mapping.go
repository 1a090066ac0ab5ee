package main

import "github.com/spf13/cobra"

func mappingCommand() *cobra.Command {
	c := &cobra.Command{Use: "mapping", Short: "Work on a mapping document", RunE: needsCommand}
	c.AddCommand(mappingCheckCommand(), mappingTryCommand(), mappingDiffCommand(), mappingExampleCommand(),
		mappingHistory(), mappingRollback(), mappingSchemaCommand())
	return c
}
