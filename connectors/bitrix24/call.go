package bitrix24

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// A kind is what there is to know about a call beyond its method.
type kind int

const (
	plain kind = iota
	// batched: takes its time.
	batched
	// creating: takes its time, and repeating it would not be harmless.
	creating
	// uploading: creating, of a file.
	uploading
)

// uploadTimeout is how long a file may take.
const uploadTimeout = 30 * time.Second

// creates reports whether a call may have made something that its answer would
// have told of.
func (k kind) creates() bool { return k == creating || k == uploading }

// call makes one call. A token that has expired is refreshed, and a renamed
// portal followed, once.
func (c *Client) call(ctx context.Context, k kind, method string, p params) (*envelope, *connectors.Error) {
	return c.paced(ctx, k, method, p, c.rest.Pace)
}

// A pacer blocks until the quota allows one more request.
type pacer func(ctx context.Context) error

// paced makes one call, of which the first request is paced as given.
func (c *Client) paced(ctx context.Context, k kind, method string, p params, pace pacer) (*envelope, *connectors.Error) {
	if err := c.budget.hold(method); err != nil {
		return nil, err
	}
	moved, refreshed := false, false
	for {
		var token string
		if c.tokens != nil {
			var err *connectors.Error
			if token, err = c.tokens.get(ctx); err != nil {
				return nil, err
			}
		}
		base := c.address()
		r := c.request(k, base, method, token, p)
		r.Pace, pace = pace, c.rest.Pace
		a, err := c.rest.Do(ctx, r)
		if err != nil {
			return nil, unanswered(err, k)
		}
		if !moved && c.follow(base, method, a) {
			moved = true
			continue
		}
		env, e := c.understand(k, method, a)
		if e == nil || e.Code != codeExpired || c.tokens == nil || refreshed {
			return env, e
		}
		c.tokens.expire(token)
		refreshed = true
	}
}

// unanswered says what a call without an answer means.
func unanswered(err error, k kind) *connectors.Error {
	e := rest.Failure(err, k.creates())
	if r, ok := errors.AsType[*rest.Error](err); ok && e.Class == connectors.UnknownOutcome && (r.Late || r.Cancelled) {
		e.Code = codeNoAnswer
	}
	return e
}

func (c *Client) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base
}

func (c *Client) request(k kind, base, method, token string, p params) rest.Request {
	body := params{}
	maps.Copy(body, p)
	if token != "" {
		// In the body, not in the address, where logs would keep it.
		body["auth"] = token
	}
	r := rest.Request{Method: http.MethodPost, Path: base + method, Body: body}
	switch k {
	case plain:
	case uploading:
		r.Timeout = max(uploadTimeout, c.batchTimeout)
	case batched, creating:
		r.Timeout = c.batchTimeout
	}
	return r
}

// follow reports whether the answer says that the portal has a new name
// (Bitrix24: changing the portal's domain), and remembers it. The call has to
// be made again, as what it was: nothing has been carried out.
//
// The request holds credentials, so a redirect counts only when it leads to
// the same path, as a login page of some proxy does not, and no less safely.
func (c *Client) follow(base, method string, a *rest.Answer) bool {
	switch a.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return false
	}
	from, err := url.Parse(base + method)
	if err != nil {
		return false
	}
	to, err := from.Parse(a.Header.Get("Location"))
	if err != nil || to.Host == "" || to.Host == from.Host && to.Scheme == from.Scheme ||
		to.Scheme != "https" && to.Scheme != from.Scheme ||
		strings.TrimRight(to.Path, "/") != strings.TrimRight(from.Path, "/") {
		return false
	}
	from.Scheme, from.Host = to.Scheme, to.Host
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base == base {
		c.base = strings.TrimSuffix(from.String(), method)
	}
	return true
}

// understand is what an answer says.
func (c *Client) understand(k kind, method string, a *rest.Answer) (*envelope, *connectors.Error) {
	var env envelope
	speaks := a.JSON() && a.Decode(&env) == nil
	if a.OK() && speaks && env.Code == nil {
		c.budget.note(method, env.Time)
		return &env, nil
	}
	e := classify(a.Status, speaks, env.fault, k.creates())
	if e.Code == codeBlocked {
		e.RetryAfter, e.Held = c.budget.refuse(method), true
	}
	return nil, e
}
