package hubspotsim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

// TestEveryFamilyAnswersInEveryVersion makes one call of each kind at all the
// paths there are for it. What is served in no version, or is the path of
// another version, is no route.
func TestEveryFamilyAnswersInEveryVersion(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r"})
	ada := a.person(obj{"firstname": "Ada"})
	said := a.post(communications, obj{"properties": whatsApp("hello")}).want(t, 201).str("id")
	one := obj{"inputs": []obj{{"id": ada}}}
	pair := obj{"inputs": []obj{{"from": obj{"id": said}, "to": obj{"id": ada}}}}
	person := obj{"properties": obj{"firstname": "Bo"}}
	for name, call := range map[string]struct {
		method string
		// paths have {v} where a date goes.
		numbered, dated string
		body            any
		status          int
	}{
		"read":                  {"GET", "/crm/v3/objects/contacts/" + ada, "/crm/objects/{v}/contacts/" + ada, nil, 200},
		"create":                {"POST", "/crm/v3/objects/contacts", "/crm/objects/{v}/contacts", person, 201},
		"create, by type id":    {"POST", "/crm/v3/objects/0-1", "/crm/objects/{v}/0-1", person, 201},
		"update":                {"PATCH", "/crm/v3/objects/contacts/" + ada, "/crm/objects/{v}/contacts/" + ada, person, 200},
		"archive":               {"DELETE", "/crm/v3/objects/contacts/999", "/crm/objects/{v}/contacts/999", nil, 204},
		"search":                {"POST", "/crm/v3/objects/contacts/search", "/crm/objects/{v}/contacts/search", obj{}, 200},
		"search messages":       {"POST", "/crm/v3/objects/communications/search", "/crm/objects/{v}/0-18/search", obj{}, 200},
		"batch":                 {"POST", "/crm/v3/objects/contacts/batch/read", "/crm/objects/{v}/contacts/batch/read", one, 200},
		"read, in the singular": {"GET", "/crm/v3/objects/contact/" + ada, "/crm/objects/{v}/contact/" + ada, nil, 200},
		"an unknown type":       {"GET", "/crm/v3/objects/butterflies", "/crm/objects/{v}/butterflies/1", nil, 400},
		"association labels": {
			"GET", "/crm/v4/associations/contacts/communications/labels", "/crm/associations/{v}/contacts/communications/labels", nil, 200,
		},
		"properties":      {"GET", "/crm/v3/properties/contacts", "/crm/properties/{v}/0-1", nil, 200},
		"property":        {"GET", "/crm/v3/properties/contacts/email", "/crm/properties/{v}/contacts/email", nil, 200},
		"property groups": {"GET", "/crm/v3/properties/contacts/groups", "/crm/properties/{v}/contacts/groups", nil, 200},
		"owners":          {"GET", "/crm/v3/owners", "/crm/owners/{v}", nil, 200},
		"owner":           {"GET", "/crm/v3/owners/41629779", "/crm/owners/{v}/41629779", nil, 200},
		"associate": {
			"PUT", "/crm/v4/objects/communications/" + said + "/associations/default/contacts/" + ada,
			"/crm/objects/{v}/communications/" + said + "/associations/default/contacts/" + ada, nil, 200,
		},
		"associate in a batch": {
			"POST", "/crm/v4/associations/communications/contacts/batch/associate/default",
			"/crm/associations/{v}/communications/contacts/batch/associate/default", pair, 200,
		},
		"associated": {
			"GET", "/crm/v4/objects/communications/" + said + "/associations/contacts",
			"/crm/objects/{v}/communications/" + said + "/associations/contacts", nil, 200,
		},
		"token":     {"POST", "/oauth/v1/token", "/oauth/{v}/token", form("r"), 200},
		"new token": {"POST", "/oauth/v3/token", "/oauth/{v}/token", form("r"), 200},
	} {
		paths := map[string]int{call.numbered: call.status}
		for version, status := range map[string]int{"2026-03": call.status, "2026-09": call.status, "2025-09": 404, "2027-03-beta": 404} {
			paths[strings.ReplaceAll(call.dated, "{v}", version)] = status
		}
		// The token endpoint has one form of path for all versions.
		if strings.HasPrefix(call.dated, "/oauth/") {
			paths["/oauth/v3/token"], paths["/oauth/v2/token"] = call.status, 404
		}
		for path, status := range paths {
			if got := a.call(call.method, path, call.body); got.status != status {
				t.Errorf("%s: %s %s: got %d %s, want %d", name, call.method, path, got.status, got.body, status)
			}
		}
	}
	for path, method := range map[string]string{
		"/": "GET", "/crm": "GET", "/crm/v3": "GET", "/crm/v3/deals": "GET", "/crm/v3/objects": "GET", "/oauth/v1/tokens": "POST", "/oauth/v1/token": "GET",
		"/crm/v3/objects/contacts/batch/merge": "POST", "/crm/v3/objects/contacts/batch/read": "GET", "/crm/v3/objects/contacts/search": "GET",
		"/crm/v5/objects/contacts": "GET", "/crm/2026-03/objects/contacts": "GET", "/crm/v4/objects/contacts": "GET", "/marketing/v3/emails": "GET",
		"/crm/v3/objects/contacts/" + ada + "/friends": "GET", "/crm/v4/properties/contacts": "GET", "/crm/v3/owners/41629779/teams": "GET", "/crm/v4/associations/contacts/communications": "GET",
		// What v4 began is not in v3.
		"/crm/v3/objects/communications/" + said + "/associations/default/contacts/" + ada: "PUT",
		"/crm/v3/objects/communications/" + said + "/associations/contacts/" + ada:         "PUT",
	} {
		if got := a.call(method, path, obj{}); got.status != 404 {
			t.Errorf("%s %s: got %d %s, want 404", method, path, got.status, got.body)
		}
	}
	a.get("/crm/v3/objects/butterflies").exactly(t, 400, `{"status":"error","message":"Unable to infer object type from: butterflies","correlationId":"…"}`)
}

