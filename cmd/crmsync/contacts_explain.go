package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func contactsExplain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain WHO",
		Short: "Say where each value of a contact comes from, and what each account was told",
		Long: "Say where each value of a contact comes from: which fact from which account set it, when,\n" +
			"and by which line of the mapping; what each account was last told of it or last\n" +
			"showed; and what is pending. Of long values accounts are known by a digest only.\n\n" + whoHelp,
		Args: cobra.ExactArgs(1),
	}
	withOpened(c, app.OpenBook, func(ctx context.Context, book *app.Book, asJSON bool, args []string) error {
		explained, err := book.Explain(ctx, args[0])
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), explained)
		}
		explainContact(c.OutOrStdout(), explained)
		return nil
	})
	return c
}

func explainContact(w io.Writer, e *app.ContactExplained) {
	if writeHead(w, e.ContactHead); e.Erased == nil {
		writeFields(w, e)
	}
	writeStanding(w, e.Accounts)
	writeDebts(w, e.Pending)
}

// writeFields writes where each field comes from.
func writeFields(w io.Writer, e *app.ContactExplained) {
	headRow(w, "Mapping", filepath.Base(e.MappingFile)+", revision "+e.MappingRevision)
	width := len("set by")
	for _, f := range e.Fields {
		for _, a := range f.Accounts {
			width = max(width, len(a.Account))
		}
	}
	for _, f := range e.Fields {
		fmt.Fprintf(w, "\n%s  %s\n", f.Field, fieldText(f.Value))
		line := func(name, text string) { fmt.Fprintf(w, "  %-*s  %s\n", width, name, text) }
		if f.SetBy == nil {
			line("set by", "follows "+f.Follows)
		} else {
			writeProvenance(line, e, *f.SetBy)
		}
		if said := f.WhatsApp; said != nil {
			line("beside", fmt.Sprintf("WhatsApp says %q since %s; it is taken when it says something else", said.Value, momentText(said.At)))
		}
		to := 0
		for _, a := range f.Accounts {
			to = max(to, len(fieldAt(a)))
		}
		for _, a := range f.Accounts {
			line(a.Account, fmt.Sprintf("%-*s  %s", to, fieldAt(a), standing(e, f, a)))
		}
	}
}

// sources are the kinds of facts in words.
var sources = map[string]string{
	"message": "with a message", "status": "with a status of a message", "preference": "as the person's choice",
	"identity": "as a change of number", "person": "as news of the person", "observed": "as its record showed it",
}

func writeProvenance(line func(name, text string), e *app.ContactExplained, p app.Provenance) {
	source := sources[p.Kind]
	if source == "" && p.Kind == "" {
		source = "by a fact that is not kept any more"
	}
	text := strings.TrimPrefix(p.Account+", "+cmp.Or(source, p.Kind), ", ")
	if p.Kind == "edit" {
		text = "somebody who mended it here (" + p.Fact + ")"
	}
	if p.Rule != "" {
		text = fmt.Sprintf("rule %s, %s:%d, after what came from %s", p.Rule, filepath.Base(e.MappingFile), p.MappingLine, text)
	}
	text += ", " + momentText(p.At)
	if p.ReceivedAt != nil && p.ReceivedAt.Sub(p.At).Abs() >= 1e9 {
		text += ", received " + clock(*p.ReceivedAt)
	}
	line("set by", text)
	if p.Fact != "" && p.Kind != "edit" {
		line("fact", p.Fact)
	}
	if p.MappingRevision != "" {
		force := "in force"
		if p.MappingRevision != e.MappingRevision {
			force = "not in force any more"
		}
		line("mapping", fmt.Sprintf("%s:%d, revision %s, %s", filepath.Base(e.MappingFile), p.MappingLine, p.MappingRevision, force))
	}
}

// fieldAt is an account's field with its line of the mapping.
func fieldAt(a app.FieldAccount) string { return fmt.Sprintf("%s (line %d)", a.To, a.MappingLine) }

// standing says how a field of an account stands to the contact's.
func standing(e *app.ContactExplained, f app.FieldExplained, a app.FieldAccount) string {
	shows := fmt.Sprintf("%q", inOneLine(a.Value))
	switch {
	case a.Value == "":
		shows = "nothing"
	case a.Digest:
		shows = "another text, known by its digest only"
	}
	switch a.State {
	case app.FieldAgrees:
		text := "the same"
		if a.Digest {
			text += ", by the digest kept of it"
		}
		if f.SetBy != nil && f.SetBy.Account == a.Account {
			text += "; it comes from there"
		}
		return text
	case app.FieldTheirs:
		return "left to the people there"
	case app.FieldUnfit:
		return shows + ", which is not of the field's type: it stays there and is not carried on"
	case app.FieldNeverTold:
		return "not told yet" + becoming(e, a.Account)
	}
	return "last " + shows + becoming(e, a.Account)
}

// becoming says what becomes of a field that an account does not show yet.
func becoming(e *app.ContactExplained, account string) string {
	for _, at := range e.Accounts {
		if at.Account != account {
			continue
		}
		switch at.State {
		case "pending":
			return "; on its way"
		case "dead":
			return "; could not be delivered, see below"
		case "skipped":
			return "; it is not delivered there"
		}
	}
	return ""
}
