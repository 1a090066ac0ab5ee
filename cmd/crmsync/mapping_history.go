package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func mappingHistory() *cobra.Command {
	c := &cobra.Command{
		Use:   "history [REVISION]",
		Short: "List the revisions of the mapping that were in force",
		Long: "Lists the revisions of the mapping that were in force, the newest first: since when, by\n" +
			"which replica, and what people have rolled back. With a revision, or the beginning of one,\n" +
			"it prints its text.",
		Args: cobra.MaximumNArgs(1),
	}
	show := c.Flags().String("show", "", "print the text of this revision")
	withOpened(c, app.OpenMappings, func(ctx context.Context, mappings *app.Mappings, asJSON bool, args []string) error {
		name := *show
		if len(args) > 0 {
			name = args[0]
		}
		if name != "" {
			revision, text, err := mappings.Text(ctx, name)
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(c.OutOrStdout(), map[string]string{"revision": revision, "text": string(text)})
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		}
		h, err := mappings.History(ctx)
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), h)
		}
		writeMappingHistory(c.OutOrStdout(), h)
		return nil
	})
	return c
}

func writeMappingHistory(w io.Writer, h *app.MappingHistory) {
	if len(h.Events) == 0 {
		fmt.Fprintln(w, "No mapping was ever in force; crmsync serve puts the first one in force.")
		return
	}
	rows := make([][]any, len(h.Events))
	current := false
	for i, e := range h.Events {
		state := map[string]string{"in_force": "was in force", "replaced": "replaced by a rollback", "rolled_back": "rolled back to"}[e.Event]
		if e.InForce {
			state = "in force"
			current = current || e.Revision == h.FileRevision
		}
		accounts, fields := any(e.Accounts), any(e.Fields)
		if e.Accounts < 0 {
			accounts, fields = "-", "-"
		}
		rows[i] = []any{e.Revision, state, momentText(e.At), e.By, accounts, fields, filepath.Base(e.File)}
	}
	writeTable(w, []any{"Revision", "State", "Since", "By", "Accounts", "Fields", "File"}, rows)
	switch {
	case !h.Working:
		fmt.Fprintln(w, "\nNo worker is running; one that starts puts in force what is in the file.")
	case h.FileRevision == "":
		fmt.Fprintf(w, "\n%s cannot be read; what is in force stays so.\n", h.File)
	case !current:
		fmt.Fprintf(w, "\n%s holds revision %s, which is not in force: %s check says whether it is valid.\n", h.File, h.FileRevision, program())
	}
}
