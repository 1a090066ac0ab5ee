package zoho

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

const users = "GET users"

func oneUser(ask) (int, any) {
	return 200, m{"users": []m{{"id": "9", "full_name": "A", "email": "a@b.it", "status": "active", "profile": m{"id": "77"}}}, "info": m{"count": 1, "more_records": false}}
}

func TestManyCallersShareOneToken(t *testing.T) {
	o, c := newOrg(t)
	o.on(users, oneUser)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.ListUsers(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if o.issued != 1 {
		t.Errorf("%d tokens for 20 calls", o.issued)
	}
}

func TestATokenThatZohoForgetsIsReplacedOnceForAll(t *testing.T) {
	o, c := newOrg(t)
	o.on(users, oneUser)
	if _, err := c.ListUsers(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	o.valid = func(token string) bool { return token != "1000.access1" }
	o.mu.Unlock()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := c.ListUsers(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if o.issued != 2 {
		t.Errorf("%d tokens", o.issued)
	}
}

// A token of the wrong data centre is refused for ever.
func TestATokenThatIsNeverAcceptedIsNotReplacedInALoop(t *testing.T) {
	o, c := newOrg(t)
	o.valid = func(string) bool { return false }
	for range 20 {
		_, err := c.ListUsers(t.Context())
		if e := connectors.AsError(err); e.Class != connectors.Unauthorized || e.Code != "INVALID_TOKEN" {
			t.Fatalf("got %v", err)
		}
	}
	if o.issued != 1 {
		t.Errorf("%d tokens", o.issued)
	}
}

func TestWhatTheAccountsServerSays(t *testing.T) {
	const busy = `{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`
	tests := map[string]struct {
		status int
		body   any
		want   connectors.Error
	}{
		"revoked":                      {200, `{"error":"invalid_code"}`, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_CODE"}},
		"wrong client":                 {200, `{"error":"invalid_client"}`, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_CLIENT"}},
		"wrong secret":                 {200, `{"error":"invalid_client_secret"}`, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_CLIENT_SECRET"}},
		"something else":               {400, `{"error":"general_error"}`, connectors.Error{Class: connectors.Unauthorized, Code: "REFRESH_REFUSED"}},
		"too many refreshes":           {400, busy, connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_TOKENS", RetryAfter: window}},
		"too many refreshes, with 200": {200, busy, connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_TOKENS", RetryAfter: window}},
		"an outage":                    {503, `<html>`, connectors.Error{Class: connectors.Transient}},
		"a page":                       {200, `<html>sign in</html>`, connectors.Error{Class: connectors.Transient}},
		"nothing":                      {200, `{}`, connectors.Error{Class: connectors.Transient}},
		"an empty token":               {200, `{"access_token":""}`, connectors.Error{Class: connectors.Transient}},
		"broken off":                   {0, nil, connectors.Error{Class: connectors.Transient}},
		"no address":                   {200, `{"access_token":"1000.x"}`, connectors.Error{Class: connectors.Unauthorized, Code: "NO_API_DOMAIN"}},
		"an odd address":               {200, `{"access_token":"1000.x","api_domain":"file:///etc"}`, connectors.Error{Class: connectors.Unauthorized, Code: "NO_API_DOMAIN"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.grant = func(int) (int, any) { return test.status, test.body }
			_, err := c.ListUsers(t.Context())
			e := connectors.AsError(err)
			if e.Class != test.want.Class || e.Code != test.want.Code || e.RetryAfter != test.want.RetryAfter || strings.Contains(e.Error(), "1000.") {
				t.Errorf("got %+v, want %+v", e, test.want)
			}
		})
	}
}

func TestARefusalIsRemembered(t *testing.T) {
	o, c := newOrg(t)
	o.grant = func(int) (int, any) { return 200, `{"error":"invalid_code"}` }
	for range 10 {
		if _, err := c.ListUsers(t.Context()); connectors.AsError(err).Class != connectors.Unauthorized {
			t.Fatalf("got %v", err)
		}
	}
	if o.issued != 1 {
		t.Errorf("asked %d times", o.issued)
	}
}

// bubble is a token cache whose accounts server is a function, for tests in
// which time is fake.
func bubble(refresh func(n int) (*token, *connectors.Error)) (*tokens, *int) {
	n := 0
	t := newTokens(Options{})
	t.ask = func(context.Context) (*token, bool, *connectors.Error) {
		n++
		tok, err := refresh(n)
		return tok, err == nil, err
	}
	return t, &n
}

func fresh(n int) *token {
	now := time.Now()
	return &token{value: fmt.Sprint(n), issued: now, stale: now.Add(lifetime - early), dead: now.Add(lifetime)}
}

func TestATokenIsReplacedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		tokens, n := bubble(func(n int) (*token, *connectors.Error) {
			if down {
				return nil, &connectors.Error{Class: connectors.Transient}
			}
			return fresh(n), nil
		})
		get := func(want string) {
			t.Helper()
			tok, err := tokens.get(t.Context())
			if err != nil || tok.value != want {
				t.Fatalf("got %v, %v, want %s", tok, err, want)
			}
		}
		get("1")
		time.Sleep(54 * time.Minute)
		get("1")
		time.Sleep(90 * time.Second)
		get("2")

		// The old one serves while no other can be had.
		down = true
		time.Sleep(56 * time.Minute)
		get("2")
		get("2")
		if *n != 3 {
			t.Errorf("asked %d times", *n)
		}
		time.Sleep(5 * time.Minute)
		if _, err := tokens.get(t.Context()); err == nil || err.Class != connectors.Transient {
			t.Errorf("got %v", err)
		}
		down = false
		get("5")
	})
}

func TestNoMoreTokensThanZohoIssues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, n := bubble(func(n int) (*token, *connectors.Error) { return fresh(n), nil })
		tok, _ := tokens.get(t.Context())
		for {
			tokens.accepted(tok)
			next, err := tokens.replace(t.Context(), tok)
			if err != nil {
				if err.Class != connectors.Throttled || err.RetryAfter != window {
					t.Fatalf("got %+v", err)
				}
				break
			}
			tok = next
		}
		if *n != budget {
			t.Errorf("%d tokens", *n)
		}
		time.Sleep(window + time.Second)
		if _, err := tokens.get(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestACallerWhoGivesUpDoesNotTakeTheTokenAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, n := bubble(func(n int) (*token, *connectors.Error) {
			time.Sleep(time.Second)
			return fresh(n), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := tokens.get(ctx); err == nil || err.Class != connectors.Transient {
			t.Errorf("got %v", err)
		}
		if tok, err := tokens.get(t.Context()); err != nil || tok.value != "1" || *n != 1 {
			t.Errorf("got %v, %v", tok, err)
		}
	})
}
