package zohosim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func TestTheTokenEndpointTakesQueryFormAndParts(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	for name, value := range credentials("r") {
		_ = writer.WriteField(name, value[0])
	}
	_ = writer.Close()
	for name, r := range map[string]*http.Request{
		"query": httptest.NewRequest(http.MethodPost, "http://sim.example:81/oauth/v2/token?"+credentials("r").Encode(), nil),
		"form":  httptest.NewRequest(http.MethodPost, "http://sim.example:81/oauth/v2/token", strings.NewReader(credentials("r").Encode())),
		"parts": httptest.NewRequest(http.MethodPost, "http://sim.example:81/oauth/v2/token", &parts),
	} {
		switch name {
		case "form":
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		case "parts":
			r.Header.Set("Content-Type", writer.FormDataContentType())
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		var got obj
		_ = json.Unmarshal(w.Body.Bytes(), &got)
		same(t, name+" api_domain", got["api_domain"], "http://sim.example:81")
		same(t, name+" token_type", got["token_type"], "Bearer")
		if !strings.Contains(w.Body.String(), `"expires_in":3600`) {
			t.Errorf("%s: got %s, want an hour in seconds", name, w.Body)
		}
		if token, _ := got["access_token"].(string); !strings.HasPrefix(token, "1000.") {
			t.Errorf("%s: got %s", name, w.Body)
		}
		if _, is := got["refresh_token"]; is {
			t.Errorf("%s: got a refresh token", name)
		}
	}
	b := open(t, zohosim.Options{BaseURL: "https://www.zohoapis.test/"})
	same(t, "api_domain", b.refresh("r").str("api_domain"), "https://www.zohoapis.test")
}

func TestARefusedRefreshAnswers200(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	same(t, "wrong token", a.refresh("x").want(t, 200).body, `{"error":"invalid_code"}`)
	wrong := credentials("r")
	wrong.Set("client_id", "x")
	same(t, "wrong client", a.post("/oauth/v2/token?"+wrong.Encode(), nil).want(t, 200).body, `{"error":"invalid_client"}`)
	wrong = credentials("r")
	wrong.Set("client_secret", "x")
	same(t, "wrong secret", a.post("/oauth/v2/token?"+wrong.Encode(), nil).want(t, 200).body, `{"error":"invalid_client_secret"}`)
	a.post("/oauth/v2/token/revoke?token=r", nil).says(t, 200, "success")
	same(t, "revoked", a.refresh("r").want(t, 200).body, `{"error":"invalid_code"}`)
	a.get("/users").says(t, 401, "INVALID_TOKEN")
}

func TestTheEleventhRefreshIsDenied(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented", Grants: map[string]zohosim.Grant{"other": {}}})
	for range 9 {
		a.pass(10 * time.Second)
		a.refresh("r").says(t, 200, "access_token")
	}
	a.refresh("r").says(t, 400, `"error":"Access Denied"`, `"status":"failure"`, "too many requests continuously")
	a.refresh("other").says(t, 200, "access_token")
	a.get("/users").says(t, 200)
	a.knob(`{"refresh_limit_status":200}`)
	a.pass(8*time.Minute + 29*time.Second)
	a.refresh("r").says(t, 200, "Access Denied")
	a.pass(time.Second)
	a.refresh("r").says(t, 200, "access_token")
}

func TestTheSixteenthTokenKillsTheOldest(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	first := a.token
	for range 14 {
		a.token = a.refresh("r").str("access_token")
	}
	last := a.token
	a.token = first
	a.get("/users").says(t, 200)
	a.refresh("r").want(t, 200)
	a.get("/users").says(t, 401, "INVALID_TOKEN")
	a.token = last
	a.pass(3599 * time.Second)
	a.get("/users").says(t, 200)
	a.pass(time.Second)
	same(t, "expired", a.get("/users").want(t, 401).body, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`)
}

func TestOnlyKnownTokensWithTheScopePass(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Grants: map[string]zohosim.Grant{
		"reader": {Scopes: []string{"ZohoCRM.modules.contacts.READ", "ZohoCRM.modules.leads.WRITE", "ZohoCRM.coql.READ"}},
	}})
	reset := a.get("/users").want(t, 200).header.Get("X-ACCESSTOKEN-RESET")
	same(t, "reset", reset, "2026-10-01T14:30:00+05:30")
	good := a.token
	a.token = ""
	a.get("/users").says(t, 401, "AUTHENTICATION_FAILURE")
	a.with("Authorization", "Bearer "+good, func() { a.get("/users").says(t, 401, "AUTHENTICATION_FAILURE") })
	a.token = "unknown"
	a.get("/users").says(t, 401, "INVALID_TOKEN")
	a.token = a.refresh("reader").str("access_token")
	a.get("/Contacts?fields=Last_Name").silent(t, 204)
	a.post("/coql", obj{"select_query": "select id from Contacts where id is not null"}).silent(t, 204)
	a.upserted("Leads", nil, obj{"Last_Name": "A"}).says(t, 200)
	for _, got := range []answer{
		a.post("/Contacts", rows(obj{"Last_Name": "A"})), a.upserted("Contacts", nil, obj{"Last_Name": "A"}), a.get("/Leads?fields=id"),
		a.get("/Contacts/search?email=a@b.cd"), a.get("/users"), a.get("/settings/fields?module=Contacts"),
		a.post("/coql", obj{"select_query": "select id from Leads where id is not null"}),
	} {
		got.says(t, 401, "OAUTH_SCOPE_MISMATCH")
	}
}

func TestEveryCallNeedsItsScopes(t *testing.T) {
	t.Parallel()
	id := "/5725767000000999999"
	for _, test := range []struct {
		method, path string
		body         any
		scopes       string
	}{
		{"GET", "/Contacts?fields=id", nil, "ZohoCRM.modules.contacts.READ"},
		{"GET", "/Contacts" + id, nil, "ZohoCRM.modules.contacts.READ"},
		{"POST", "/Contacts", people(1), "ZohoCRM.modules.contacts.CREATE"},
		{"PUT", "/Contacts", people(1), "ZohoCRM.modules.contacts.UPDATE"},
		{"DELETE", "/Contacts" + id, nil, "ZohoCRM.modules.contacts.DELETE"},
		{"POST", "/Contacts/upsert", people(1), "ZohoCRM.modules.contacts.CREATE ZohoCRM.modules.contacts.UPDATE"},
		{"GET", "/Contacts/search?word=x", nil, "ZohoCRM.modules.contacts.READ ZohoSearch.securesearch.READ"},
		{"GET", "/Contacts" + id + "/Notes?fields=id", nil, "ZohoCRM.modules.contacts.READ ZohoCRM.modules.notes.READ"},
		{"POST", "/Notes", people(1), "ZohoCRM.modules.notes.CREATE"},
		{"POST", "/coql", obj{"select_query": "select id from Contacts where id is not null"}, "ZohoCRM.modules.contacts.READ ZohoCRM.coql.READ"},
		{"POST", "/Contacts/actions/change_owner", nil, "ZohoCRM.change_owner.CREATE"},
		{"GET", "/settings/fields?module=Contacts", nil, "ZohoCRM.settings.fields.READ"},
		{"GET", "/settings/modules", nil, "ZohoCRM.settings.modules.READ"},
		{"POST", "/settings/tags?module=Contacts", nil, "ZohoCRM.settings.tags.CREATE"},
		{"GET", "/users", nil, "ZohoCRM.users.READ"},
		{"GET", "/org", nil, "ZohoCRM.org.READ"},
		{"GET", "/actions/watch", nil, "ZohoCRM.notifications.READ"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			needed := strings.Fields(test.scopes)
			grants := map[string]zohosim.Grant{"enough": {Scopes: needed}}
			for n := range needed {
				grants[fmt.Sprint("without ", n)] = zohosim.Grant{Scopes: append(slices.Delete(slices.Clone(needed), n, n+1), "ZohoCRM.modules.leads.ALL")}
			}
			a := open(t, zohosim.Options{Grants: grants})
			for name := range grants {
				a.token = a.refresh(name).str("access_token")
				got := a.call(test.method, test.path, test.body)
				if name == "enough" {
					if got.status == 401 {
						t.Errorf("got %s with all scopes", got.body)
					}
					continue
				}
				same(t, name, got.want(t, 401).body, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"invalid oauth scope to access this URL","status":"error"}`)
			}
		})
	}
}
