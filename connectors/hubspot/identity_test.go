package hubspot

import (
	"slices"
	"testing"

	"crmsync/connectors"
)

const (
	accountDetails = "GET /account-info/2026-09/details"
	olderDetails   = "GET /account-info/v3/details"
)

func TestTheAccountsNumber(t *testing.T) {
	for name, tt := range map[string]struct {
		newer, older reply
		names        []string
		class        connectors.Class // of the failure, Rejected being that it is not told
	}{
		"is told":                {say(200, m{"portalId": 62515, "accountType": "STANDARD"}), nil, []string{"62515"}, ""},
		"is told at the older":   {say(404, "no such page"), say(200, m{"portalId": 62515}), []string{"62515"}, ""},
		"is nowhere":             {say(404, "no such page"), say(404, "no such page"), nil, connectors.Rejected},
		"is none":                {say(200, m{"portalId": "x y"}), nil, nil, connectors.Rejected},
		"is missing":             {say(200, m{}), nil, nil, connectors.Rejected},
		"is not in a list":       {say(200, []m{}), nil, nil, connectors.Rejected},
		"takes a scope":          {say(403, m{"category": "MISSING_SCOPES"}), nil, nil, connectors.Rejected},
		"is forbidden, in words": {say(403, "forbidden"), nil, nil, connectors.Rejected},
		"is a bad request":       {say(400, "bad request"), nil, nil, connectors.Rejected},
		"takes another method":   {say(405, m{"message": "no"}), nil, nil, connectors.Rejected},
		"takes another token":    {say(401, m{"category": "INVALID_AUTHENTICATION"}), nil, nil, connectors.Unauthorized},
		"takes some patience":    {say(429, m{"policyName": "SECONDLY"}), nil, nil, connectors.Throttled},
		"is lost":                {say(503, "<html>"), nil, nil, connectors.Transient},
		"is not HubSpot's":       {say(200, "<html>log in</html>"), nil, nil, connectors.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(accountDetails, tt.newer)
			if tt.older != nil {
				p.on(olderDetails, tt.older)
			}
			names, err := c.Identity(t.Context())
			e := connectors.AsError(err)
			switch {
			case tt.class == "" && (err != nil || !slices.Equal(names, tt.names)):
				t.Errorf("got %q, failure %v; want %q", names, err, tt.names)
			case tt.class != "" && (e == nil || e.Class != tt.class || (e.Code == connectors.NotOffered) != (tt.class == connectors.Rejected) || e.Reason == ""):
				t.Errorf("got %q, failure %+v; want class %s", names, e, tt.class)
			}
		})
	}
}

// Account information comes and goes by itself: it does not decide in which
// version contacts are spoken of.
func TestTheAccountsNumberSaysNothingAboutTheVersion(t *testing.T) {
	t.Run("only the account has the newer one", func(t *testing.T) {
		p, c := newPortal(t)
		p.on(accountDetails, say(200, m{"portalId": 62515}))
		p.on(find, say(404, "<html>not found</html>"))
		p.on("POST objects/2026-03/contacts/search", nobody)
		p.on("POST objects/2026-03/contacts/batch/upsert", accept)
		if _, err := c.Identity(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001")}), "+9000")
	})
	t.Run("only the account lacks it", func(t *testing.T) {
		p, c := newPortal(t)
		p.on(accountDetails, say(404, "{}"))
		p.on(olderDetails, say(200, m{"portalId": 62515}))
		p.on(find, nobody)
		p.on(upsert, accept)
		if _, err := c.Identity(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001")}), "+9000")
	})
}
