package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/mapping"
)

// checkOwners looks for the people whom rules name among an account's users, if the
// account is told who owns contacts. A contact whose owner the account does not know is
// refused there, as a whole.
func checkOwners(ctx context.Context, vendor interface {
	ListUsers(ctx context.Context) ([]connectors.User, error)
}, m *mapping.Mapping, account string,
) (findings []connectors.Finding) {
	lines := slices.DeleteFunc(slices.Clone(m.Lines(account)), func(l mapping.Line) bool { return !l.Written || l.Info.Type != mapping.Owner })
	if len(lines) == 0 || len(m.Named()) == 0 {
		return nil
	}
	users, err := vendor.ListUsers(ctx)
	if err != nil {
		return []connectors.Finding{{Object: "contacts", Field: lines[0].To, Problem: fmt.Sprintf(
			"whether %s knows the people of the mapping's rules cannot be said: its users cannot be listed: %s", account, connectors.AsError(err))}}
	}
	for _, use := range m.Named() {
		written, _ := m.Translate(account, map[string]any{"owner": use.Person})
		for _, l := range lines {
			person, _ := written[l.To].(string)
			problem := ownerProblem(users, account, person)
			if problem == "" {
				continue
			}
			who := use.Person
			if person != "" && person != who {
				who += " (" + person + " there)"
			}
			findings = append(findings, connectors.Finding{Object: "contacts", Field: l.To, Problem: fmt.Sprintf(
				"line %d of the mapping names %s, %s", use.Line, who, problem)})
		}
	}
	return findings
}

// ownerProblem is why somebody cannot own contacts, empty if they can.
func ownerProblem(users []connectors.User, account, person string) string {
	is := func(u connectors.User) bool { return u.ID == person || strings.EqualFold(u.Email, person) }
	switch {
	case person == "":
		return "for whom the mapping has nothing to write to " + account + ": contacts given to them do not get them there"
	case !slices.ContainsFunc(users, is):
		return "who is no user of " + account + ": contacts given to them are refused"
	case !slices.ContainsFunc(users, func(u connectors.User) bool { return u.Active && is(u) }):
		return "who is deactivated in " + account + ": contacts given to them are refused"
	}
	return ""
}
