package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func lettersShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter: what was tried, what the vendor answered, and what to do",
		Long: "Shows one dead letter: what was tried with which fields, what the vendor answered, what\n" +
			"people did about it, and what to do. Values are described, not shown. With --raw the\n" +
			"part of a webhook that cannot be read is written as it was received: it may contain\n" +
			"phone numbers and message text.",
		Args: cobra.ExactArgs(1),
	}
	raw := c.Flags().Bool("raw", false, "write only the part of a webhook that cannot be read")
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		if *raw {
			part, err := list.Part(ctx, args[0])
			if err == nil {
				_, err = c.OutOrStdout().Write(part)
			}
			return err
		}
		d, err := list.Details(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), d)
		}
		showLetter(c.OutOrStdout(), d)
		return nil
	})
	return c
}

func showLetter(w io.Writer, d app.LetterDetails) {
	row := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" {
			fmt.Fprintf(w, "%-10s %s\n", name, text)
		}
	}
	row("Letter", d.ID)
	row("State", d.State)
	row("Account", d.Account)
	if d.Entity.ID != 0 {
		row("About", d.Entity)
	} else {
		row("About", "a part of a webhook that cannot be read"+kept(d.PartBytes))
	}
	row("Cause", d.Cause+" ("+string(d.Class)+", group "+d.Group+")")
	row("Reason", reason(d.Letter))
	if d.Status != 0 {
		row("Answer", strings.TrimSpace(fmt.Sprint("HTTP ", d.Status, " ", d.Code)))
	}
	if tried := triedTo(d.Letter); tried != "" {
		row("Tried", tried)
		for _, f := range columns(d) {
			row("", f)
		}
	}
	row("Attempts", d.Attempts)
	for i, outcome := range d.History {
		when := ""
		if i < len(d.AttemptedAt) {
			when = clock(d.AttemptedAt[i]) + "  "
		}
		row("", "  "+when+outcome)
	}
	row("Mapping", d.Revision)
	row("Failed", clock(failedAt(d.Letter)))
	if d.State.Settled() {
		row("Settled", clock(d.SettledAt))
	} else {
		row("Due", clock(d.DueAt)+", "+dueAt(d.DueAt))
	}
	row("By", d.SettledBy)
	row("Note", d.Note)
	for i, a := range d.Actions {
		row(map[bool]string{true: "Done"}[i == 0], clock(a.At)+"  "+did(a))
	}
	if !d.State.Settled() {
		next(w, d)
	}
}

func kept(bytes int) string {
	if bytes == 0 {
		return ", and is not kept any more"
	}
	return ", of " + countOf(int64(bytes), "byte")
}

// triedTo says what the last attempt would have done.
func triedTo(l app.Letter) string {
	switch {
	case len(l.Fields) == 0:
		return ""
	case l.RecordID != "":
		return "to change record " + l.RecordID + " of " + l.Account + ", with"
	}
	return "to bring it to " + l.Account + " for the first time, with"
}

// columns are the fields that were tried, aligned: the account's name, ours,
// and the shape of the value.
func columns(d app.LetterDetails) []string {
	names := make([]string, len(d.Fields))
	width := 0
	for i, f := range d.Fields {
		names[i] = f.Name
		if f.From != "" && f.From != f.Name {
			names[i] += " (" + f.From + ")"
		}
		width = max(width, len(names[i]))
	}
	for i, f := range d.Fields {
		mark := "  "
		if f.Name == d.Field {
			mark = "> "
		}
		names[i] = fmt.Sprintf("%s%-*s  %s", mark, width, names[i], f.Shape)
	}
	return names
}

// did says what somebody did.
func did(a app.LetterAction) string {
	switch {
	case a.Do == "edit" && a.Field == "raw":
		return fmt.Sprintf("%s mended the part: %s, now %s", a.By, a.Was, a.Became)
	case a.Do == "edit":
		return fmt.Sprintf("%s edited %s: was %s, now %s", a.By, a.Field, a.Was, a.Became)
	case a.Do == "replay":
		return a.By + " had it tried again"
	}
	return a.By + " discarded it"
}

// next says what to do about a letter that is not settled.
func next(w io.Writer, d app.LetterDetails) {
	command := program() + " deadletters"
	fmt.Fprintln(w, "\nWhat to do")
	line := func(what, args string) { fmt.Fprintf(w, "  %-28s %s %s\n", what, command, args) }
	switch {
	case d.State == "replaying":
		fmt.Fprintln(w, "  Nothing: it is being tried again.")
		return
	case d.Entity.Kind == "contact":
		field := "FIELD"
		if i := slices.IndexFunc(d.Fields, func(f app.LetterField) bool { return f.Name == d.Field && app.Editable(f.From) }); i >= 0 {
			field = d.Fields[i].From
		}
		line("Mend the value, try again:", "edit "+d.ID+" --set "+field+"=… --replay")
	case d.Entity.ID == 0 && d.PartBytes > 0:
		line("Look at the part:", "show "+d.ID+" --raw > part.json")
		line("Mend it, try again:", "edit "+d.ID+" --raw part.json --replay")
	}
	line("Mend the cause, try again:", "replay "+d.ID)
	line("The same for all like it:", "replay --group "+d.Group)
	line("Or let it go:", "discard "+d.ID+" --reason '…'")
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
