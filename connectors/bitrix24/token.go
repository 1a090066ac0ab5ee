package bitrix24

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// tokens are an application's. An access token lives for an hour; a refresh
// token can be used once and brings the next one along (Bitrix24: OAuth).
type tokens struct {
	rest         rest.Client
	id, secret   string
	load         func(ctx context.Context) (string, error)
	save         func(ctx context.Context, token string) error
	timeout      time.Duration
	refreshToken string
	// access is the token to use, empty before the first refresh and after
	// it has expired. unsaved says that refreshToken is not stored yet.
	access  string
	unsaved bool
	// portal is the id of the portal, which outlives its name; empty if
	// Bitrix24 has not told it.
	portal string
	// busy is held by whoever looks at the tokens or refreshes them.
	busy chan struct{}
}

func newTokens(o Options) *tokens {
	t := &tokens{
		id: o.ClientID, secret: o.ClientSecret, load: o.LoadRefreshToken, save: o.SaveRefreshToken, refreshToken: o.RefreshToken,
		// A lost answer costs the installation, so it is waited for.
		timeout: max(o.Timeout, 10*time.Second),
		busy:    make(chan struct{}, 1),
	}
	t.rest.Base = cmp.Or(o.TokenURL, "https://oauth.bitrix.info/oauth/token/")
	t.rest.HTTP = o.HTTP
	t.rest.Observe = o.Observe
	return t
}

// get is the access token. One caller refreshes it, the others wait.
func (t *tokens) get(ctx context.Context) (string, *connectors.Error) {
	if err := acquire(ctx, t.busy); err != nil {
		return "", err
	}
	defer func() { <-t.busy }()
	if t.access == "" {
		if err := t.refresh(ctx); err != nil {
			return "", err
		}
	}
	if t.unsaved {
		if t.store(ctx) != nil {
			return "", &connectors.Error{Class: connectors.Transient, Reason: "the new refresh token cannot be stored"}
		}
		t.unsaved = false
	}
	return t.access, nil
}

// member is the portal's id, empty if Bitrix24 does not tell it.
func (t *tokens) member(ctx context.Context) (string, *connectors.Error) {
	if _, err := t.get(ctx); err != nil {
		return "", err
	}
	if err := acquire(ctx, t.busy); err != nil {
		return "", err
	}
	defer func() { <-t.busy }()
	return t.portal, nil
}

// wait returns when no refresh is under way, or with ctx.
func (t *tokens) wait(ctx context.Context) {
	if acquire(ctx, t.busy) == nil {
		<-t.busy
	}
}

// store keeps the new refresh token. That the caller loses interest does not
// end it.
func (t *tokens) store(ctx context.Context) error {
	if t.save == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timeout)
	defer cancel()
	return t.save(ctx, t.refreshToken)
}

// expire is told that a token has been refused as too old.
func (t *tokens) expire(token string) {
	t.busy <- struct{}{}
	defer func() { <-t.busy }()
	if t.access == token {
		t.access = ""
	}
}

// refresh asks for the next pair of tokens. That the caller loses interest
// does not end it: the old refresh token may be used up by then.
func (t *tokens) refresh(ctx context.Context) *connectors.Error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timeout)
	defer cancel()
	if t.load != nil {
		newest, err := t.load(ctx)
		if err != nil {
			return &connectors.Error{Class: connectors.Transient, Reason: "the refresh token that was stored last cannot be read"}
		}
		t.refreshToken = cmp.Or(newest, t.refreshToken)
	}
	a, err := t.rest.Do(ctx, rest.Request{
		Method: http.MethodGet,
		Query: url.Values{
			"grant_type": {"refresh_token"}, "client_id": {t.id}, "client_secret": {t.secret}, "refresh_token": {t.refreshToken},
		},
		Timeout: t.timeout,
	})
	if err != nil {
		return rest.Failure(err, false)
	}
	var got struct {
		fault
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Member  string `json:"member_id"`
	}
	speaks := a.JSON() && a.Decode(&got) == nil
	if !a.OK() || !speaks || got.Code != nil || got.Access == "" || got.Refresh == "" {
		e := classify(a.Status, speaks, got.fault, false)
		// The token endpoint speaks of nothing but credentials.
		if got.Code != nil && (e.Class == connectors.Unknown || e.Class == connectors.Rejected || e.Code == "INVALID_REQUEST") {
			e.Class, e.Reason = connectors.Unauthorized, "Bitrix24 refuses to refresh the access token"
		}
		return e
	}
	t.access, t.portal = got.Access, got.Member
	if got.Refresh != t.refreshToken {
		t.refreshToken, t.unsaved = got.Refresh, true
	}
	return nil
}
