package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

// differenceColumns are the columns of what a dry run lists.
var differenceColumns = []string{"account", "record", "contact", "field", "ours", "theirs", "what would happen", "conflict"}

// mostShown is how many differences are shown as text.
const mostShown = 200

// trySync lists what contact syncs of accounts would do.
func trySync(ctx context.Context, c *cobra.Command, settings *config.Config, accounts []string, output string) error {
	screen := newScreen(os.Stderr, 5*time.Second)
	sheet := csv.NewWriter(c.OutOrStdout())
	report := struct {
		Differences []app.SyncDifference `json:"differences"`
		Syncs       []app.Sync           `json:"syncs"`
	}{Differences: []app.SyncDifference{}, Syncs: []app.Sync{}}
	if output == "csv" {
		_ = sheet.Write(differenceColumns)
	}
	total := int64(0)
	failed := false
	for _, account := range accounts {
		began := time.Now()
		found, err := app.TrySync(ctx, settings, account, func(d app.SyncDifference) {
			total++
			switch {
			case output == "csv":
				_ = sheet.Write(plainCells(d.Cells()))
			case output == "json" || total <= mostShown:
				report.Differences = append(report.Differences, d)
			}
		}, func(s app.Sync) { screen.show(syncLine([]app.Sync{s}, time.Since(began))) })
		screen.clear()
		if err != nil {
			return err
		}
		report.Syncs = append(report.Syncs, found)
		failed = failed || found.State != "done"
	}
	switch output {
	case "csv":
		sheet.Flush()
		if err := sheet.Error(); err != nil {
			return err
		}
		for _, s := range report.Syncs {
			if s.Problem != "" {
				fmt.Fprintf(os.Stderr, "%s: %s\n", s.Account, s.Problem)
			}
		}
	case "json":
		if err := writeJSON(c.OutOrStdout(), report); err != nil {
			return err
		}
	default:
		writeDifferences(c.OutOrStdout(), report.Differences, total)
		writeSyncs(c.OutOrStdout(), report.Syncs)
		tellProblems(c.OutOrStdout(), report.Syncs, true)
	}
	if failed {
		return errReported
	}
	return nil
}

func writeDifferences(w io.Writer, list []app.SyncDifference, total int64) {
	if total == 0 {
		fmt.Fprint(w, "There is no difference: a sync would change nothing.\n\n")
		return
	}
	rows := make([][]any, len(list))
	for i, d := range list {
		effect := d.Effect
		if d.Conflict {
			effect += " (changed on both sides)"
		}
		field := d.Field
		if field == "" {
			field = "-"
		}
		rows[i] = []any{d.Account, d.Record, field, oneLine(d.Ours), oneLine(d.Theirs), effect}
	}
	writeTable(w, []any{"Account", "Record", "Field", "Ours", "Theirs", "What would happen"}, rows)
	if more := total - int64(len(list)); more > 0 {
		fmt.Fprintf(w, "and %s more; --output csv or json lists all of them\n", countOf(more, "difference"))
	}
	fmt.Fprintf(w, "\nNothing has been changed. Without --dry-run:\n")
}

// oneLine is a value as one cell of a table.
func oneLine(text string) string {
	if text == "" {
		return "-"
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", ", "))
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return text
}

// plainCells keeps spreadsheets from taking a cell for a formula: whoever can
// write into a CRM's contact would else have it reckoned, or an address called,
// where somebody opens the list.
func plainCells(cells []string) []string {
	for i, text := range cells {
		if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
			cells[i] = "'" + text
		}
	}
	return cells
}
