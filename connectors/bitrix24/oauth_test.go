package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

// An installation is a portal reached as an application: access tokens a0, a1,
// a2 go with refresh tokens r3fresh0, r3fresh1 and so on.
type installation struct {
	*portal
	mu        sync.Mutex
	refreshes int
	used      []string
	saved     []string
	saving    error
	token     func(n int) (int, string)
}

func newInstallation(t *testing.T) (*installation, *Client) {
	t.Helper()
	p, _ := newPortal(t)
	i := &installation{portal: p}
	i.token = func(n int) (int, string) {
		b, _ := json.Marshal(m{"access_token": "a" + string(rune('0'+n)), "refresh_token": "r3fresh" + string(rune('0'+n)), "expires_in": 3600})
		return 200, string(b)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		q := r.URL.Query()
		if r.Method != http.MethodGet || q.Get("grant_type") != "refresh_token" || q.Get("client_id") != "app" || q.Get("client_secret") != "cl13nt" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		i.refreshes++
		i.used = append(i.used, q.Get("refresh_token"))
		status, body := i.token(i.refreshes)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	c := New(Options{
		BaseURL: p.url + "/", ClientID: "app", ClientSecret: "cl13nt", RefreshToken: "r3fresh0", TokenURL: s.URL + "/oauth/token/",
		SaveRefreshToken: func(_ context.Context, token string) error {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.saved = append(i.saved, token)
			return i.saving
		},
		Timeout: 2 * time.Second, BatchTimeout: 2 * time.Second,
	})
	t.Cleanup(func() { c.rest.CloseIdle(); c.tokens.rest.CloseIdle(); s.Close() })
	return i, c
}

// valid has the portal accept one access token only.
func (i *installation) valid(token string) {
	i.portal.mu.Lock()
	defer i.portal.mu.Unlock()
	i.front = func(path string, body m) any {
		if body["auth"] != token {
			return whole{status: 401, body: `{"error":"expired_token","error_description":"The access token provided has expired."}`}
		}
		return nil
	}
}

func TestATokenIsRefreshedOnceForAll(t *testing.T) {
	i, c := newInstallation(t)
	i.valid("a1")
	i.on(contactUpdate, always(true))
	write := func() {
		var g sync.WaitGroup
		for range 8 {
			g.Go(func() {
				want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), "5")
			})
		}
		g.Wait()
	}
	write()
	i.valid("a2")
	write()
	if !slices.Equal(i.used, []string{"r3fresh0", "r3fresh1"}) || !slices.Equal(i.saved, []string{"r3fresh1", "r3fresh2"}) {
		t.Errorf("used %v, saved %v", i.used, i.saved)
	}
}

func TestATokenThatIsRefusedAgainIsTheAccountsTrouble(t *testing.T) {
	i, c := newInstallation(t)
	i.valid("never")
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), "unauthorized EXPIRED_TOKEN")
	if i.refreshes != 2 {
		t.Errorf("%d refreshes", i.refreshes)
	}
}

func TestNothingIsUsedBeforeItIsStored(t *testing.T) {
	i, c := newInstallation(t)
	i.valid("a1")
	i.on(contactUpdate, always(true))
	i.saving = errors.New("disk full of r3fresh1")
	changes := []connectors.ContactChange{recorded("5", change("393470000001"))}
	want(t, c.WriteContacts(t.Context(), changes), "transient")
	i.mu.Lock()
	i.saving = nil
	i.mu.Unlock()
	want(t, c.WriteContacts(t.Context(), changes), "5")
	if i.refreshes != 1 || len(i.saved) != 2 {
		t.Errorf("%d refreshes, saved %v", i.refreshes, i.saved)
	}
}

// Another replica, or a check, has refreshed meanwhile: each refresh token can
// be used once.
func TestTheRefreshTokenThatAnotherStoredIsUsed(t *testing.T) {
	i, c := newInstallation(t)
	var stored string
	var loading error
	c.tokens.load = func(context.Context) (string, error) { return stored, loading }
	i.on(contactUpdate, always(true))
	write := func(outcome string) {
		t.Helper()
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), outcome)
	}
	i.valid("a1")
	write("5")
	stored = "r3fresh7"
	i.valid("a2")
	write("5")
	loading = errors.New("database down, r3fresh8")
	i.valid("a3")
	write("transient")
	if !slices.Equal(i.used, []string{"r3fresh0", "r3fresh7"}) {
		t.Errorf("used %v", i.used)
	}
	loading = nil
	write("5")
	// What could not be stored is newer than what is.
	i.saving = errors.New("disk full")
	i.valid("a4")
	write("transient")
	i.saving = nil
	write("5")
	if !slices.Equal(i.used, []string{"r3fresh0", "r3fresh7", "r3fresh7", "r3fresh7"}) || !slices.Equal(i.saved, []string{"r3fresh1", "r3fresh2", "r3fresh3", "r3fresh4", "r3fresh4"}) {
		t.Errorf("used %v, saved %v", i.used, i.saved)
	}
}

