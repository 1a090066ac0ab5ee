package zoho

import (
	"slices"
	"strings"
	"testing"

	"crmsync/connectors"
)

func TestTheOrganisationsNumber(t *testing.T) {
	for name, tt := range map[string]struct {
		answer reply
		names  []string
		class  connectors.Class // of the failure, Rejected being that it is not told
	}{
		"is told":                {say(200, m{"org": []m{{"id": "5725767000000411010", "zgid": "60012345678", "type": "production"}}}), []string{"60012345678"}, ""},
		"is the sandbox's":       {say(200, m{"org": []m{{"id": "5725767000000411010", "zgid": "60012345678", "type": "sandbox"}}}), []string{"60012345678-sandbox"}, ""},
		"has no zgid":            {say(200, m{"org": []m{{"id": "5725767000000411010"}}}), []string{"5725767000000411010"}, ""},
		"is none":                {say(200, m{"org": []m{{"zgid": "x y"}}}), nil, connectors.Rejected},
		"is nowhere":             {say(204, nil), nil, connectors.Rejected},
		"takes a scope":          {say(401, fails("OAUTH_SCOPE_MISMATCH", m{})), nil, connectors.Rejected},
		"takes a permission":     {say(403, fails("NO_PERMISSION", m{})), nil, connectors.Rejected},
		"is an unknown address":  {say(404, fails("INVALID_URL_PATTERN", m{})), nil, connectors.Rejected},
		"is not found, in words": {say(404, "404 page not found"), nil, connectors.Rejected},
		"is a bad request":       {say(400, "bad request"), nil, connectors.Rejected},
		"takes another token":    {say(401, fails("AUTHENTICATION_FAILURE", m{})), nil, connectors.Unauthorized},
		"takes some patience":    {say(429, fails("TOO_MANY_REQUESTS", m{})), nil, connectors.Throttled},
		"is lost":                {say(500, "<html>"), nil, connectors.Transient},
		"is not Zoho's":          {say(200, "<html>log in</html>"), nil, connectors.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.on("GET org", tt.answer)
			names, err := c.Identity(t.Context())
			e := connectors.AsError(err)
			switch {
			case tt.class == "" && (err != nil || !slices.Equal(names, tt.names)):
				t.Errorf("got %q, failure %v; want %q", names, err, tt.names)
			case tt.class != "" && (e == nil || e.Class != tt.class || (e.Code == connectors.NotOffered) != (tt.class == connectors.Rejected) || e.Reason == ""):
				t.Errorf("got %q, failure %+v; want class %s", names, e, tt.class)
			}
			if name == "takes a scope" && !strings.Contains(e.Reason, "ZohoCRM.org.READ") {
				t.Errorf("the reason is %q, want it to name the scope", e.Reason)
			}
		})
	}
}
