package main

import (
	"github.com/spf13/cobra"

	"crmsync/mapping"
)

func mappingSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of mapping documents, for editors",
		Long: "Print the JSON Schema of mapping documents. An editor with a YAML language server\n" +
			"completes and checks as you type where the document begins with\n" +
			"# yaml-language-server: $schema=mapping.schema.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := mapping.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
