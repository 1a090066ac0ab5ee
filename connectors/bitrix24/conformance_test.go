package bitrix24_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"crmsync/connectors/bitrix24"
	"crmsync/connectors/bitrix24/bitrix24sim"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/guard"
)

var vendor = connectortest.Vendor{
	Names: connectortest.Names{
		First: "NAME", Last: "LAST_NAME", Phone: "PHONE", Owner: "ASSIGNED_BY_ID",
		Text: "UF_CRM_SUITE_TEXT", Long: "UF_CRM_SUITE_LONG", Number: "UF_CRM_SUITE_NUMBER", Time: "UF_CRM_SUITE_TIME", Enum: "UF_CRM_SUITE_CHOICE", Labels: "UF_CRM_SUITE_LABELS",
		Bad: "UF_CRM_SUITE_CHOICE", BadValue: "perhaps",
	},
	Cannot: map[string]string{
		"an expired token is no trouble": "the secret of an inbound webhook does not expire; OAuth applications are tested by themselves",
		"deletions are told":             "Bitrix24 has no list of deletions: they are told by events, or seen by comparing all ids",
	},
	Webhook: func(*testing.T) connectortest.Webhook {
		return connectortest.Webhook{
			Receiver: bitrix24.NewReceiver("applicationtoken", ""),
			Header:   http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body: []byte("event=ONCRMCONTACTUPDATE&event_handler_id=12&data%5BFIELDS%5D%5BID%5D=901&ts=1788246000&auth%5Bdomain%5D=acme.bitrix24.com" +
				"&auth%5Bmember_id%5D=0123456789abcdef0123456789abcdef&auth%5Bapplication_token%5D=applicationtoken"),
			Record: "901", Secret: "applicationtoken",
		}
	},
}

func openAccount(t *testing.T) *connectortest.Account {
	sim := bitrix24sim.New(bitrix24sim.Options{UserID: 1, Secret: "webhooksecret", ApplicationToken: "applicationtoken", Quota: "off"})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	return &connectortest.Account{
		Connector: bitrix24.New(bitrix24.Options{
			WebhookURL: server.URL + "/rest/1/webhooksecret/", Timeout: time.Second, BatchTimeout: 3 * time.Second,
		}),
		Sim: server.URL, Secrets: []string{"webhooksecret"},
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
			a.Connector = guard.New("bitrix24", a.Connector, guard.Options{Failures: 100})
			return a
		}
		connectortest.Run(t, guarded)
	})
}