func TestEveryAnswerCarriesItsCorrelation(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r", Tokens: map[string][]string{"none": {}}})
	ada := a.person(obj{"firstname": "Ada", "email": "ada@example.com"})
	file := a.upload("note.txt", "hello", "").want(t, 201).str("id")
	seen := map[string]bool{}
	for _, call := range []struct {
		status             int
		method, path       string
		body               any
		token, fault, kind string
	}{
		{status: 200, method: "GET", path: contacts},
		{status: 200, method: "GET", path: files + "/" + file + "/download", kind: "text/plain; charset=utf-8"},
		{status: 200, method: "POST", path: "/oauth/v1/token", body: form("r")},
		{status: 201, method: "POST", path: contacts, body: obj{"properties": obj{"firstname": "Bo"}}},
		{status: 204, method: "DELETE", path: contacts + "/999", kind: "none"},
		{status: 207, method: "POST", path: contacts + "/batch/read", body: obj{"inputs": []obj{{"id": "999"}}}},
		{status: 400, method: "POST", path: contacts, body: obj{"properties": obj{"shoe": "39"}}},
		{status: 400, method: "POST", path: contacts, body: `{"properties":`},
		{status: 400, method: "POST", path: contacts + "/search", body: obj{"after": 10000}},
		{status: 400, method: "POST", path: "/oauth/v1/token", body: url.Values{"grant_type": {"refresh_token"}}},
		{status: 401, method: "GET", path: contacts, token: "unknown"},
		{status: 403, method: "GET", path: contacts, token: "none"},
		{status: 404, method: "GET", path: contacts + "/999"},
		{status: 404, method: "GET", path: "/nowhere"},
		{status: 409, method: "POST", path: contacts, body: obj{"properties": obj{"email": "ada@example.com"}}},
		{status: 423, method: "PATCH", path: contacts + "/" + ada, fault: `{"mode":"outage","status":423}`},
		{status: 429, method: "GET", path: contacts, fault: `{"mode":"throttle"}`},
		{status: 477, method: "GET", path: contacts, fault: `{"mode":"outage","status":477}`},
		{status: 500, method: "GET", path: contacts, fault: `{"mode":"outage","status":500}`},
	} {
		a.token = orKey(call.token)
		if call.fault != "" {
			a.fault(call.fault)
		}
		got := a.call(call.method, call.path, call.body).want(t, call.status)
		a.fault(`{"mode":"none"}`)
		what := call.method + " " + call.path + " " + http.StatusText(call.status)
		id := got.header.Get("X-HubSpot-Correlation-Id")
		if id == "" || seen[id] {
			t.Errorf("%s: correlation id %q is missing or used before", what, id)
		}
		seen[id] = true
		same(t, what+": request id", got.header.Get("X-Request-Id"), id)
		// The token endpoint's errors are of another form, without the id.
		if call.status >= 400 && !strings.HasPrefix(call.path, "/oauth/") {
			same(t, what+": in the body", got.str("correlationId"), id)
		}
		switch call.kind {
		case "none":
			same(t, what+": body", got.body, "")
		case "":
			same(t, what+": content type", got.header.Get("Content-Type"), "application/json;charset=utf-8")
		default:
			same(t, what+": content type", got.header.Get("Content-Type"), call.kind)
		}
	}
}

func orKey(token string) string {
	if token == "" {
		return key
	}
	return token
}
