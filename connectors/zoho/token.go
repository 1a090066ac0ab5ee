package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// What Zoho allows (Zoho: token-validity).
const (
	lifetime = time.Hour
	// early is how long before its end a token is replaced.
	early = 5 * time.Minute
	// window is the time in which at most 10 tokens are issued, budget how
	// many of them we take.
	window = 10 * time.Minute
	budget = 9
	// distrust is how long a new token that was never accepted is not
	// replaced, twice as long the next time, up to maxDistrust: the next one
	// would hardly fare better.
	distrust    = 5 * time.Second
	maxDistrust = 4 * time.Minute
)

// An AccessToken is one that outlives the program. It is a secret.
type AccessToken struct {
	Value string `json:"value"`
	// Domain is the address of the API that takes it.
	Domain string `json:"domain"`
	// Until is when it ends.
	Until time.Time `json:"until"`
	// Issued are when this and earlier tokens were, as far as that counts.
	Issued []time.Time `json:"issued"`
}

// A token is an access token with the address of the API that takes it.
type token struct {
	value, domain string
	issued        time.Time
	// stale is from when on it is replaced, dead from when on it is useless.
	stale, dead time.Time
	// proven says that the API has accepted it. Guarded by tokens.mu.
	proven bool
}

// tokens are the access tokens of an account: one for everybody, replaced by
// one request at a time.
type tokens struct {
	rest rest.Client
	form url.Values
	// needDomain says that the address of the API has to come with the token,
	// plain that it may be one without TLS, as that of the accounts server.
	needDomain, plain bool

	// ask is refresh, but in tests.
	ask func(context.Context) (got *token, issued bool, failure *connectors.Error)

	mu      sync.Mutex
	current *token
	flight  *flight
	// unproven is how many tokens in a row were never accepted.
	unproven int
	// taken are when tokens were issued, or may have been.
	taken []time.Time
	keep  func(AccessToken)
	// quiet is until when nobody asks, because of refusal; refusals are how
	// many there were in a row.
	quiet    time.Time
	refusal  *connectors.Error
	refusals int
}

// A flight is a request for a token that is under way. Its results are read
// after done is closed.
type flight struct {
	done  chan struct{}
	token *token
	err   *connectors.Error
}

func newTokens(o Options) *tokens {
	t := &tokens{
		form: url.Values{
			"grant_type":    {"refresh_token"},
			"client_id":     {o.ClientID},
			"client_secret": {o.ClientSecret},
			"refresh_token": {o.RefreshToken},
		},
		needDomain: o.BaseURL == "",
		plain:      strings.HasPrefix(o.AccountsURL, "http://"),
	}
	t.keep, t.taken = o.Keep, o.Kept.Issued
	if k := o.Kept; k.Value != "" && time.Now().Before(k.Until) && (!t.needDomain || t.trustworthy(k.Domain)) {
		t.current = &token{
			value: k.Value, domain: k.Domain, issued: k.Until.Add(-lifetime), stale: k.Until.Add(-early), dead: k.Until,
			proven: true, // so that it is replaced at once, should it be refused
		}
	}
	t.ask = t.refresh
	t.rest.Base = strings.TrimRight(o.AccountsURL, "/")
	t.rest.HTTP = o.HTTP
	t.rest.Timeout = o.Timeout
	t.rest.Observe = o.Observe
	return t
}

// get returns a token. One that ends soon is still good while no other can be
// had.
func (t *tokens) get(ctx context.Context) (*token, *connectors.Error) {
	now := time.Now()
	t.mu.Lock()
	old := t.current
	if old != nil && now.Before(old.stale) {
		t.mu.Unlock()
		return old, nil
	}
	f, err := t.join(ctx, now)
	t.mu.Unlock()
	if err == nil {
		if err = f.wait(ctx); err == nil {
			return f.token, nil
		}
	}
	if old != nil && now.Before(old.dead) && ctx.Err() == nil {
		return old, nil
	}
	return nil, err
}

// replace returns a token instead of one that the API has refused; nil when
// another would fare no better. A token of the wrong data centre looks like one
// that has expired, for ever (Zoho: multi-dc).
func (t *tokens) replace(ctx context.Context, refused *token) (*token, *connectors.Error) {
	now := time.Now()
	t.mu.Lock()
	if t.current != nil && t.current != refused {
		defer t.mu.Unlock()
		return t.current, nil
	}
	if !refused.proven {
		if now.Sub(refused.issued) < min(distrust<<min(t.unproven, 6), maxDistrust) {
			t.mu.Unlock()
			return nil, nil
		}
		if t.current == refused {
			t.unproven++
		}
	}
	t.current = nil
	f, err := t.join(ctx, now)
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return f.token, nil
}

// accepted notes that the API took the token.
func (t *tokens) accepted(tok *token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok.proven, t.unproven = true, 0
}

func (f *flight) wait(ctx context.Context) *connectors.Error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return &connectors.Error{Class: connectors.Transient, Reason: "cancelled while waiting for a token"}
	}
}

