package hubspotsim_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestOnlyAKnownTokenIsLetIn(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	for name, header := range map[string]string{
		"none": "", "unknown": "Bearer pat-na1-other", "empty": "Bearer ", "bare": key, "another scheme": "Basic " + key,
	} {
		for _, path := range []string{contacts, contacts + "?hapikey=" + key, "/crm/owners/2026-09", "/crm/properties/2026-03/contacts"} {
			got, err := a.send(http.MethodGet, path, http.NoBody, http.Header{"Authorization": {header}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got.exactly(t, 401, `{"status":"error","message":"Authentication credentials not found. This API supports OAuth 2.0 authentication `+
				`and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview","correlationId":"…",`+
				`"category":"INVALID_AUTHENTICATION"}`)
		}
	}
	a.get(contacts).says(t, 200)
}

func TestEveryCallNeedsItsScope(t *testing.T) {
	t.Parallel()
	const (
		read, write             = "crm.objects.contacts.read", "crm.objects.contacts.write"
		schemaRead, schemaWrite = "crm.schemas.contacts.read", "crm.schemas.contacts.write"
		owners                  = "crm.objects.owners.read"
	)
	all := []string{read, write, schemaRead, schemaWrite, owners}
	tokens := map[string][]string{}
	for _, one := range all {
		tokens["only "+one] = []string{one}
		tokens["all but "+one] = slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
	}
	a := open(t, hubspotsim.Options{Tokens: tokens})
	const inputs = `{"inputs":[{"id":"999"}]}`
	for call, needs := range map[string]string{
		"GET " + contacts:                                 read,
		"GET " + contacts + "/999":                        read,
		"GET " + communications:                           read,
		"POST " + contacts + "/search":                    read,
		"POST " + contacts + "/batch/read":                read,
		"POST " + contacts:                                write,
		"PATCH " + contacts + "/999":                      write,
		"DELETE " + contacts + "/999":                     write,
		"POST " + contacts + "/batch/upsert":              write,
		"POST " + communications + "/batch/create":        write,
		"POST " + contacts + "/merge":                     write,
		"POST " + contacts + "/gdpr-delete":               write,
		"GET /crm/v3/properties/contacts":                 schemaRead,
		"POST /crm/v3/properties/contacts/batch/read":     schemaRead,
		"POST /crm/v3/properties/contacts":                schemaWrite,
		"POST /crm/v3/properties/communications/groups":   schemaWrite,
		"GET /crm/v3/owners":                              owners,
		"POST /crm/v4/associations/0-1/0-18/batch/read":   read,
		"POST /crm/v4/associations/0-18/0-1/batch/create": write,
	} {
		method, path, _ := strings.Cut(call, " ")
		a.token = "all but " + needs
		a.call(method, path, inputs).exactly(t, 403, `{"status":"error","message":"This app hasn't been granted all required scopes to make this call. `+
			`Read more about required scopes here: https://developers.hubspot.com/scopes.","correlationId":"…","category":"MISSING_SCOPES",`+
			`"errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["`+needs+`"]}}],`+
			`"links":{"scopes":"https://developers.hubspot.com/scopes"}}`)
		a.token = "only " + needs
		if got := a.call(method, path, inputs); got.status == 403 || got.status == 401 {
			t.Errorf("%s with %s: got %d %s", call, needs, got.status, got.body)
		}
	}
	same(t, "contacts, one with the scope", a.Stats().Contacts, 1)
}

func TestATokenIsRefreshedAndExpires(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "refresh-1", PortalID: 7})
	got := a.post("/oauth/2026-09/token", form("refresh-1")).want(t, 200)
	for name, want := range map[string]any{
		"token_type": "bearer", "expires_in": 1800, "hub_id": 7, "token_use": "access_token", "refresh_token": "refresh-1",
	} {
		same(t, name, got.at(name), want)
	}
	if got.count("scopes") == 0 || got.at("user_id") == nil {
		t.Errorf("got %s, want scopes and user_id", got.body)
	}
	a.token = got.str("access_token")
	for _, version := range []string{"v3", "2026-03"} {
		same(t, "the account of the token", a.get("/account-info/"+version+"/details").want(t, 200).at("portalId"), 7)
	}
	a.get("/account-info/v3/else").says(t, 404)
	a.pass(1800*time.Second - time.Millisecond)
	a.get(contacts).says(t, 200)
	a.pass(time.Millisecond)
	a.get(contacts).says(t, 401, "expired 0 second(s) ago.")
	a.pass(2 * time.Minute)
	a.get(contacts).exactly(t, 401, `{"status":"error","message":"The OAuth token used to make this call expired 2 minute(s) ago.",`+
		`"correlationId":"…","category":"EXPIRED_AUTHENTICATION","context":{"expire time":["2026-10-01T08:30:00.000Z"]}}`)
	// The refresh token stays good, and one access token does not end another.
	first := a.post("/oauth/v1/token", form("refresh-1")).want(t, 200).str("access_token")
	a.post("/oauth/v3/token", form("refresh-1")).want(t, 200)
	a.token = first
	a.get(contacts).says(t, 200)
}

func TestARefreshTokenMayBeReplaced(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "refresh-1", RotateRefreshToken: true})
	second := a.post("/oauth/v3/token", form("refresh-1")).want(t, 200).str("refresh_token")
	if second == "refresh-1" || second == "" {
		t.Fatalf("got refresh token %q, want another", second)
	}
	a.post("/oauth/v3/token", form("refresh-1")).says(t, 400, "BAD_REFRESH_TOKEN")
	a.post("/oauth/v3/token", form(second)).says(t, 200)
}

func TestWhatTheTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r"})
	with := func(name, value string) url.Values {
		f := form("r")
		f.Set(name, value)
		return f
	}
	refused := func(code, status, message string) string {
		return `{"error":"` + code + `","error_description":"` + message + `","status":"` + status + `","message":"` + message + `"}`
	}
	badToken := refused("invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")
	for name, test := range map[string]struct {
		query  string
		body   any
		status int
		want   string
	}{
		"an unknown refresh token":  {"", with("refresh_token", "other"), 400, badToken},
		"no refresh token":          {"", with("refresh_token", ""), 400, badToken},
		"another client":            {"", with("client_id", "other"), 400, refused("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id")},
		"another secret":            {"", with("client_secret", "x"), 400, refused("invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret")},
		"everything in the query":   {"?" + form("r").Encode(), url.Values{}, 400, ""},
		"the token in the query":    {"?refresh_token=r", with("refresh_token", ""), 400, badToken},
		"JSON":                      {"", obj{"grant_type": "refresh_token", "client_id": "c", "client_secret": "s", "refresh_token": "r"}, 415, ""},
		"a grant that is not known": {"", with("grant_type", "password"), 400, ""},
	} {
		got := a.post("/oauth/v1/token"+test.query, test.body)
		if got.status != test.status || test.want != "" && got.body != test.want {
			t.Errorf("%s: got %d %s, want %d %s", name, got.status, got.body, test.status, test.want)
		}
	}
}
