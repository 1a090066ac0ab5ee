package app

import (
	"context"
	"slices"
	"testing"

	"crmsync/connectors"
	"crmsync/mapping"
)

type users []connectors.User

func (u users) ListUsers(context.Context) ([]connectors.User, error) {
	if u == nil {
		return nil, &connectors.Error{Class: connectors.Unauthorized}
	}
	return u, nil
}

func TestPeopleOfRulesAreUsersOfTheAccount(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m.yaml", []byte(`version: 1
tables: {ids: {ben@example.com: "17", carla@example.com: "18", "4711": "1", Anna@Example.com: "1"}}
accounts:
  crm: {contact: {phone: phone, owner_id: owner}}

  ids: {contact: {phone: phone, owner_id: {field: owner, write: "lookup('ids', value)", when_empty: keep}}}
  other: {contact: {phone: phone}}
teams:
  support:
    - anna@example.com
    - ben@example.com
rules:
  - name: r
    do:
      - assign: carla@example.com
      - task: {title: x, account: crm, to: {round_robin: ["4711", Anna@Example.com]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	all := users{{ID: "1", Email: "anna@example.com", Active: true}, {ID: "17", Email: "b@example.com", Active: true}, {ID: "18", Email: "carla@example.com"}}
	for account, want := range map[string][]string{
		"crm": {
			"line 11 of the mapping names ben@example.com, who is no user of crm: contacts given to them are refused",
			"line 15 of the mapping names carla@example.com, who is deactivated in crm: contacts given to them are refused",
			"line 16 of the mapping names 4711, who is no user of crm: contacts given to them are refused",
		},
		"ids": {
			"line 10 of the mapping names anna@example.com, for whom the mapping has nothing to write to ids: contacts given to them do not get them there",
			"line 15 of the mapping names carla@example.com (18 there), who is deactivated in ids: contacts given to them are refused",
		},
		"other": nil,
	} {
		var got []string
		for _, f := range checkOwners(t.Context(), all, m, account) {
			if f.Fatal || f.Field != "owner_id" {
				t.Errorf("%s: %+v", account, f)
			}
			got = append(got, f.Problem)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", account, got, want)
		}
	}
	if got := checkOwners(t.Context(), users(nil), m, "crm"); len(got) != 1 || got[0].Fatal {
		t.Errorf("of an account that does not list its users: %+v", got)
	}
}
