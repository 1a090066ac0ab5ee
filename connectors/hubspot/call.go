package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// A kind is what there is to know about a call beyond its address.
type kind int

const (
	plain kind = iota
	// batched: takes its time.
	batched
	// creating: takes its time, and repeating it would not be harmless.
	creating
	// searching: has a quota of its own.
	searching
	// named: its address names one thing, which may be what a 404 misses.
	named
	// apart: its address comes and goes apart from the others.
	apart
)

// call makes one call and decodes its answer into out, unless that is nil. What
// it sends is JSON, or an upload.
func (c *Client) call(ctx context.Context, k kind, method, path string, query url.Values, in, out any) *connectors.Error {
	r := rest.Request{Method: method, Path: path, Query: query, Body: in}
	switch k {
	case batched, creating:
		r.Timeout = c.batchTimeout
	case searching:
		r.Pace = c.paceSearch
	}
	if file, ok := in.(*rest.Upload); ok {
		r.Body, r.Upload, r.Timeout = nil, file, uploadTimeout
	}
	if e := c.day.spent(time.Now()); e != nil {
		return e
	}
	a, err := c.exchange(ctx, k, r)
	if err != nil {
		return rest.Failure(err, k == creating)
	}
	c.today(ctx, a.Header)
	c.window(a.Header)
	switch {
	case a.Status == http.StatusNotFound && k != named:
		return noSuchAddress()
	case !a.OK():
		wait := rest.RetryAfter(a.Header, time.Now())
		e := classify(a.Status, a.Body, wait, k == creating)
		if e.Code == daily {
			e.RetryAfter = c.day.end(time.Now(), wait)
		}
		return e
	case out == nil:
		return nil
	}
	if err := a.Decode(out); err != nil {
		return rest.Failure(err, k == creating)
	}
	return nil
}

// exchange makes one request, and another one in the older version when the
// account turns out not to know the newer: HubSpot has not acted on the first.
func (c *Client) exchange(ctx context.Context, k kind, r rest.Request) (*rest.Answer, error) {
	wanted := r.Path
	r.Path = c.version.in(wanted)
	a, err := c.authorized(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case k == apart:
		// Says nothing about the version of others.
	case a.OK() && r.Path == wanted:
		c.version.proven.Store(true)
	case a.Status == http.StatusNotFound && k != named && c.version.doubted():
		r.Path = c.version.back(wanted)
		if a, err = c.authorized(ctx, r); err == nil && a.OK() {
			c.version.older.Store(true)
		}
	}
	return a, err
}

// usedToken is where in a context the token of a call is noted.
type usedToken struct{}

// authorized makes one request, and once more with another token when HubSpot
// refuses the first: that one has not been acted on either.
func (c *Client) authorized(ctx context.Context, r rest.Request) (*rest.Answer, error) {
	var token string
	noted := context.WithValue(ctx, usedToken{}, &token)
	a, err := c.rest.Do(noted, r)
	if err != nil || a.Status != http.StatusUnauthorized || c.renew == nil {
		return a, err
	}
	if err := c.renew(ctx, token); err != nil {
		return nil, err
	}
	return c.rest.Do(ctx, r)
}

// authorize adds a token to a request and notes it for who made the call.
func authorize(token func(context.Context) (string, error)) func(context.Context, http.Header) error {
	return func(ctx context.Context, h http.Header) error {
		t, err := token(ctx)
		if err != nil {
			return err
		}
		if note, ok := ctx.Value(usedToken{}).(*string); ok {
			*note = t
		}
		h.Set("Authorization", "Bearer "+t)
		return nil
	}
}

// noSuchAddress is what a 404 means where nothing is named that could be
// missing: what a batch misses it tells with a 207.
func noSuchAddress() *connectors.Error {
	return &connectors.Error{
		Class: connectors.Transient, Status: http.StatusNotFound, Code: "NO_SUCH_ADDRESS",
		Reason: "HubSpot does not serve this address: is the API version still supported?",
	}
}
