package hubspot

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// OAuth is an installation of an app in an account.
type OAuth struct {
	// BaseURL and APIVersion are as in [Options].
	BaseURL    string
	APIVersion string

	ClientID     string
	ClientSecret string
	RefreshToken string

	// LoadRefreshToken returns the refresh token that was stored last, by
	// whichever program; empty if none was. It is asked before each renewal.
	// Nil is the one that this source has.
	LoadRefreshToken func(ctx context.Context) (string, error)

	// SaveRefreshToken stores a refresh token that replaces the one before.
	// No access token is handed out while that has not worked: the token
	// before may not be good any more. Nil forgets it.
	SaveRefreshToken func(ctx context.Context, token string) error

	// Timeout is how long getting or saving a token may take.
	//
	// Defaults to 10 seconds.
	Timeout time.Duration

	// HTTP makes the calls; nil is a client of its own.
	HTTP *http.Client
}

// A TokenSource has the access tokens of an installation, which HubSpot makes
// for half an hour. It is safe for concurrent use, and never gets two tokens
// at a time.
type TokenSource struct {
	oauth   OAuth
	rest    rest.Client
	path    string
	version version

	mu sync.Mutex
	// refresh is the refresh token; unsaved while it has not been stored.
	refresh string
	unsaved bool
	// access is the access token, empty while there is none; got is when, due
	// when another one should be got and expires when it has to be there.
	access            string
	got, due, expires time.Time
	// under is what is under way, nil for nothing.
	under *renewal
}

// A renewal ends when done is closed; err is nil if there is a new token then.
type renewal struct {
	done chan struct{}
	err  *connectors.Error
}

const (
	// ahead is how long before its end a token is replaced: HubSpot's edge
	// refuses some that are not quite over.
	ahead = 5 * time.Minute
	// again is how long after a failure to try again to replace a token that
	// is still good.
	again = 30 * time.Second
	// young is the age below which a token is not replaced for being refused.
	young = 10 * time.Second
)

// NewTokenSource returns the source of an installation's tokens, whose methods
// Token and Renew are those of [Options]. It makes no call.
func NewTokenSource(o OAuth) *TokenSource {
	o.BaseURL = strings.TrimRight(cmp.Or(o.BaseURL, "https://api.hubapi.com"), "/")
	o.APIVersion = cmp.Or(o.APIVersion, DefaultVersion)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	s := &TokenSource{
		oauth: o, refresh: o.RefreshToken,
		path: "/oauth/" + o.APIVersion + "/token", version: version{wanted: o.APIVersion},
	}
	s.rest.Base, s.rest.HTTP, s.rest.Timeout = o.BaseURL, o.HTTP, o.Timeout
	return s
}

// Token returns an access token. One that is about to expire is replaced
// behind the caller's back; only without a good one does the caller wait.
func (s *TokenSource) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	token, now := s.access, time.Now()
	good := token != "" && now.Before(s.expires) && !s.unsaved
	if good && now.Before(s.due) {
		s.mu.Unlock()
		return token, nil
	}
	r := s.begin(ctx)
	s.mu.Unlock()
	if good {
		return token, nil
	}
	if err := r.wait(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access, nil
}

// Renew is told of a token that HubSpot has refused. A 401 by itself is no
// proof that a token is over (HubSpot: API usage guidelines): one that is brand
// new is not replaced.
func (s *TokenSource) Renew(ctx context.Context, refused string) error {
	s.mu.Lock()
	if s.access == refused {
		if time.Since(s.got) < young {
			s.mu.Unlock()
			return &connectors.Error{Class: connectors.Unauthorized, Status: http.StatusUnauthorized, Reason: "HubSpot does not accept a token that it has just made"}
		}
		s.access = ""
	}
	if s.access != "" {
		s.mu.Unlock()
		return nil
	}
	r := s.begin(ctx)
	s.mu.Unlock()
	return r.wait(ctx)
}

func (r *renewal) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// begin joins the renewal that is under way, or begins one. Nobody who loses
// interest ends it: the refresh token that it brings may be the only one that
// is good. The lock is held.
func (s *TokenSource) begin(ctx context.Context) *renewal {
	if s.under == nil {
		r := &renewal{done: make(chan struct{})}
		s.under = r
		go func() {
			err := s.replace(context.WithoutCancel(ctx))
			s.mu.Lock()
			defer s.mu.Unlock()
			if now := time.Now(); err != nil && !now.Before(s.due) {
				s.due = now.Add(again)
			}
			r.err, s.under = err, nil
			close(r.done)
		}()
	}
	return s.under
}

