package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// outputFlag adds --output to a command and returns whether it says JSON.
func outputFlag(c *cobra.Command) func() (asJSON bool, err error) {
	format := c.Flags().StringP("output", "o", "text", "text or json")
	return func() (bool, error) {
		switch *format {
		case "text":
			return false, nil
		case "json":
			return true, nil
		}
		return false, usageError{fmt.Errorf("--output is %q; it is text or json", *format)}
	}
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// writeTable prints rows under a header, without lines around them.
func writeTable(w io.Writer, header []any, rows [][]any) { writeColumns(w, header, rows, nil) }

// writeNumbers is writeTable with all but the first column to the right.
func writeNumbers(w io.Writer, header []any, rows [][]any) {
	var right []table.ColumnConfig
	for i := range header {
		if i > 0 {
			right = append(right, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	writeColumns(w, header, rows, right)
}

func writeColumns(w io.Writer, header []any, rows [][]any, columns []table.ColumnConfig) {
	t := table.NewWriter()
	t.SetColumnConfigs(columns)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "   "
	t.SetStyle(style)
	t.AppendHeader(header)
	for _, r := range rows {
		t.AppendRow(r)
	}
	for line := range strings.Lines(t.Render() + "\n") {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}