func TestWhatTheTokenEndpointSays(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"used up":          {400, `{"error":"invalid_grant","error_description":"r3fresh0"}`, "unauthorized INVALID_GRANT"},
		"no client":        {400, `{"error":"invalid_client"}`, "unauthorized INVALID_CLIENT"},
		"no client, PHP":   {401, `{"error":"invalid_client"}`, "unauthorized INVALID_CLIENT"},
		"bad request":      {400, `{"error":"invalid_request"}`, "unauthorized INVALID_REQUEST"},
		"an error with OK": {200, `{"error":"wrong_client"}`, "unauthorized WRONG_CLIENT"},
		"not paid":         {401, `{"error":"PAYMENT_REQUIRED"}`, "unauthorized PAYMENT_REQUIRED"},
		"not installed":    {401, `{"error":"NOT_INSTALLED"}`, "unauthorized NOT_INSTALLED"},
		"scope":            {403, `{"error":"INVALID_SCOPE"}`, "unauthorized INVALID_SCOPE"},
		"something new":    {400, `{"error":"odd"}`, "unauthorized ODD"},
		"outage":           {503, `<html>`, "transient"},
		"HTML":             {200, `<html>`, "transient"},
		"nothing":          {200, `{}`, "transient"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i, c := newInstallation(t)
			i.token = func(int) (int, string) { return tt.status, tt.body }
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), tt.want)
		})
	}
}

func TestMessagesOfAnApplicationAreActivities(t *testing.T) {
	i, c := newInstallation(t)
	i.valid("a1")
	i.on(activityAdd, func(q url.Values) any {
		switch q.Get("ownerId") {
		case "52":
			return no{code: "NOT_FOUND"}
		case "53":
			return m{"activity": nil}
		}
		return m{"activity": m{"id": 70}}
	})
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51"), message("b", "52"), message("c", "53"), message("d", "")})
	want(t, got, "+70", "conflict OWNER_NOT_FOUND", "unknown_outcome", "conflict NO_CONTACT")
	has(t, i.calls(activityAdd)[0], "ownerTypeId", "3", "fields[originatorId]", "crmsync", "fields[originId]", "a",
		"layout[header][tags][status][title]", "delivered", "layout[header][tags][direction][title]", "in", "layout[body][blocks][text][properties][value]", "hello a")

	i.on(activityUpdate, func(q url.Values) any {
		if q.Get("id") == "71" {
			return no{code: "NOT_FOUND"}
		}
		return m{"activity": m{"id": 70}}
	})
	want(t, c.UpdateMessages(t.Context(), []connectors.MessageChange{written("70", message("a", "51")), written("71", message("b", "51")), written("73#x", message("x", "51"))}),
		"70", "conflict NOT_FOUND", "conflict NOT_FOUND")

	i.on(activityList, func(q url.Values) any {
		has(t, q, "filter[PROVIDER_ID]", "CONFIGURABLE_REST_APP")
		if q.Get("filter[ORIGIN_ID]") == "b" {
			return no{code: "", text: "Access denied."}
		}
		return []m{{"ID": "69", "ORIGIN_ID": "a", "OWNER_ID": "52", "OWNER_TYPE_ID": "3"}, {"ID": "70", "ORIGIN_ID": "a", "OWNER_ID": "51", "OWNER_TYPE_ID": 3}}
	})
	want(t, c.FindMessages(t.Context(), []connectors.MessageChange{message("a", "51"), message("b", "51"), message("c", "51")}), "70", "rejected ACCESS_DENIED", "")
}

func TestEventsAreBoundOnce(t *testing.T) {
	const address = "https://sync.example/webhooks/bitrix24"
	i, c := newInstallation(t)
	i.valid("a1")
	bound := []m{{"event": "ONCRMCONTACTADD", "handler": address, "offline": 0}, {"event": "ONCRMCONTACTDELETE", "handler": "https://else", "offline": 0}}
	i.on(eventGet, func(url.Values) any { return bound })
	i.on(eventBind, func(q url.Values) any {
		bound = append(bound, m{"event": q.Get("event"), "handler": q.Get("handler"), "offline": "0"})
		if q.Get("event") == "ONCRMCONTACTDELETE" {
			return no{400, "ERROR_CORE", "Handler already binded"} // another replica was faster
		}
		return true
	})
	for range 2 {
		if renew, err := c.Subscribe(t.Context(), connectors.Subscription{Address: address}); err != nil || !renew.IsZero() {
			t.Errorf("got %s, %v", renew, err)
		}
	}
	if got := i.calls(eventBind); len(got) != 2 || got[0].Get("event") != "ONCRMCONTACTUPDATE" {
		t.Errorf("bound %v", got)
	}
	bound = nil
	i.on(eventBind, always(no{403, "ACCESS_DENIED", "Access denied"}))
	if _, err := c.Subscribe(t.Context(), connectors.Subscription{Address: address}); connectors.AsError(err).Class != connectors.Unauthorized {
		t.Errorf("got %v", err)
	}
}
