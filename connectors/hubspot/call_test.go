package hubspot

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestTheOlderVersionIsUsedWhereTheNewerIsUnknown(t *testing.T) {
	p, c := newPortal(t)
	p.on(find, say(404, "<html>not found</html>"))
	p.on("POST objects/2026-03/contacts/search", nobody)
	p.on("POST objects/2026-03/contacts/batch/upsert", accept)
	for range 2 {
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{contact("393470000001")}), "+9000")
	}
	if n := len(p.calls(find)); n != 1 {
		t.Errorf("the newer version was tried %d times", n)
	}
}

func TestAnOlderVersionIsNotTriedWhen(t *testing.T) {
	t.Run("the newer has been seen to work", func(t *testing.T) {
		p, c := newPortal(t)
		p.on(contactFields, list(defined("string", "firstname")))
		p.on(messageFields, say(404, "{}"))
		_, _ = c.Setup(t.Context(), nil, false)
	})
	t.Run("somebody has chosen it", func(t *testing.T) {
		p, c := newPortal(t)
		c.paths, c.version.wanted = pathsOf("v3"), "v3"
		p.on("GET v3/properties/contacts", say(404, "{}"))
		_, _ = c.Setup(t.Context(), nil, false)
	})
	t.Run("a record is missing", func(t *testing.T) {
		p, c := newPortal(t)
		p.on("GET objects/2026-09/contacts/5", say(404, m{"message": "resource not found"}))
		if _, err := c.survivor(t.Context(), "5"); err.Class != connectors.Conflict {
			t.Errorf("got %v", err)
		}
	})
}

// A desk answers with what a test's function says, whatever is asked.
func newDesk(t *testing.T, o Options, answer func(w http.ResponseWriter, r *http.Request)) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(answer))
	o.BaseURL, o.Timeout, o.BatchTimeout = s.URL, 2*time.Second, 2*time.Second
	c := New(o)
	t.Cleanup(func() { c.rest.CloseIdle(); s.Close() })
	return c
}

func (c *Client) knock(t *testing.T, k kind) *connectors.Error {
	t.Helper()
	return c.call(t.Context(), k, http.MethodGet, c.paths.owners, nil, nil, nil)
}

func TestATokenThatHubSpotRefusesIsReplacedOnceAndTheCallRepeatedOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		good  string
		renew func(string) error
		want  connectors.Class
		asked []string
	}{
		"expired":          {"new", nil, "", []string{"old", "new"}},
		"never any good":   {"other", nil, connectors.Unauthorized, []string{"old", "new"}},
		"cannot be":        {"new", func(string) error { return &connectors.Error{Class: connectors.Throttled} }, connectors.Throttled, []string{"old"}},
		"not put in words": {"new", func(string) error { return errors.New("x") }, connectors.Transient, []string{"old"}},
	} {
		t.Run(name, func(t *testing.T) {
			token, asked := "old", []string(nil)
			c := newDesk(t, Options{
				Token: func(context.Context) (string, error) { return token, nil },
				Renew: func(_ context.Context, refused string) error {
					if refused != "old" {
						t.Errorf("%q was refused", refused)
					}
					if tt.renew != nil {
						return tt.renew(refused)
					}
					token = "new"
					return nil
				},
			}, func(w http.ResponseWriter, r *http.Request) {
				bearer := r.Header.Get("Authorization")[len("Bearer "):]
				asked = append(asked, bearer)
				if bearer != tt.good {
					w.WriteHeader(401)
					_, _ = w.Write([]byte(`{"category":"EXPIRED_AUTHENTICATION"}`))
				}
			})
			var got connectors.Class
			if err := c.knock(t, creating); err != nil {
				got = err.Class
			}
			if got != tt.want || !slices.Equal(asked, tt.asked) {
				t.Errorf("got %q after asking with %q, want %q after %q", got, asked, tt.want, tt.asked)
			}
		})
	}
}

