package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

func mappingExampleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "example FILE --from-contact WHO",
		Short: "Write an example of what a mapping does, from a contact of the directory",
		Long: "Write an example of what a mapping does into the folder beside it (mapping.examples for\n" +
			"mapping.yaml), where mapping check runs it: a contact, and all that the mapping writes of\n" +
			"it now. Take out what does not matter.\n\n" +
			"The contact's values could end up in a repository. So names, numbers, addresses and texts\n" +
			"are invented; what a mapping decides by stays, such as which fields are known, the country\n" +
			"of a number, labels and consent. With --as-is all values stay.\n\n" +
			whoHelp[:strings.Index(whoHelp, "\n\n")],
		Args: cobra.ExactArgs(1),
	}
	n := app.NewExample{}
	c.Flags().StringVar(&n.Who, "from-contact", "", "the contact to take")
	c.Flags().StringVar(&n.Name, "name", "", "the file's name without .yaml (default contact-42)")
	c.Flags().BoolVar(&n.AsIs, "as-is", false, "keep the contact's values: they are a person's data")
	withConfig(c, func(ctx context.Context, settings *config.Config, asJSON bool, args []string) error {
		switch {
		case n.Who == "":
			return usageError{errors.New("say with --from-contact whom to take")}
		case strings.ContainsAny(n.Name, `/\`):
			return usageError{errors.New("--name is a name without a folder; examples lie beside their mapping")}
		}
		file, err := app.WriteExample(ctx, settings, args[0], n)
		switch {
		case err != nil:
			return reportFindings(c, err, asJSON)
		case asJSON:
			return writeJSON(c.OutOrStdout(), map[string]string{"file": file})
		}
		fmt.Fprintln(c.OutOrStdout(), file)
		return nil
	})
	return c
}
