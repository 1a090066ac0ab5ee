package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func mappingRollback() *cobra.Command {
	c := &cobra.Command{
		Use:   "rollback [REVISION]",
		Short: "Put an earlier revision of the mapping back into its file",
		Long: "Puts an earlier revision of the mapping back into its file: the one named, by the\n" +
			"beginning if that is enough, else the last one that was in force and is not in the file. It is\n" +
			"checked first. What the file holds is kept, and can be brought back in the same way.\n\n" +
			"A worker that is running takes it over by itself, and the next full sync brings contacts\n" +
			"into line.",
		Args: cobra.MaximumNArgs(1),
	}
	by := byFlag(c)
	dryRun := c.Flags().Bool("dry-run", false, "show what would change in the file, and change nothing")
	withOpened(c, app.OpenMappings, func(ctx context.Context, mappings *app.Mappings, asJSON bool, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		plan, err := mappings.PlanRollback(ctx, name)
		if err != nil {
			return err
		}
		if !*dryRun {
			if err := mappings.Rollback(ctx, plan, *by); err != nil {
				return err
			}
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), struct {
				*app.Rollback
				Diff []string `json:"diff"`
			}{plan, app.LineDiff(plan.Before, plan.After)})
		}
		writeRollback(c.OutOrStdout(), plan, *dryRun)
		return nil
	})
	return c
}

func writeRollback(w io.Writer, r *app.Rollback, dryRun bool) {
	diff := app.LineDiff(r.Before, r.After)
	switch {
	case len(diff) == 0:
		fmt.Fprintf(w, "%s holds revision %s already; nothing was changed.\n", r.File, r.Revision)
		return
	case dryRun:
		fmt.Fprintf(w, "%s would hold revision %s again. Its lines would change so:\n\n", r.File, r.Revision)
		for _, line := range diff {
			fmt.Fprintln(w, line)
		}
		return
	}
	was := "it was not there before"
	if r.Was != "" {
		was = "it held " + r.Was + ", which is kept"
	}
	fmt.Fprintf(w, "%s holds revision %s again; %s.\n", r.File, r.Revision, was)
	if r.Working {
		fmt.Fprintf(w, "The worker takes it over in a second or two; see it with: %s mapping history\n", program())
	} else {
		fmt.Fprintln(w, "No worker is running; one that starts puts it in force.")
	}
}
