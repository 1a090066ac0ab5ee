package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/bitrix24"
	"crmsync/connectors/bitrix24/bitrix24sim"
	"crmsync/connectors/guard"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/hubspotsim"
)

// inProcess carries requests to a simulator without a network.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// An account allows half of the quota that is configured, as with a smaller
// tier. HubSpot says so, and hardly a call is refused; Bitrix24 does not, and
// calls adapt to its refusals.
func TestAnAccountWithHalfOfTheConfiguredQuota(t *testing.T) {
	for name, tt := range map[string]struct {
		account func() (http.Handler, connectors.Connector, *guard.Limiter, func())
		// allowed are the calls in twenty minutes, refused how many of a
		// hundred may be.
		allowed, refused int
	}{
		"HubSpot": {func() (http.Handler, connectors.Connector, *guard.Limiter, func()) {
			server := hubspotsim.New(hubspotsim.Options{Token: "token", Limits: hubspotsim.Limits{TenSeconds: 20}})
			l := guard.NewLimiter(40, 10*time.Second)
			return server, hubspot.New(hubspot.Options{
				BaseURL: "http://hubspot.test", Token: hubspot.StaticToken("token"), Pace: l.Pace, Granted: l.Learn, HTTP: &http.Client{Transport: inProcess{server}},
			}), l, server.Close
		}, 20 * 120, 0},
		"Bitrix24": {func() (http.Handler, connectors.Connector, *guard.Limiter, func()) {
			server := bitrix24sim.New(bitrix24sim.Options{Secret: "secret", Limits: bitrix24sim.Limits{Rate: 1, Burst: 25}})
			l := guard.NewBucket(50, 2)
			return server, bitrix24.New(bitrix24.Options{
				WebhookURL: "http://portal.test/rest/7/secret/", Pace: l.Pace, Quota: l.Wait, PerSecond: 2, HTTP: &http.Client{Transport: inProcess{server}},
			}), l, server.Close
		}, 20 * 60, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, connector, limiter, stop := tt.account()
				defer stop()
				g := guard.New(connector, guard.Options{Limiter: limiter})
				work := func(d time.Duration) (calls, refused int) {
					before := statsNow(t, server)
					ctx, cancel := context.WithTimeout(t.Context(), d)
					defer cancel()
					for g.Wait(ctx, false) == nil {
						for _, r := range g.ReadContacts(ctx, []string{"1"}, []string{"phone"}) {
							if r.Err != nil && (r.Err.Class == connectors.Transient || r.Err.Class == connectors.Unauthorized) {
								t.Fatal(r.Err)
							}
						}
					}
					after := statsNow(t, server)
					return after.Calls - before.Calls, after.Throttled - before.Throttled
				}
				_, first := work(10 * time.Minute)
				calls, refused := work(20 * time.Minute)
				t.Logf("%d refused in the first ten minutes; in the twenty after that %d of %d, and %d were allowed", first, refused, calls, tt.allowed)
				if refused*100 > calls*tt.refused {
					t.Errorf("%d of %d calls refused", refused, calls)
				}
				if calls-refused < tt.allowed*70/100 {
					t.Errorf("%d calls of %d that were allowed", calls-refused, tt.allowed)
				}
			})
		})
	}
}

func statsNow(t *testing.T, server http.Handler) (s struct{ Calls, Throttled int }) {
	t.Helper()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_sim/stats", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
