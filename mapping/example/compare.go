package example

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"crmsync/mapping"
)

// A Translation is what a mapping makes of a contact in an account.
type Translation struct {
	// Reached says that the account gets the contact at all.
	Reached bool
	Fields  map[string]any
	Refused []mapping.Refusal
	// Messages are what would be logged, in the order of their time.
	Messages []string
}

// Compare reports where what a mapping does is not what the example expects, at
// the place of the expectation.
func (e *Example) Compare(m *mapping.Mapping, translate func(account string) Translation) mapping.Findings {
	r := reader{file: e.file}
	for _, a := range e.Accounts {
		if !slices.Contains(m.Accounts(), a.Name) {
			r.at(a.at, "the mapping has no account %q; %s", a.Name, hint(a.Name, m.Accounts(), "there are "+strings.Join(m.Accounts(), ", ")))
			continue
		}
		got := translate(a.Name)
		if !got.Reached {
			r.at(a.at, "%s does not get this contact", a.Name)
			continue
		}
		r.compare(e, a, got, namesOf(m.Lines(a.Name)))
	}
	return r.findings
}

func namesOf(lines []mapping.Line) []string {
	names := make([]string, len(lines))
	for i := range lines {
		names[i] = lines[i].To
	}
	return names
}

func (r *reader) compare(e *Example, a Account, got Translation, names []string) {
	r.messages(a, got.Messages)
	r.refusals(a, got.Refused)
	if len(got.Refused) > 0 {
		return
	}
	named := map[string]bool{}
	for _, f := range a.Fields {
		named[f.Name] = true
		value, written := got.Fields[f.Name]
		switch {
		case !slices.Contains(names, f.Name):
			r.at(f.at, "the mapping has no field %s in %s; %s", f.Name, a.Name, hint(f.Name, names, "what it has is on the left of its lines"))
		case !written:
			r.at(f.at, "%s %s is not written, want %s", a.Name, f.Name, wanted(f.at))
		case !same(f.at, value):
			r.at(f.at, "%s %s is %s, want %s", a.Name, f.Name, quoted(value), wanted(f.at))
		}
	}
	for _, f := range a.Absent {
		named[f.Name] = true
		if value, written := got.Fields[f.Name]; written {
			r.at(f.at, "%s %s is %s, want it left alone", a.Name, f.Name, quoted(value))
		}
	}
	if !e.Exact {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got.Fields)) {
		if !named[name] {
			r.at(a.at, "%s %s is %s, and the example does not name it (exact: true)", a.Name, name, quoted(got.Fields[name]))
		}
	}
}

// messages compares what is logged.
func (r *reader) messages(a Account, got []string) {
	for i, f := range a.Messages {
		switch {
		case i >= len(got):
			r.at(f.at, "%s logs %d messages, want %s too", a.Name, len(got), strconv.Quote(f.Name))
		case got[i] != f.Name:
			r.at(f.at, "%s logs the message %s, want %s", a.Name, strconv.Quote(got[i]), strconv.Quote(f.Name))
		}
	}
	if a.Messages != nil && len(got) > len(a.Messages) {
		r.at(a.at, "%s logs %d messages, and the example has %d", a.Name, len(got), len(a.Messages))
	}
}

// refusals compares which fields do not let the contact through.
func (r *reader) refusals(a Account, got []mapping.Refusal) {
	for _, refusal := range got {
		if !slices.ContainsFunc(a.Refused, func(f Field) bool { return f.Name == refusal.Line.To }) {
			r.at(a.at, "%s refuses the contact, nothing is written: %s (line %d of the mapping): %s", a.Name, refusal.Line.To, refusal.Line.Number, refusal.Reason)
		}
	}
	for _, f := range a.Refused {
		if !slices.ContainsFunc(got, func(refusal mapping.Refusal) bool { return refusal.Line.To == f.Name }) {
			r.at(f.at, "%s %s lets the contact through, want it refused", a.Name, f.Name)
		}
	}
}

// same reports whether a value is the one that a node expects.
func same(want *yaml.Node, got any) bool {
	if null(want) {
		return got == nil || got == ""
	}
	if want.Kind == yaml.SequenceNode {
		labels, is := got.([]string)
		if !is || len(labels) != len(want.Content) {
			return false
		}
		expected := make([]string, len(want.Content))
		for i, n := range want.Content {
			expected[i] = n.Value
		}
		labels = slices.Clone(labels)
		slices.Sort(labels)
		slices.Sort(expected)
		return slices.Equal(labels, expected)
	}
	switch v := got.(type) {
	case nil:
		return want.Value == ""
	case []string:
		return len(v) == 1 && v[0] == want.Value
	case time.Time:
		at, err := time.Parse(time.RFC3339Nano, want.Value)
		return err == nil && at.Equal(v)
	case float64:
		n, err := strconv.ParseFloat(want.Value, 64)
		return err == nil && n == v
	case string:
		return v == want.Value
	}
	return fmt.Sprint(got) == want.Value
}

// quoted is a value in a sentence.
func quoted(v any) string {
	switch v := v.(type) {
	case nil:
		return "cleared"
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case string:
		return strconv.Quote(v)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// wanted is the value that a node expects, in a sentence.
func wanted(n *yaml.Node) string {
	switch {
	case null(n):
		return "cleared"
	case n.Kind == yaml.SequenceNode:
		texts := make([]string, len(n.Content))
		for i := range n.Content {
			texts[i] = n.Content[i].Value
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case n.Tag == "!!str":
		return strconv.Quote(n.Value)
	}
	return n.Value
}
