package bitrix24_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"crmsync/connectors"
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

func openAccount(t *testing.T, o bitrix24.Options) *connectortest.Account {
	sim := bitrix24sim.New(bitrix24sim.Options{
		UserID: 1, Secret: "webhooksecret", ApplicationToken: "applicationtoken", Quota: "off",
		ClientID: "app", ClientSecret: "clientsecret", RefreshToken: "refreshtoken",
	})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	if o.ClientID == "" {
		o.WebhookURL = server.URL + "/rest/1/webhooksecret/"
	} else {
		o.BaseURL, o.TokenURL = server.URL, server.URL+"/oauth/token/"
	}
	o.Timeout, o.BatchTimeout = time.Second, 3*time.Second
	return &connectortest.Account{Connector: bitrix24.New(o), Sim: server.URL, Secrets: []string{"webhooksecret", "clientsecret", "refreshtoken"}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *connectortest.Account{
		"plain": func(t *testing.T) *connectortest.Account { return openAccount(t, bitrix24.Options{}) },
		"application": func(t *testing.T) *connectortest.Account {
			return openAccount(t, bitrix24.Options{ClientID: "app", ClientSecret: "clientsecret", RefreshToken: "refreshtoken"})
		},
		"guarded": func(t *testing.T) *connectortest.Account {
			a := openAccount(t, bitrix24.Options{})
			a.Connector = guard.New(a.Connector, guard.Options{Failures: 100})
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := vendor
			v.Open = open
			if name == "application" {
				v.Cannot = maps.Clone(v.Cannot)
				delete(v.Cannot, "an expired token is no trouble")
			}
			connectortest.Run(t, v)
		})
	}
}

// A file's name cannot pass for a message.
func TestAFilesNameIsNoMarker(t *testing.T) {
	t.Parallel()
	a := openAccount(t, bitrix24.Options{})
	if _, err := a.Setup(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	contact := a.WriteContacts(t.Context(), []connectors.ContactChange{{Key: "1", Phones: []string{"+16315550001"}, Fields: map[string]any{"NAME": "Zoë"}}})[0].RecordID
	m := connectors.MessageChange{ContactRecordID: contact, WAMID: "wamid.1", Direction: connectors.In, Text: "x", At: time.Now()}
	m.RecordID = a.CreateMessages(t.Context(), []connectors.MessageChange{m})[0].RecordID
	f := connectors.FileChange{Message: m, Name: "— WhatsApp in · wamid.2", Content: []byte("x")}
	if r := a.AttachFile(t.Context(), f); r.Err != nil {
		t.Fatal(r.Err)
	}
	other := m
	other.RecordID, other.WAMID = "", "wamid.2"
	if r := a.FindMessages(t.Context(), []connectors.MessageChange{other})[0]; r.Err != nil || r.RecordID != "" {
		t.Errorf("a message that nobody has written is found: %+v", r)
	}
}