// join returns the request for a token that is under way, or begins one. The
// caller holds mu. The request outlives who began it: others wait for it, and
// a token that nobody took would still count.
func (t *tokens) join(ctx context.Context, now time.Time) (*flight, *connectors.Error) {
	if t.flight != nil {
		return t.flight, nil
	}
	if now.Before(t.quiet) {
		e := *t.refusal
		e.RetryAfter = t.quiet.Sub(now)
		return nil, &e
	}
	for len(t.taken) > 0 && now.Sub(t.taken[0]) > window {
		t.taken = t.taken[1:]
	}
	if len(t.taken) >= budget {
		return nil, &connectors.Error{
			Class: connectors.Throttled, Code: "TOO_MANY_TOKENS", Reason: "Zoho issues no more access tokens for now",
			RetryAfter: t.taken[0].Add(window).Sub(now),
		}
	}
	f := &flight{done: make(chan struct{})}
	t.flight = f
	go func() {
		got, issued, err := t.ask(context.WithoutCancel(ctx))
		t.mu.Lock()
		t.landed(got, issued, err)
		f.token, f.err, t.flight = got, err, nil
		kept := AccessToken{Issued: slices.Clone(t.taken)}
		if t.current != nil {
			kept.Value, kept.Domain, kept.Until = t.current.value, t.current.domain, t.current.dead
		}
		t.mu.Unlock()
		if t.keep != nil && issued {
			t.keep(kept)
		}
		close(f.done)
	}()
	return f, nil
}

// landed takes note of how a request for a token ended. The caller holds mu.
func (t *tokens) landed(got *token, issued bool, err *connectors.Error) {
	now := time.Now()
	if issued {
		t.taken = append(t.taken, now)
	}
	if err == nil {
		t.current, t.refusal, t.refusals = got, nil, 0
		return
	}
	switch err.Class {
	case connectors.Throttled:
		// More tries would prolong it.
		t.refusal, t.quiet = err, now.Add(err.RetryAfter)
	case connectors.Unauthorized:
		t.refusal, t.quiet = err, now.Add(min(time.Second<<min(t.refusals, 6), time.Minute))
		t.refusals++
	default:
		// The token that is still good serves meanwhile.
		if pause := now.Add(10 * time.Second); t.current != nil && pause.Before(t.current.dead) {
			t.refusal, t.quiet = err, pause
		}
	}
}

// A grant is what the accounts server answers, for good or bad.
type grant struct {
	AccessToken string      `json:"access_token"`
	APIDomain   string      `json:"api_domain"`
	ExpiresIn   json.Number `json:"expires_in"`
	Error       value       `json:"error"`
	Description value       `json:"error_description"`
}

// refresh asks for a token. issued says that Zoho has issued one, or may have.
func (t *tokens) refresh(ctx context.Context) (got *token, issued bool, failure *connectors.Error) {
	asked := time.Now()
	a, err := t.rest.Do(ctx, rest.Request{Method: http.MethodPost, Path: "/oauth/v2/token", Form: t.form})
	if err != nil {
		// What was lost is an answer; nothing was written.
		return nil, rest.Failure(err, true).Class == connectors.UnknownOutcome, rest.Failure(err, false)
	}
	g := grant{}
	speaks := a.JSON() && json.Unmarshal(a.Body, &g) == nil
	if !speaks || g.AccessToken == "" || a.Status >= http.StatusInternalServerError {
		return nil, false, refused(a.Status, speaks, &g, rest.RetryAfter(a.Header, asked))
	}
	life := lifetime
	if n, err := g.ExpiresIn.Int64(); err == nil && n > 0 {
		life = time.Duration(n) * time.Second
		if n > 24*3600 {
			life = time.Duration(n) * time.Millisecond // as older servers say it
		}
	}
	got = &token{value: g.AccessToken, domain: strings.TrimRight(g.APIDomain, "/"), issued: asked}
	if t.needDomain && !t.trustworthy(got.domain) {
		return nil, true, &connectors.Error{
			Class: connectors.Unauthorized, Code: "NO_API_DOMAIN",
			Reason: "Zoho's accounts server names no address of the API",
		}
	}
	got.dead = asked.Add(life)
	got.stale = got.dead.Add(-min(early, life/12))
	return got, true, nil
}

// trustworthy reports whether tokens may be sent to the address.
func (t *tokens) trustworthy(domain string) bool {
	u, err := url.Parse(domain)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || t.plain && u.Scheme == "http")
}

// refused says what an answer without a token means. A refusal usually comes
// with status 200, so the status says little (Zoho: refresh).
func refused(status int, speaks bool, g *grant, wait time.Duration) *connectors.Error {
	e := &connectors.Error{Status: status}
	said := strings.ToLower(string(g.Error + " " + g.Description))
	switch {
	case strings.Contains(said, "access denied"), strings.Contains(said, "too many requests"), status == http.StatusTooManyRequests:
		e.Class, e.Code, e.Reason = connectors.Throttled, "TOO_MANY_TOKENS", "Zoho issues no more access tokens for now"
		e.RetryAfter = max(wait, window)
	case status >= http.StatusInternalServerError, !speaks:
		e.Class, e.Reason = connectors.Transient, "Zoho's accounts server has an outage"
	case g.Error == "invalid_code":
		e.Class, e.Code, e.Reason = connectors.Unauthorized, "INVALID_CODE", "the refresh token is revoked, or of another data centre"
	case g.Error == "invalid_client":
		e.Class, e.Code, e.Reason = connectors.Unauthorized, "INVALID_CLIENT", "the client id is wrong, or of another data centre"
	case g.Error == "invalid_client_secret":
		e.Class, e.Code, e.Reason = connectors.Unauthorized, "INVALID_CLIENT_SECRET", "the client secret is wrong"
	case g.Error != "":
		e.Class, e.Code, e.Reason = connectors.Unauthorized, "REFRESH_REFUSED", "Zoho refuses the refresh token"
	default:
		e.Class, e.Reason = connectors.Transient, "the answer is not that of Zoho's accounts server"
	}
	return e
}
