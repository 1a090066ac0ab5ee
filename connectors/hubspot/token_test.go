package hubspot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// A mint is HubSpot's token endpoint without a network, so that it fits into a
// bubble. It numbers the tokens it makes.
type mint struct {
	mu     sync.Mutex
	forms  []url.Values
	paths  []string
	takes  time.Duration
	rotate bool
	refuse func(path string) (status int, body string)
}

func (m *mint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	m.mu.Lock()
	m.forms, m.paths = append(m.forms, form), append(m.paths, r.URL.Path)
	n, takes, refuse, refresh := len(m.forms), m.takes, m.refuse, form.Get("refresh_token")
	if m.rotate {
		refresh = fmt.Sprintf("na1-%d", n)
	}
	m.mu.Unlock()
	time.Sleep(takes)
	status, answer := 200, fmt.Sprintf(`{"token_type":"bearer","access_token":"token-%d","refresh_token":"%s","expires_in":1800}`, n, refresh)
	if refuse != nil {
		if s, b := refuse(r.URL.Path); s != 0 {
			status, answer = s, b
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func (m *mint) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.forms)
}

func newSource(m *mint, save func(context.Context, string) error) *TokenSource {
	return NewTokenSource(OAuth{
		ClientID: "id", ClientSecret: "client-secret", RefreshToken: "na1-0",
		SaveRefreshToken: save, HTTP: &http.Client{Transport: m},
	})
}

func wantToken(t *testing.T, s *TokenSource, want string) {
	t.Helper()
	if got, err := s.Token(t.Context()); err != nil || got != want {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}

func TestATokenIsGotOnceAndReplacedFiveMinutesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{takes: time.Second}
		s := newSource(m, nil)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { wantToken(t, s, "token-1") })
		}
		all.Wait()
		if f := m.forms[0]; m.count() != 1 || f.Get("grant_type") != "refresh_token" || f.Get("refresh_token") != "na1-0" || f.Get("client_id") != "id" || f.Get("client_secret") != "client-secret" {
			t.Errorf("got %d requests, the first %v", m.count(), f)
		}
		time.Sleep(24 * time.Minute)
		wantToken(t, s, "token-1")
		time.Sleep(time.Minute)
		start := time.Now()
		wantToken(t, s, "token-1")
		if time.Since(start) > 0 || m.count() != 1 {
			t.Error("somebody waits for a token while there is a good one")
		}
		time.Sleep(2 * time.Second)
		wantToken(t, s, "token-2")
		time.Sleep(time.Hour)
		wantToken(t, s, "token-3")
	})
}

func TestATokenIsUsedToItsEndWhenThereIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{}
		s := newSource(m, nil)
		wantToken(t, s, "token-1")
		m.refuse = func(string) (int, string) { return 503, "<html>" }
		for range 29 * 60 {
			wantToken(t, s, "token-1")
			time.Sleep(time.Second)
		}
		if n := m.count(); n > 1+10 {
			t.Errorf("%d requests in four minutes' outage", n)
		}
		time.Sleep(time.Minute)
		_, err := s.Token(t.Context())
		if e := connectors.AsError(err); e.Class != connectors.Transient {
			t.Errorf("got %v, want transient", err)
		}
	})
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{takes: time.Second}
		s := newSource(m, nil)
		wantToken(t, s, "token-1")
		if err := s.Renew(t.Context(), "token-1"); connectors.AsError(err).Class != connectors.Unauthorized || m.count() != 1 {
			t.Errorf("a new token is replaced for being refused: %v", err)
		}
		time.Sleep(2 * time.Minute)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := s.Renew(t.Context(), "token-1"); err != nil {
					t.Error(err)
				}
				wantToken(t, s, "token-2")
			})
		}
		all.Wait()
		if err := s.Renew(t.Context(), "token-1"); err != nil || m.count() != 2 {
			t.Errorf("got %d tokens, %v", m.count(), err)
		}
	})
}

func TestANewRefreshTokenIsStoredBeforeTheAccessTokenIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saved []string
		broken := true
		m := &mint{rotate: true, takes: time.Second}
		s := newSource(m, func(_ context.Context, token string) error {
			if broken {
				return errors.New("disk full")
			}
			saved = append(saved, token)
			return nil
		})
		for range 3 {
			_, err := s.Token(t.Context())
			if e := connectors.AsError(err); e == nil || e.Class != connectors.Transient || m.count() != 1 {
				t.Errorf("got %v after %d requests", err, m.count())
			}
		}
		broken = false
		wantToken(t, s, "token-1")

		// Who gives up does not take the new refresh token along.
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		wantToken(t, s, "token-2")
		if got := m.forms[1].Get("refresh_token"); got != "na1-1" || strings.Join(saved, " ") != "na1-1 na1-2" {
			t.Errorf("used %s, saved %v", got, saved)
		}
	})
}

