package hubspot_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"crmsync/connectors/connectortest"
	"crmsync/connectors/guard"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/hubspotsim"
)

var vendor = connectortest.Vendor{
	Names: connectortest.Names{
		First: "firstname", Last: "lastname", Phone: "phone", Owner: "hubspot_owner_id",
		Text: "suite_text", Long: "suite_long", Number: "suite_number", Time: "suite_time", Enum: "suite_choice", Labels: "suite_labels",
		Bad: "suite_choice", BadValue: "perhaps",
	},
	Cannot: map[string]string{
		"an expired token is no trouble": "a private app's token does not expire; that of an OAuth installation is tested by itself",
	},
	Webhook: func(*testing.T) connectortest.Webhook {
		const secret, address = "app secret", "https://crm.example.com/webhooks/hubspot"
		now := time.Now()
		body := []byte(fmt.Sprintf(`[{"eventId":1,"subscriptionId":7,"portalId":62515,"appId":54321,"occurredAt":%d,`+
			`"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":101,"propertyName":"phone","propertyValue":"x","changeSource":"CRM_UI"}]`, now.UnixMilli()))
		sign := func(at time.Time) (http.Header, string) {
			stamp := fmt.Sprint(at.UnixMilli())
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte("POST" + address + string(body) + stamp))
			signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
			return http.Header{"X-Hubspot-Signature-V3": {signature}, "X-Hubspot-Request-Timestamp": {stamp}}, signature
		}
		header, signature := sign(now)
		stale, _ := sign(now.Add(-time.Hour))
		return connectortest.Webhook{
			Receiver: hubspot.NewReceiver(secret, address, time.Now),
			Header:   header, Body: body, Record: "101", Stale: stale, Secret: signature,
		}
	},
}

func openAccount(t *testing.T, properties string) *connectortest.Account {
	sim := hubspotsim.New(hubspotsim.Options{Token: "pat-na1-secret", Quota: "off", Lag: true, CustomCommunicationProperties: properties})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	return &connectortest.Account{
		Connector: hubspot.New(hubspot.Options{
			BaseURL: server.URL, Token: hubspot.StaticToken("pat-na1-secret"), Timeout: time.Second, BatchTimeout: time.Second,
		}),
		Sim: server.URL, Secrets: []string{"pat-na1-secret"},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, properties := range []string{"allowed", "refused"} {
		t.Run("properties on messages "+properties, func(t *testing.T) {
			t.Parallel()
			v := vendor
			v.Open = func(t *testing.T) *connectortest.Account { return openAccount(t, properties) }
			connectortest.Run(t, v)
		})
	}
	t.Run("guarded", func(t *testing.T) {
		t.Parallel()
		v := vendor
		v.Open = func(t *testing.T) *connectortest.Account {
			a := openAccount(t, "allowed")
			a.Connector = guard.New(a.Connector, guard.Options{Failures: 100})
			return a
		}
		connectortest.Run(t, v)
	})
}
