package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"crmsync/cmd/internal/app"
)

// mostTried is how many contacts and facts are shown as text.
const mostTried = 20

func showRehearsed(w io.Writer, t *app.Rehearsed) {
	headRow(w, "Mapping", filepath.Base(t.MappingFile)+", revision "+t.MappingRevision)
	if t.Account != "" {
		headRow(w, "Webhook", fmt.Sprintf("of WhatsApp account %s: %s, %s", t.Account, countOf(int64(len(t.Facts)), "fact"), countOf(int64(len(t.Contacts)), "contact")))
	}
	for _, note := range t.Notes {
		headRow(w, "Note", note)
	}
	if len(t.Facts) > 0 {
		fmt.Fprintln(w, "\nFacts")
		rows := make([][]any, 0, mostTried)
		facts := slices.Clone(t.Facts)
		if len(facts) > mostTried { // what is odd is not to be missed
			slices.SortStableFunc(facts, func(x, y app.RehearsedFact) int { return oddFirst(x) - oddFirst(y) })
		}
		for _, f := range facts[:min(len(facts), mostTried)] {
			at := "-"
			if f.At != nil {
				at = clock(*f.At)
			}
			rows = append(rows, []any{oneLine(strings.TrimSpace(f.Kind + " " + wordUnless(f.Type, f.Kind))), at, factText(f), inOneLine(f.Outcome)})
		}
		indented(w, []any{"Fact", "At", "Says", "Outcome"}, rows)
		furtherOnes(w, len(t.Facts), "fact")
	}
	for i := range t.Contacts[:min(len(t.Contacts), mostTried)] {
		showRehearsedContact(w, &t.Contacts[i])
	}
	furtherOnes(w, len(t.Contacts), "contact")
	fmt.Fprintln(w, "\nNothing was written, and nobody was called.")
}

func oddFirst(f app.RehearsedFact) int {
	if f.Outcome == "applied" {
		return 1
	}
	return 0
}

func furtherOnes(w io.Writer, n int, what string) {
	if n > mostTried {
		fmt.Fprintf(w, "  and %s more; --output json shows all\n", countOf(int64(n-mostTried), what))
	}
}

func wordUnless(word, other string) string {
	if word == other {
		return ""
	}
	return word
}

// factText is what a fact says, in one line.
func factText(f app.RehearsedFact) string {
	var parts []string
	if p := f.Person; p != nil {
		who := oneLine(cmp.Or(p.ProfileName, p.FullName, p.FirstName, p.Username, "-"))
		number := p.UserID
		if p.WAID != "" {
			number = "+" + p.WAID
		}
		parts = append(parts, strings.TrimPrefix(who+" "+oneLine(number), "- "))
	}
	switch {
	case f.Message != nil && f.Message.Text != "":
		parts = append(parts, fmt.Sprintf("%s %q", f.Message.Direction, oneLine(f.Message.Text)))
	case f.Message != nil:
		parts = append(parts, string(f.Message.Direction))
	case f.Status != nil:
		parts = append(parts, oneLine(f.Status.Status))
	case f.Preference != nil:
		parts = append(parts, oneLine(f.Preference.Value))
	case f.Identity != nil:
		parts = append(parts, "now "+oneLine(cmp.Or(f.Identity.New.WAID, f.Identity.New.UserID)))
	}
	return cmp.Or(strings.Join(parts, ": "), "-")
}

func showRehearsedContact(w io.Writer, c *app.RehearsedContact) {
	title := "A new contact"
	if c.ID != 0 {
		title = fmt.Sprintf("contact:%d", c.ID)
	}
	fmt.Fprintf(w, "\n%s  %s\n", title, inOneLine(c.Name))
	names := app.FieldOrder(c.Fields)
	width := widestOf(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %-*s  %s\n", width, name, fieldText(c.Fields[name]))
	}
	filled := false
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		filled = showRehearsedAccount(w, name, c.Accounts[name]) || filled
	}
	if filled {
		fmt.Fprintln(w, "\n  * if the account has a record of the person already, this is written only where that is empty")
	}
	showRules(w, c.Rules)
	if len(c.Messages) == 0 {
		return
	}
	fmt.Fprintln(w, "\nMessages, as they would be logged")
	rows := make([][]any, 0, len(c.Messages))
	for _, m := range c.Messages[:min(len(c.Messages), mostTried)] {
		for _, text := range textsOfMessage(m) {
			rows = append(rows, []any{m.Direction, clock(m.At), cmp.Or(m.Status, "-"), text.accounts, oneLine(text.text)})
		}
	}
	indented(w, []any{"", "At", "Status", "In", "Text"}, rows)
	furtherOnes(w, len(c.Messages), "message")
}

