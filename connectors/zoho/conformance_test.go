package zoho_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/guard"
	"crmsync/connectors/zoho"
	"crmsync/connectors/zoho/zohosim"
)

var vendor = connectortest.Vendor{
	Names: connectortest.Names{
		First: "First_Name", Last: "Last_Name", Phone: "Phone", Owner: "Owner",
		Text: "Suite_Text", Long: "Suite_Long", Number: "Suite_Number", Time: "Suite_Time", Enum: "Suite_Choice", Labels: "Tag",
		Bad: "Email", BadValue: "no e-mail address",
	},
	Webhook: func(*testing.T) connectortest.Webhook {
		return connectortest.Webhook{
			Receiver: zoho.NewReceiver("channel token"),
			Header:   http.Header{"Content-Type": {"application/json"}},
			Body: []byte(`{"server_time":1795000000000,"query_params":{},"module":"Contacts","resource_uri":"https://www.zohoapis.com/crm/v2/Contacts",` +
				`"ids":["3652397000000649013"],"affected_fields":[{"3652397000000649013":["Mobile"]}],"operation":"update","channel_id":"1000000068001","token":"channel token"}`),
			Record: "3652397000000649013", Secret: "channel token",
		}
	},
}

// openAccount opens an organisation; where it allows no new modules, messages
// are notes.
func openAccount(t *testing.T, knobs zohosim.Knobs, modules bool) *connectortest.Account {
	o := zohosim.Options{ClientID: "1000.CLIENT", ClientSecret: "clientsecret", RefreshToken: "1000.refreshtoken", Quota: "off", Lag: true, Knobs: knobs}
	sim := zohosim.New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !modules && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/settings/modules") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_Customize_Zoho_CRM"]},"message":"permission denied","status":"error"}`))
			return
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); sim.Close() })
	return &connectortest.Account{
		Connector: zoho.New(zoho.Options{
			AccountsURL: server.URL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, RefreshToken: o.RefreshToken,
			Timeout: time.Second, BatchTimeout: 3 * time.Second,
		}),
		Sim: server.URL, Secrets: []string{o.ClientSecret, o.RefreshToken},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *connectortest.Account{
		"plain": func(t *testing.T) *connectortest.Account { return openAccount(t, zohosim.Knobs{}, true) },
		"every answer is 200": func(t *testing.T) *connectortest.Account {
			return openAccount(t, zohosim.Knobs{StatusProfile: "flat200"}, true)
		},
		"a bad row is 202": func(t *testing.T) *connectortest.Account {
			return openAccount(t, zohosim.Knobs{StatusProfile: "legacy202"}, true)
		},
		"messages as notes": func(t *testing.T) *connectortest.Account { return openAccount(t, zohosim.Knobs{}, false) },
		"guarded": func(t *testing.T) *connectortest.Account {
			a := openAccount(t, zohosim.Knobs{}, true)
			a.Connector = guard.New(a.Connector, guard.Options{Failures: 100})
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := vendor
			v.Open = open
			connectortest.Run(t, v)
		})
	}
}

func TestAProfileThatAllowsNoAttachmentsIsNoTroubleOfTheAccount(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]connectors.Class{"NO_PERMISSION": connectors.Rejected, "OAUTH_SCOPE_MISMATCH": connectors.Rejected, "": connectors.Transient} {
		a := openAccount(t, zohosim.Knobs{}, true)
		sim := httputil.NewSingleHostReverseProxy(must(url.Parse(a.Sim)))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/Attachments") {
				sim.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			if code != "" {
				_, _ = w.Write([]byte(`{"code":"` + code + `","details":{},"message":"permission denied","status":"error"}`))
			}
		}))
		t.Cleanup(server.Close)
		c := zoho.New(zoho.Options{AccountsURL: a.Sim, BaseURL: server.URL, ClientID: "1000.CLIENT", ClientSecret: "clientsecret", RefreshToken: "1000.refreshtoken"})
		if _, err := c.Setup(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		f := connectors.FileChange{Message: connectors.MessageChange{RecordID: "5725767000000411680"}, Name: "a.pdf", Content: []byte("x")}
		if r := c.AttachFile(t.Context(), f); r.Err == nil || r.Err.Class != want {
			t.Errorf("%q: %+v, want %s", code, r.Err, want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A program that is restarted often does not use up the tokens that Zoho
// issues.
func TestATokenOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	sim := zohosim.New(zohosim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r"})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	var kept zoho.AccessToken
	for range 15 {
		c := zoho.New(zoho.Options{
			AccountsURL: server.URL, ClientID: "c", ClientSecret: "s", RefreshToken: "r",
			Kept: kept, Keep: func(k zoho.AccessToken) { kept = k },
		})
		if _, err := c.ListUsers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept.Issued) != 1 || kept.Value == "" {
		t.Errorf("%d tokens were issued, want one", len(kept.Issued))
	}
	sim.Advance(2 * time.Hour) // it has died meanwhile
	c := zoho.New(zoho.Options{AccountsURL: server.URL, ClientID: "c", ClientSecret: "s", RefreshToken: "r", Kept: kept, Keep: func(k zoho.AccessToken) { kept = k }})
	if _, err := c.ListUsers(t.Context()); err != nil || len(kept.Issued) != 2 {
		t.Errorf("error %v with a dead token, %d issued; want it replaced", err, len(kept.Issued))
	}
}
