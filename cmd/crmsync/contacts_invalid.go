package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

func contactsInvalid() *cobra.Command {
	c := &cobra.Command{
		Use:   "invalid",
		Short: "List values in the CRMs that are not of their field's type and so not carried on",
		Long: "List values that were seen in a CRM and are not of their field's type, such as a note in\n" +
			"the field for the phone number. They stay there: crmsync neither carries them on nor\n" +
			"writes over them. Somebody has to mend them in the CRM; crmsync takes the mended value at\n" +
			"its next look.\n\n" +
			"The values themselves are shown with --values only.",
		Args: cobra.NoArgs,
	}
	account := c.Flags().String("account", "", "only this account")
	values := c.Flags().Bool("values", false, "show the values too: they are people's data")
	withConfig(c, func(ctx context.Context, settings *config.Config, asJSON bool, _ []string) error {
		book, err := app.OpenBook(ctx, settings)
		if err != nil {
			return err
		}
		defer book.Close()
		list, err := book.Unfit(ctx, *account, *values)
		if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
			return usageError{err}
		}
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), list)
		case len(list) == 0:
			fmt.Fprintln(c.OutOrStdout(), "Every value that was seen is of its field's type.")
			return nil
		}
		header := []any{"Account", "Record", "Contact", "Field", "Mapping", "Last news", "Problem"}
		if *values {
			header = slices.Insert(header, 4, any("Value"))
		}
		rows := make([][]any, len(list))
		for i, v := range list {
			rows[i] = []any{v.Account, v.RecordID, fmt.Sprintf("contact:%d", v.Contact), v.To, fmt.Sprintf("%s:%d", filepath.Base(settings.Mapping), v.MappingLine), momentOr(v.SeenAt), v.Problem}
			if *values {
				rows[i] = slices.Insert(rows[i], 4, any(inOneLine(v.Value)))
			}
		}
		writeTable(c.OutOrStdout(), header, rows)
		fmt.Fprintf(c.OutOrStdout(), "\n%s to mend in the CRM; the next look takes them.\n", countOf(int64(len(list)), "value"))
		return nil
	})
	return c
}