// Wait returns when no renewal is under way, or with ctx: whoever ends the
// program before might lose the only refresh token that is good.
func (s *TokenSource) Wait(ctx context.Context) {
	s.mu.Lock()
	r := s.under
	s.mu.Unlock()
	if r != nil {
		_ = r.wait(ctx)
	}
}

// replace gets a token, unless it is only for the refresh token to be saved.
func (s *TokenSource) replace(ctx context.Context) *connectors.Error {
	s.mu.Lock()
	now := time.Now()
	wanted := s.access == "" || !now.Before(s.due) || !now.Before(s.expires)
	s.mu.Unlock()
	if wanted {
		refresh, err := s.load(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		g, err := s.grant(ctx, refresh)
		if err != nil {
			return err
		}
		s.take(g, start)
	}
	return s.save(ctx)
}

// load returns the refresh token to use.
func (s *TokenSource) load(ctx context.Context) (string, *connectors.Error) {
	s.mu.Lock()
	refresh, unsaved := s.refresh, s.unsaved
	s.mu.Unlock()
	if unsaved || s.oauth.LoadRefreshToken == nil {
		return refresh, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.oauth.Timeout)
	defer cancel()
	newest, err := s.oauth.LoadRefreshToken(ctx)
	if err != nil {
		return "", &connectors.Error{Class: connectors.Transient, Reason: "the refresh token that was stored last cannot be read"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh = cmp.Or(newest, s.refresh)
	return s.refresh, nil
}

// A grant is what HubSpot answers to a refresh token.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
}

func (s *TokenSource) take(g grant, at time.Time) {
	life := time.Duration(g.ExpiresIn) * time.Second
	if life <= 0 {
		life = ahead
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access, s.got, s.expires = g.AccessToken, at, at.Add(life)
	s.due = s.expires.Add(-min(ahead, life/4))
	if g.RefreshToken != "" && g.RefreshToken != s.refresh {
		s.refresh, s.unsaved = g.RefreshToken, s.oauth.SaveRefreshToken != nil
	}
}

// save stores a refresh token that has not been stored yet.
func (s *TokenSource) save(ctx context.Context) *connectors.Error {
	s.mu.Lock()
	refresh, unsaved := s.refresh, s.unsaved
	s.mu.Unlock()
	if !unsaved {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.oauth.Timeout)
	defer cancel()
	if s.oauth.SaveRefreshToken(ctx, refresh) != nil {
		return &connectors.Error{Class: connectors.Transient, Reason: "HubSpot's new refresh token cannot be stored"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = false
	return nil
}

// grant asks for an access token.
func (s *TokenSource) grant(ctx context.Context, refresh string) (g grant, _ *connectors.Error) {
	r := rest.Request{Method: http.MethodPost, Path: s.version.in(s.path), Form: url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refresh},
		"client_id": {s.oauth.ClientID}, "client_secret": {s.oauth.ClientSecret},
	}}
	a, err := s.rest.Do(ctx, r)
	if err == nil && a.Status == http.StatusNotFound && s.version.doubted() {
		r.Path = s.version.back(s.path)
		if a, err = s.rest.Do(ctx, r); err == nil && a.OK() {
			s.version.older.Store(true)
		}
	}
	switch {
	case err != nil:
		return g, rest.Failure(err, false)
	case a.Status == http.StatusNotFound:
		return g, noSuchAddress()
	case !a.OK():
		return g, refusedGrant(a)
	}
	if err := a.Decode(&g); err != nil {
		return g, rest.Failure(err, false)
	}
	if g.AccessToken == "" {
		return g, &connectors.Error{Class: connectors.Transient, Status: a.Status, Reason: "HubSpot's answer holds no access token"}
	}
	return g, nil
}

// refusedGrant says why there is no token. The code is in status, where other
// errors say "error" (HubSpot: OAuth tokens guide).
func refusedGrant(a *rest.Answer) *connectors.Error {
	var f fault
	if a.Status/100 != 4 || a.Status == http.StatusTooManyRequests || !a.JSON() || json.Unmarshal(a.Body, &f) != nil {
		return classify(a.Status, a.Body, rest.RetryAfter(a.Header, time.Now()), false)
	}
	e := &connectors.Error{Class: connectors.Unauthorized, Code: code(f.Status), Status: a.Status, Reason: "HubSpot makes no token for the app"}
	switch e.Code {
	case "BAD_REFRESH_TOKEN":
		e.Reason = "HubSpot does not accept the refresh token: connect the account again"
	case "BAD_CLIENT_ID", "BAD_CLIENT_SECRET":
		e.Reason = "HubSpot does not accept the app's client id and secret"
	case "BAD_HUB":
		e.Reason = "the HubSpot account is gone, or has removed the app"
	}
	return e
}
