package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deliver"
)

// A FieldFinding is what does not fit between a line of a mapping and the account's
// field.
type FieldFinding struct {
	mapping.Finding
	Account string `json:"account"`
	// Field is the account's, empty for what concerns all of the account.
	Field string `json:"field,omitempty"`
	// Fatal findings keep the account from being written to; Fixable ones --fix
	// mends.
	Fatal   bool `json:"fatal"`
	Fixable bool `json:"fixable"`
}

func (f FieldFinding) String() string {
	where, hint := f.Account, ""
	if f.Field != "" {
		where += ", " + f.Field
	}
	if f.Fixable {
		hint = " (--fix creates it)"
	}
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s%s", where, f.Problem, hint)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s%s", f.File, f.Line, f.Column, where, f.Problem, hint)
}

// CheckFields compares a mapping with the fields that the accounts have. With fix it
// creates those that are missing.
func CheckFields(ctx context.Context, c *config.Config, m *mapping.Mapping, fix bool) (found []FieldFinding) {
	a := aside(c, m)
	defer a.close(ctx)
	if hasStore(c) {
		_, _ = a.database(ctx) // refresh tokens may be in it
	}
	for _, account := range c.Accounts {
		if account.Kind == config.WhatsApp {
			continue
		}
		connector, _ := a.connector(account, func() bool { return true })
		all, err := checkFields(ctx, connector, m, account.Name, fix)
		if err != nil {
			all = []FieldFinding{{Account: account.Name, Fatal: true, Finding: mapping.Finding{Problem: fmt.Sprintf("%s cannot be asked: %s", host(account), connectors.AsError(err))}}}
		}
		for i := range all {
			all[i].File = c.Mapping
		}
		found = append(found, all...)
	}
	return found
}

// checkFields compares the lines of one account.
func checkFields(ctx context.Context, vendor connectors.Connector, m *mapping.Mapping, account string, fix bool) ([]FieldFinding, error) {
	setup, err := deliver.SetUp(ctx, vendor, m, account, fix)
	if err != nil {
		return nil, err
	}
	has, err := vendor.Describe(ctx)
	if err != nil {
		return nil, err
	}
	lines := m.Lines(account)
	var found []FieldFinding
	add := func(f connectors.Finding) {
		one := FieldFinding{Account: account, Field: f.Field, Fatal: f.Fatal, Fixable: f.Fixable, Finding: mapping.Finding{Problem: f.Problem}}
		i := slices.IndexFunc(lines, func(l mapping.Line) bool { return l.To == f.Field })
		if i >= 0 {
			one.Line, one.Column = lines[i].Number, lines[i].Column
			if near := nearestField(f.Field, has); near != "" && !slices.ContainsFunc(has, func(h connectors.FieldInfo) bool { return h.Name == f.Field }) {
				one.Problem += "; did you mean " + near + "?"
			}
		}
		found = append(found, one)
	}
	for _, f := range setup {
		add(f)
	}
	for _, l := range lines {
		for _, f := range unfitting(l, has) {
			add(f)
		}
	}
	slices.SortStableFunc(found, func(x, y FieldFinding) int { return x.Line - y.Line })
	return found, nil
}

// unfitting is what of a line's field no connector looks at.
func unfitting(l mapping.Line, has []connectors.FieldInfo) (found []connectors.Finding) {
	i := slices.IndexFunc(has, func(h connectors.FieldInfo) bool { return h.Name == l.To })
	switch {
	case i < 0 && !l.Written:
		return []connectors.Finding{{Field: l.To, Fatal: true, Problem: "the account has no such field to read"}}
	case i < 0 || !l.Written:
		return nil
	}
	field := has[i]
	if most := l.MaxLength(); field.MaxLength > 0 && most > field.MaxLength {
		found = append(found, connectors.Finding{Field: l.To, Problem: fmt.Sprintf("max_length is %d and the account's field holds %d characters: longer texts are cut or refused there", most, field.MaxLength)})
	}
	if most := longest[l.Theirs.Type]; l.MaxLength() == 0 && field.MaxLength > 0 && field.MaxLength < most {
		found = append(found, connectors.Finding{Field: l.To, Problem: fmt.Sprintf("the account's field holds %d characters and the value may have %d; write max_length: %d", field.MaxLength, most, field.MaxLength)})
	}
	return found
}

// longest is how many characters values of a type may have.
var longest = map[mapping.Type]int{mapping.Long: 1000}

// nearestField is the account's field with a name like one that it has not.
func nearestField(name string, has []connectors.FieldInfo) (near string) {
	best := 3
	for _, h := range has {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(h.Name)); d < best {
			near, best = h.Name, d
		}
	}
	return near
}