func TestABatchOutlivesItsToken(t *testing.T) {
	m := &mint{}
	s := newSource(m, nil)
	calls := 0
	c := newDesk(t, Options{Token: s.Token, Renew: s.Renew}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		if calls == 1 && r.Header.Get("Authorization") != "Bearer token-1" || calls > 1 && r.Header.Get("Authorization") != "Bearer token-2" {
			t.Errorf("call %d with %s", calls, r.Header.Get("Authorization"))
		}
		if calls == 1 {
			w.WriteHeader(401)
		}
	})
	wantToken(t, s, "token-1")
	s.got = s.got.Add(-time.Hour)
	if err := c.knock(t, creating); err != nil || calls != 2 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestTheLastHundredthOfTheDaysQuotaIsLeftAlone(t *testing.T) {
	var left, calls, zones int
	zone := `{"portalId":1,"timeZone":"US/Nowhere","utcOffsetMilliseconds":3600000}`
	c := newDesk(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/account-info/2026-09/details" {
			zones++
			_, _ = w.Write([]byte(zone))
			return
		}
		calls++
		left--
		w.Header().Set("X-HubSpot-RateLimit-Daily", "1000")
		w.Header().Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.Itoa(left))
		_, _ = w.Write([]byte("{}"))
	})
	left = 53
	for range 3 {
		if err := c.knock(t, plain); err != nil {
			t.Fatal(err)
		}
	}
	if zones != 1 {
		t.Errorf("asked %d times when the day ends", zones)
	}
	left = 11
	if err := c.knock(t, plain); err != nil {
		t.Error(err)
	}
	calls = 0
	err := c.knock(t, plain)
	now := time.Now().In(time.FixedZone("", 3600))
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 1, 0, 0, now.Location())
	if err == nil || err.Class != connectors.Throttled || err.Code != daily || err.RetryAfter.Round(time.Minute) != time.Until(midnight).Round(time.Minute) {
		t.Errorf("got %v, wait %v, want until %v", err, err.RetryAfter, midnight)
	}
	if err := c.knock(t, searching); err == nil || calls != 0 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestWhenADayThatIsUsedUpEnds(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)
	rome := time.FixedZone("", 3600)
	tests := map[string]struct {
		zone       *time.Location
		until      time.Time
		said, want time.Duration
	}{
		"at the account's midnight":              {rome, time.Time{}, 0, 2*time.Hour + 31*time.Minute},
		"when nobody knows":                      {nil, time.Time{}, 0, blind},
		"when HubSpot says so":                   {rome, time.Time{}, 7 * time.Second, 7 * time.Second},
		"as before":                              {rome, now.Add(time.Hour), 0, time.Hour},
		"not tomorrow when it has only begun":    {rome, now.Add(-time.Minute), 0, blind},
		"as usual when the last was yesterday's": {rome, now.Add(-20 * time.Hour), 0, 2*time.Hour + 31*time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := day{zone: tt.zone, until: tt.until}
			if got := d.end(now, tt.said); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if e := d.spent(now); e == nil || e.RetryAfter != tt.want {
				t.Errorf("the next call: %v", e)
			}
			if e := d.spent(now.Add(tt.want)); e != nil {
				t.Errorf("the call after that: %v", e)
			}
		})
	}
}

func TestADailyLimitIsNotHammered(t *testing.T) {
	calls := 0
	c := newDesk(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(429)
		_, _ = w.Write([]byte(`{"status":"error","message":"You have reached your daily limit."}`))
	})
	for range 3 {
		if err := c.knock(t, plain); err == nil || err.Code != daily || err.RetryAfter < 14*time.Minute {
			t.Errorf("got %v", err)
		}
	}
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestHeadersOfADayMayBeMissing(t *testing.T) {
	c := New(Options{})
	for _, h := range []http.Header{{}, {"X-Hubspot-Ratelimit-Daily": {"x"}, "X-Hubspot-Ratelimit-Daily-Remaining": {"0"}}, {"X-Hubspot-Ratelimit-Daily": {"0"}, "X-Hubspot-Ratelimit-Daily-Remaining": {"0"}}} {
		c.today(t.Context(), h)
	}
	if e := c.day.spent(time.Now()); e != nil {
		t.Error(e)
	}
}

// HubSpot's answers say how large the quota is: it depends on what the account
// has bought.
func TestTheQuotaThatHubSpotGrants(t *testing.T) {
	type quota struct {
		requests int
		per      time.Duration
	}
	var told []quota
	c := newDesk(t, Options{Granted: func(n int, per time.Duration) { told = append(told, quota{n, per}) }}, func(w http.ResponseWriter, _ *http.Request) {
		if len(told) == 0 {
			w.Header().Set("X-HubSpot-RateLimit-Max", "100")
			w.Header().Set("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
		}
		_, _ = w.Write([]byte(`{"results":[]}`))
	})
	for range 2 {
		_ = c.call(t.Context(), plain, http.MethodGet, "/x", nil, nil, nil)
	}
	if !slices.Equal(told, []quota{{100, 10 * time.Second}}) {
		t.Errorf("told %v", told)
	}
}