func TestTheRefreshTokenThatAnotherReplicaStoredIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{}
		var stored string
		var loading error
		s := NewTokenSource(OAuth{
			ClientID: "id", ClientSecret: "client-secret", RefreshToken: "na1-0", HTTP: &http.Client{Transport: m},
			LoadRefreshToken: func(context.Context) (string, error) { return stored, loading },
			SaveRefreshToken: func(_ context.Context, token string) error { t.Errorf("saved %s again", token); return nil },
		})
		wantToken(t, s, "token-1")
		stored = "na1-9"
		time.Sleep(time.Hour)
		wantToken(t, s, "token-2")
		loading = errors.New("database down, na1-9")
		time.Sleep(time.Hour)
		if _, err := s.Token(t.Context()); err == nil || connectors.AsError(err).Class != connectors.Transient || strings.Contains(err.Error(), "na1") || m.count() != 2 {
			t.Errorf("got %v after %d requests", err, m.count())
		}
		loading = nil
		wantToken(t, s, "token-3")
		var used []string
		for _, f := range m.forms {
			used = append(used, f.Get("refresh_token"))
		}
		if got := strings.Join(used, " "); got != "na1-0 na1-9 na1-9" {
			t.Errorf("used %s", got)
		}
	})
}

// What could not be stored is newer than what is.
func TestARefreshTokenThatIsNotStoredYetIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{rotate: true}
		stored, saving := "na1-0", errors.New("disk full")
		s := NewTokenSource(OAuth{
			ClientID: "id", ClientSecret: "client-secret", RefreshToken: "na1-0", HTTP: &http.Client{Transport: m},
			LoadRefreshToken: func(context.Context) (string, error) { return stored, nil },
			SaveRefreshToken: func(_ context.Context, token string) error {
				if saving == nil {
					stored = token
				}
				return saving
			},
		})
		for range 2 {
			if _, err := s.Token(t.Context()); err == nil || connectors.AsError(err).Class != connectors.Transient {
				t.Errorf("got %v, want transient", err)
			}
			time.Sleep(time.Hour)
		}
		saving = nil
		wantToken(t, s, "token-3")
		if got := m.forms[1].Get("refresh_token") + " " + m.forms[2].Get("refresh_token") + " " + stored; got != "na1-1 na1-2 na1-3" {
			t.Errorf("used and stored %s", got)
		}
	})
}

func TestWhyThereIsNoToken(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   connectors.Error
	}{
		"revoked":            {400, `{"error":"invalid_grant","error_description":"refresh token is invalid, expired or revoked","status":"BAD_REFRESH_TOKEN","message":"refresh token na1-0 is invalid"}`, connectors.Error{Class: connectors.Unauthorized, Code: "BAD_REFRESH_TOKEN"}},
		"revoked, in 2023":   {400, `{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","correlationId":"c"}`, connectors.Error{Class: connectors.Unauthorized, Code: "BAD_REFRESH_TOKEN"}},
		"wrong secret":       {400, `{"status":"BAD_CLIENT_SECRET","message":"client-secret"}`, connectors.Error{Class: connectors.Unauthorized, Code: "BAD_CLIENT_SECRET"}},
		"account gone":       {400, `{"error":"access_denied","status":"BAD_HUB"}`, connectors.Error{Class: connectors.Unauthorized, Code: "BAD_HUB"}},
		"something else":     {403, `{"status":"error"}`, connectors.Error{Class: connectors.Unauthorized}},
		"too many":           {429, `{"status":"error","message":"You have reached your rate limit.","errorType":"RATE_LIMIT","policyName":"SECONDLY"}`, connectors.Error{Class: connectors.Throttled, Code: "SECONDLY"}},
		"outage":             {502, `<html>`, connectors.Error{Class: connectors.Transient}},
		"firewall":           {403, `<html>`, connectors.Error{Class: connectors.Transient}},
		"no such address":    {404, `<html>`, connectors.Error{Class: connectors.Transient, Code: "NO_SUCH_ADDRESS"}},
		"nothing in it":      {200, `{}`, connectors.Error{Class: connectors.Transient}},
		"not HubSpot's JSON": {200, `[]`, connectors.Error{Class: connectors.Transient}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mint{refuse: func(string) (int, string) { return tt.status, tt.body }}
			_, err := newSource(m, nil).Token(t.Context())
			e := connectors.AsError(err)
			if e == nil || e.Class != tt.want.Class || e.Code != tt.want.Code || strings.Contains(e.Error(), "na1-") || strings.Contains(e.Error(), "client-secret") {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestTheTokenEndpointOfTheOlderVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{refuse: func(path string) (int, string) {
			if path == "/oauth/2026-09/token" {
				return 404, "<html>"
			}
			return 0, ""
		}}
		s := newSource(m, nil)
		wantToken(t, s, "token-2")
		time.Sleep(time.Hour)
		wantToken(t, s, "token-3")
		if got := strings.Join(m.paths, " "); got != "/oauth/2026-09/token /oauth/2026-03/token /oauth/2026-03/token" {
			t.Errorf("asked %s", got)
		}
	})
}

func TestTheEndWaitsForARefreshTokenToBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := ""
		m := &mint{rotate: true, takes: 2 * time.Second}
		s := newSource(m, func(_ context.Context, token string) error { time.Sleep(time.Second); stored = token; return nil })
		s.Wait(t.Context()) // nothing is under way
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := s.Token(short); err == nil {
			t.Fatal("a token in no time")
		}
		began := time.Now()
		s.Wait(short)
		if time.Since(began) != 0 || stored != "" {
			t.Errorf("waited %v with a context that is over", time.Since(began))
		}
		s.Wait(t.Context())
		if stored != "na1-1" {
			t.Errorf("stored %q at the end, want the new refresh token", stored)
		}
	})
}
