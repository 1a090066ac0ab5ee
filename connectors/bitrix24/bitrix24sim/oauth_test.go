package bitrix24sim_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

// app is an application installed on a portal.
type app struct {
	*portal
	refresh string
}

func application(t *testing.T, o bitrix24sim.Options) *app {
	t.Helper()
	o.ClientID, o.ClientSecret, o.RefreshToken = "app.1", "secret", "first"
	return &app{portal: open(t, o), refresh: "first"}
}

// exchange asks for a token.
func (a *app) exchange(more url.Values) answer {
	a.t.Helper()
	q := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app.1"}, "client_secret": {"secret"}, "refresh_token": {a.refresh}}
	for k, v := range more {
		q[k] = v
	}
	return a.send(http.MethodGet, "/oauth/token/?"+q.Encode(), "", "")
}

// login returns an access token.
func (a *app) login() string {
	a.t.Helper()
	got := a.exchange(nil).ok()
	a.refresh, _ = got.obj["refresh_token"].(string)
	token, _ := got.obj["access_token"].(string)
	return token
}

// as calls a method with a token.
func (a *app) as(token, method string, in obj) answer {
	a.t.Helper()
	return a.send(http.MethodPost, "/rest/"+method+"?auth="+token, "application/json", string(encode(in)))
}

func TestTokensExpireAndRotate(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{})
	token := a.login()
	a.as(token, "user.current", obj{}).ok()
	a.send("POST", "/rest/user.current", "application/json", `{"auth":"`+token+`"}`).ok()
	a.send("POST", "/rest/user.current", "application/x-www-form-urlencoded", "auth="+token).ok()
	a.as("nonsense", "user.current", obj{}).refused(401, "invalid_token", "Unable to get application by token")
	a.pass(59 * time.Minute)
	a.as(token, "user.current", obj{}).ok()
	a.pass(time.Minute)
	a.as(token, "user.current", obj{}).refused(401, "expired_token", "The access token provided has expired.")
	second := a.login()
	a.as(second, "user.current", obj{}).ok()
	a.exchange(url.Values{"refresh_token": {"first"}}).refused(400, "invalid_grant", "")
	same(t, "post", a.send("POST", "/oauth/token/", "", "").status, 400)
	a.exchange(url.Values{"refresh_token": {""}}).refused(400, "invalid_request", "")
	a.exchange(url.Values{"client_secret": {"x"}}).refused(400, "invalid_client", "")
	got := a.exchange(url.Values{"client_id": {"x"}})
	same(t, "wrong client", got.body+got.json("error"), `{"error":"wrong_client"}"wrong_client"`)
	same(t, "its status", got.status, 200)
	a.pass(181 * 24 * time.Hour)
	a.exchange(nil).refused(400, "invalid_grant", "")
}

func TestATokenComesWithAllAboutIt(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{Scopes: []string{"crm", "user"}, UserID: 7})
	got := a.exchange(nil).ok()
	for name, want := range map[string]any{
		"expires": a.Now().Add(time.Hour).Unix(), "expires_in": 3600, "client_endpoint": "https://acme.bitrix24.com/rest/", "server_endpoint": "https://oauth.bitrix24.tech/rest/",
		"domain": "oauth.bitrix24.tech", "member_id": "0123456789abcdef0123456789abcdef", "scope": "crm,user", "status": "L", "user_id": 7,
	} {
		same(t, name, got.json(name), string(encode(want)))
	}
	same(t, "rotated", got.at("refresh_token") == "first", false)
}

func TestAnApplicationNeedsTheScope(t *testing.T) {
	t.Parallel()
	for legacy, status := range map[bool]int{false: 401, true: 403} {
		a := application(t, bitrix24sim.Options{Scopes: []string{"user"}, LegacyStatuses: legacy})
		token := a.login()
		a.as(token, "user.current", obj{}).ok()
		a.as(token, "crm.contact.list", obj{}).refused(status, "insufficient_scope", "access token")
	}
}

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{})
	token := a.login()
	a.fault(`{"mode":"expire_token","times":1}`)
	a.as(token, "user.current", obj{}).refused(401, "expired_token", "")
	a.as(token, "user.current", obj{}).refused(401, "expired_token", "")
	a.as(a.login(), "user.current", obj{}).ok()
	a.fault(`{"mode":"refresh_lost","times":1}`)
	func() {
		defer func() { same(t, "cut off", recover(), http.ErrAbortHandler) }()
		a.exchange(nil)
	}()
	a.exchange(nil).refused(400, "invalid_grant", "")
}

func TestConfigurableActivity(t *testing.T) {
	t.Parallel()
	a := application(t, bitrix24sim.Options{})
	token := a.login()
	a.add(`{"NAME":"Ada","PHONE":[{"VALUE":"+4915550100"}]}`)
	layout := func(status string) obj {
		return obj{
			"icon":   obj{"code": "call"},
			"header": obj{"title": "WhatsApp", "tags": obj{"status": obj{"title": status, "type": "success"}, "direction": obj{"title": "in", "type": "primary"}}},
			"body":   obj{"logo": obj{"code": "comment"}, "blocks": obj{"text": obj{"type": "text", "properties": obj{"value": "Hello [b]"}}}},
		}
	}
	in := obj{"ownerTypeId": 3, "ownerId": 1, "fields": obj{"originatorId": "crmsync", "originId": "wamid.X", "completed": true}, "layout": layout("sent")}
	id := a.as(token, "crm.activity.configurable.add", in).ok().at("result", "activity", "id")
	a.as(token, "crm.activity.configurable.update", obj{"id": id, "layout": layout("read")}).ok()
	got := a.Messages("wamid.X", "")
	if len(got) != 1 || got[0].Text != "Hello [b]" || got[0].Status != "read" || got[0].Direction != "in" || got[0].ContactID != "1" {
		t.Errorf("got %+v", got)
	}
	list := a.as(token, "crm.activity.list", obj{"filter": obj{"PROVIDER_ID": "CONFIGURABLE_REST_APP", "ORIGIN_ID": "wamid.X"}, "select": []string{"ID", "ORIGIN_ID"}}).ok()
	same(t, "found", list.at("result", 0, "ORIGIN_ID"), "wamid.X")
	a.as(token, "crm.activity.configurable.add", obj{"ownerTypeId": 3, "ownerId": 1, "fields": obj{}}).refused(400, "ERROR_EMPTY_LAYOUT", "")
	in["layout"].(obj)["header"].(obj)["tags"].(obj)["third"] = obj{"title": "x", "type": "primary"}
	a.as(token, "crm.activity.configurable.add", in).refused(400, "TOO_MANY_ITEMS", "")
	in["layout"] = layout("sent")
	in["fields"] = obj{"isIncomingChannel": "Y", "deadline": "2026-10-02T00:00:00+03:00"}
	a.as(token, "crm.activity.configurable.add", in).refused(400, "INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE", "")
	delete(in["layout"].(obj), "header")
	a.as(token, "crm.activity.configurable.add", in).refused(400, "FIELD_IS_REQUIRED", "")
}
