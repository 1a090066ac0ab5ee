package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

// whoHelp says how a contact is named on the command line.
const whoHelp = "WHO is a phone number in any way of writing (+39 333 123 4567, 0039…, a national one if\n" +
	"default_region is set), a WhatsApp or user id, an e-mail address, contact:42, or a\n" +
	"record of an account such as hubspot:151.\n\n" +
	"What is shown is the person's own data, text included. It goes to standard output only."

func contactsShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show WHO",
		Short: "Show a contact: its fields, its records in each account, and what is pending",
		Long:  "Show a contact: its fields, its records in each account, and what is pending.\n\n" + whoHelp,
		Args:  cobra.ExactArgs(1),
	}
	withOpened(c, app.OpenBook, func(ctx context.Context, book *app.Book, asJSON bool, args []string) error {
		shown, err := book.Show(ctx, args[0])
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(c.OutOrStdout(), shown)
		}
		showContact(c.OutOrStdout(), shown)
		return nil
	})
	return c
}

func showContact(w io.Writer, s *app.ContactShown) {
	if writeHead(w, s.ContactHead); s.Erased == nil {
		writeKnown(w, s)
	}
	writeStanding(w, s.Accounts)
	writeDebts(w, s.Pending)
}

// writeKnown writes what is known of a person who was not erased.
func writeKnown(w io.Writer, s *app.ContactShown) {
	m := s.Messages
	headRow(w, "Messages", fmt.Sprintf("%d received, %d sent", m.Received, m.Sent)+lastOf(m.Last))
	fmt.Fprintln(w, "\nFields")
	names := app.FieldOrder(s.Fields)
	width := widestOf(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %-*s  %s\n", width, name, fieldText(s.Fields[name]))
	}
}

func writeHead(w io.Writer, h app.ContactHead) {
	headRow(w, "Contact", strings.TrimSpace(fmt.Sprintf("contact:%d  %s", h.ID, oneLine(h.Name))))
	for i, k := range h.KnownAs {
		text := k.Value
		if k.Kind == "phone" {
			text = "+" + text
		}
		if k.Until != nil {
			text += " until " + momentText(*k.Until)
		}
		headRow(w, map[bool]string{true: "Known as"}[i == 0], text)
	}
	if e := h.Erased; e != nil {
		headRow(w, "Erased", fmt.Sprintf("%s, as record %s was deleted in %s; nothing else is kept of the person", momentText(e.At), e.Record, e.Account))
		return
	}
	headRow(w, "Since", momentText(h.CreatedAt))
	headRow(w, "Changed", momentText(h.UpdatedAt)+fmt.Sprintf(", version %d", h.Version))
}

// writeStanding shows how the accounts stand to a contact.
func writeStanding(w io.Writer, accounts []app.ContactAccount) {
	fmt.Fprintln(w, "\nAccounts")
	width := 0
	for _, a := range accounts {
		width = max(width, len(a.Account))
	}
	for _, a := range accounts {
		name := a.Account
		line := func(text string) {
			if text != "" {
				fmt.Fprintf(w, "  %-*s  %s\n", width, name, text)
				name = ""
			}
		}
		line(stands(a))
		line(a.Reason)
		if a.WrittenAt != nil {
			line("last written " + momentText(*a.WrittenAt) + ", under mapping " + a.MappingRevision)
		}
		if a.SeenAt != nil {
			line("last news from it " + momentText(*a.SeenAt))
		}
		line(settledCounts(a))
	}
}

func stands(a app.ContactAccount) string {
	if a.State == "unknown" {
		return "has not heard of the contact"
	}
	text := a.State
	if a.RecordID == "" {
		text = "no record, " + text
	} else {
		text = "record " + a.RecordID + ", " + text
	}
	if a.Since != nil {
		text += " since " + momentText(*a.Since)
	}
	return text
}

// settledCounts are the messages, files and tasks of a contact by their state in an
// account.
func settledCounts(a app.ContactAccount) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(a.Messages)) {
		parts = append(parts, countOf(a.Messages[state], "message")+" "+string(state))
	}
	for _, state := range slices.Sorted(maps.Keys(a.Files)) {
		parts = append(parts, countOf(a.Files[state], "file")+" "+string(state))
	}
	for _, state := range slices.Sorted(maps.Keys(a.Tasks)) {
		parts = append(parts, countOf(a.Tasks[state], "task")+" "+string(state))
	}
	return strings.Join(parts, ", ")
}

func writeDebts(w io.Writer, debts []app.ContactDebt) {
	if len(debts) == 0 {
		fmt.Fprintln(w, "\nNothing is pending.")
		return
	}
	fmt.Fprintln(w, "\nPending")
	width := 0
	for _, d := range debts {
		width = max(width, len(d.Account)+2+len(d.Entity))
	}
	for _, d := range debts {
		what := d.Account + "  " + d.Entity
		text := d.State
		if d.Since != nil {
			text += " since " + momentText(*d.Since)
		} else if d.MappingRevision != "" {
			text += ", as the mapping was edited since it was written under " + d.MappingRevision
		}
		if d.Attempts > 0 {
			text += ", failed " + timesFailed(d.Attempts)
			if len(d.History) > 0 {
				text += " (" + strings.Join(d.History, ", ") + ")"
			}
		}
		if d.NextAttempt != nil && time.Until(*d.NextAttempt) > 0 {
			text += ", next try in " + brief(time.Until(*d.NextAttempt)+time.Second)
		}
		if d.DeadLetter != "" {
			text += ", dead letter " + d.DeadLetter
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, what, text)
		if d.Reason != "" {
			fmt.Fprintf(w, "  %-*s  %s\n", width, "", d.Reason)
		}
	}
}

func timesFailed(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// headRow prints a name and a value, aligned; nothing if there is none.
func headRow(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%-9s %s\n", name, value)
	}
}

func lastOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return ", the last " + momentText(*t)
}

func widestOf(names []string) int {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	return width
}

// fieldText is a value for people.
func fieldText(value any) string {
	switch v := value.(type) {
	case nil:
		return "(empty)"
	case time.Time:
		return momentText(v)
	case []string:
		if len(v) == 0 {
			return "(none)"
		}
		return inOneLine(strings.Join(v, ", "))
	case string:
		return inOneLine(v)
	}
	return fmt.Sprint(value)
}

// inOneLine is a text in one line of bearable length, without characters by which
// somebody could take charge of a terminal.
func inOneLine(text string) string {
	const most = 120
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return cmp.Or(text, "(empty)")
}

// momentText is a time, and how long ago that was.
func momentText(t time.Time) string { return clock(t) + " (" + agoText(time.Since(t)) + ")" }

func momentOr(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return momentText(*t)
}

func agoText(d time.Duration) string {
	in := d < 0
	d = d.Abs()
	text := "just now"
	switch {
	case d < time.Second:
		return text
	case d < time.Minute:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		text = fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	if in {
		return "in " + text
	}
	return text + " ago"
}
