package hubspotsim_test

import (
	"net/url"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestEveryVersionIsServedAtItsOwnPaths(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	for path, status := range map[string]int{
		"/crm/v3/objects/contacts/" + id:                                       200,
		"/crm/v3/objects/0-1/" + id:                                            200,
		"/crm/objects/2026-03/contacts/" + id:                                  200,
		"/crm/objects/2026-09/contact/" + id:                                   200,
		"/crm/v3/properties/contacts":                                          200,
		"/crm/properties/2026-03/contacts/email":                               200,
		"/crm/properties/2026-09/0-18":                                         200,
		"/crm/v3/owners":                                                       200,
		"/crm/owners/2026-09":                                                  200,
		"/crm/v4/objects/contacts/" + id + "/associations/communications":      200,
		"/crm/objects/2026-03/contacts/" + id + "/associations/communications": 200,
		"/crm/associations/2026-09/contacts/communications/labels":             200,
		"/crm/v4/associations/contacts/communications/labels":                  200,
		"/crm/objects/2025-09/contacts/" + id:                                  404,
		"/crm/v5/objects/contacts":                                             404,
		"/crm/2026-03/objects/contacts":                                        404,
		"/crm/v4/objects/contacts":                                             404,
		"/crm/v3/objects/contacts/" + id + "/friends":                          404,
		"/marketing/v3/emails":                                                 404,
		"/crm/v3/objects/butterflies":                                          400,
		"/crm/objects/2026-03/butterflies/" + id:                               400,
	} {
		if got := a.get(path); got.status != status {
			t.Errorf("GET %s: got %d %s, want %d", path, got.status, got.body, status)
		}
	}
	a.get("/crm/v3/objects/butterflies").says(t, 400, `"message":"Unable to infer object type from: butterflies"`)
}

func TestOnlyAKnownTokenIsLetIn(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		Tokens: map[string][]string{"reader": {"crm.objects.contacts.read"}},
	})
	for _, token := range []string{"", "unknown"} {
		a.token = token
		a.get(contacts).says(t, 401, "Authentication credentials not found.", `"category":"INVALID_AUTHENTICATION"`)
	}
	a.token = "reader"
	a.get(contacts).says(t, 200)
	a.post(contacts+"/search", obj{}).says(t, 200)
	a.post(contacts, obj{"properties": obj{"firstname": "Ada"}}).says(t, 403,
		`"category":"MISSING_SCOPES"`, `"requiredGranularScopes":["crm.objects.contacts.write"]`)
	a.get("/crm/v3/owners").says(t, 403, `"requiredGranularScopes":["crm.objects.owners.read"]`)
	a.define("contacts", "note", nil).says(t, 403, `"requiredGranularScopes":["crm.schemas.contacts.write"]`)
}

func TestATokenIsRefreshedAndExpires(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		ClientID: "client", ClientSecret: "secret", RefreshToken: "refresh-1", RotateRefreshToken: true,
	})
	form := url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"client"}, "client_secret": {"secret"}, "refresh_token": {"refresh-1"},
	}
	a.post("/oauth/v3/token", obj{"grant_type": "refresh_token"}).says(t, 415)
	got := a.post("/oauth/2026-09/token", form).want(t, 200)
	same(t, "expires_in", got.at("expires_in"), 1800)
	a.token = got.str("access_token")
	a.get(contacts).says(t, 200)

	a.post("/oauth/v1/token", form).says(t, 400, `"error":"invalid_grant"`, `"status":"BAD_REFRESH_TOKEN"`)
	form.Set("refresh_token", got.str("refresh_token"))
	a.post("/oauth/v1/token", form).says(t, 200)
	form.Set("client_id", "other")
	a.post("/oauth/v1/token", form).says(t, 400, `"status":"BAD_CLIENT_ID"`)

	a.pass(32 * time.Minute)
	late := a.get(contacts)
	late.says(t, 401, `"category":"EXPIRED_AUTHENTICATION"`, "expired 2 minute(s) ago.")
	same(t, "expire time", late.at("context", "expire time", 0), "2026-10-01T08:30:00.000Z")
}

func TestEveryAnswerCarriesItsCorrelation(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	seen := map[string]bool{}
	for _, path := range []string{contacts, contacts + "/1", "/nowhere/at/all", contacts + "/x"} {
		got := a.get(path)
		id := got.header.Get("X-HubSpot-Correlation-Id")
		if id == "" || seen[id] {
			t.Errorf("%s: correlation id %q is missing or used before", path, id)
		}
		seen[id] = true
		if got.status != 200 && got.str("correlationId") != id {
			t.Errorf("%s: got correlationId %q in the body, %q in the header", path, got.str("correlationId"), id)
		}
		same(t, "content type", got.header.Get("Content-Type"), "application/json;charset=utf-8")
	}
}
