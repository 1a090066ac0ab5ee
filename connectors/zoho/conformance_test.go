package zoho_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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

func openAccount(t *testing.T) *connectortest.Account {
	o := zohosim.Options{ClientID: "1000.CLIENT", ClientSecret: "clientsecret", RefreshToken: "1000.refreshtoken", Quota: "off", Lag: true}
	sim := zohosim.New(o)
	server := httptest.NewServer(sim)
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
	v := vendor
	v.Open = openAccount
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		connectortest.Run(t, v)
	})
	t.Run("guarded", func(t *testing.T) {
		t.Parallel()
		guarded := v
		guarded.Open = func(t *testing.T) *connectortest.Account {
			a := openAccount(t)
			a.Connector = guard.New("zoho", a.Connector, guard.Options{Failures: 100})
			return a
		}
		connectortest.Run(t, guarded)
	})
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