func showRules(w io.Writer, rules []app.RehearsedRule) {
	if len(rules) == 0 {
		return
	}
	fmt.Fprintln(w, "\nRules")
	var rows [][]any
	for _, r := range rules[:min(len(rules), 3*mostTried)] {
		name := []any{inOneLine(r.Rule), r.Line, r.Event + " " + clock(r.At)}
		if !r.Fired {
			rows = append(rows, append(name, "does not fire: "+inOneLine(r.Why)))
			continue
		}
		if len(r.Actions) == 0 {
			rows = append(rows, append(name, "fires, and has nothing to do"))
		}
		for i, a := range r.Actions {
			if i > 0 {
				name = []any{"", "", ""}
			}
			rows = append(rows, append(slices.Clone(name), actionText(a)))
		}
	}
	indented(w, []any{"Rule", "Line", "Event", "What it would do"}, rows)
}

// actionText is what a rule would do, in one line.
func actionText(a app.RehearsedAction) string {
	parts := []string{strings.ReplaceAll(a.Kind, "_", " ")}
	if a.Kind == "set" {
		parts = append(parts, a.Field, "to")
	}
	for _, part := range []string{a.Value, a.Title, a.Template, a.Text} {
		if part != "" {
			parts = append(parts, oneLine(part))
		}
	}
	if a.To != "" {
		parts = append(parts, "to "+oneLine(a.To))
	}
	if a.DueSeconds > 0 {
		parts = append(parts, "due in "+brief(time.Duration(a.DueSeconds*float64(time.Second))))
	}
	text := "fires: " + strings.Join(parts, " ")
	if a.Problem != "" {
		text += ", which cannot be carried out: " + inOneLine(a.Problem)
	}
	return text
}

// messageText is a text and the accounts in which a message reads so.
type messageText struct{ text, accounts string }

func textsOfMessage(m app.RehearsedMessage) (texts []messageText) {
	for _, account := range slices.Sorted(maps.Keys(m.Accounts)) {
		text := m.Accounts[account].Text
		if why := m.Accounts[account].Refused; why != "" {
			text = "it is refused: " + why
		}
		i := slices.IndexFunc(texts, func(t messageText) bool { return t.text == text })
		if i < 0 {
			texts = append(texts, messageText{text, account})
			continue
		}
		texts[i].accounts += ", " + account
	}
	return texts
}

// showRehearsedAccount reports whether some of the fields are only filled in.
func showRehearsedAccount(w io.Writer, name string, a app.RehearsedAccount) (filled bool) {
	written := 0
	for _, f := range a.Fields {
		if f.Written {
			written++
		}
		filled = filled || f.OnlyFilledIn
	}
	switch {
	case a.State == app.AccountNone:
		fmt.Fprintf(w, "\n%s  nothing is written: %s\n", name, a.Reason)
		return false
	case len(a.Refused) > 0:
		fmt.Fprintf(w, "\n%s  nothing is written, the mapping refuses the contact\n", name)
		for _, r := range a.Refused {
			fmt.Fprintf(w, "  %s (line %d): %s\n", r.Field, r.Line, r.Reason)
		}
		return false
	case a.State == app.AccountKnown:
		fmt.Fprintf(w, "\n%s  record %s: %d of %s would be written\n", name, a.RecordID, written, countOf(int64(len(a.Fields)), "field"))
	default:
		fmt.Fprintf(w, "\n%s  a new record: %s\n", name, countOf(int64(written), "field"))
	}
	rows := make([][]any, 0, len(a.Fields))
	header := []any{"Field", "Value", "Type", "From", "Line"}
	if a.State == app.AccountKnown {
		header = append(header, "It was told")
	}
	for _, field := range slices.SortedFunc(maps.Keys(a.Fields), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.Fields[x].Line, a.Fields[y].Line), cmp.Compare(x, y))
	}) {
		f := a.Fields[field]
		if f.Value == nil && !f.Written && f.Told == nil {
			continue // there is nothing to empty
		}
		if f.OnlyFilledIn {
			field += " *"
		}
		row := []any{field, apiText(f.Value), f.Type, cmp.Or(f.From, "-"), f.Line}
		if a.State == app.AccountKnown {
			row = append(row, toldText(f))
		}
		rows = append(rows, row)
	}
	indented(w, header, rows)
	return filled
}

// apiText is a value as it is written, in one line.
func apiText(value any) string {
	switch v := value.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case nil:
		return "(cleared)"
	case string:
		return oneLine(v)
	}
	return oneLine(fieldText(value))
}

// toldText is what an account has been told of a field.
func toldText(f app.RehearsedField) string {
	switch {
	case f.Left:
		return "it is left to the people there"
	case !f.Written:
		return "="
	case f.Told == nil:
		return "nothing"
	case *f.Told == "":
		return "that it is empty"
	case strings.HasPrefix(*f.Told, "sha256:"):
		return "another long text"
	}
	return oneLine(*f.Told)
}

// indented writes a table two columns to the right, indentedNumbers one of which
// all but the first column are numbers.
func indented(w io.Writer, header []any, rows [][]any) { indent(w, header, rows, writeTable) }

func indentedNumbers(w io.Writer, header []any, rows [][]any) { indent(w, header, rows, writeNumbers) }

func indent(w io.Writer, header []any, rows [][]any, write func(w io.Writer, header []any, rows [][]any)) {
	var b strings.Builder
	write(&b, header, rows)
	for line := range strings.Lines(b.String()) {
		fmt.Fprint(w, "  "+line)
	}
}
