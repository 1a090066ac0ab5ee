package zoho

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// A call is one request to the API.
type call struct {
	method string
	// path is relative to the version of the API.
	path   string
	query  url.Values
	header http.Header
	in     any
	upload *rest.Upload
	// batched: takes its time. heavy: Zoho has a pool for such calls.
	// creating: repeating it would not be harmless.
	batched, heavy, creating bool
}

// do makes one call, and once more with a new token if Zoho does not know the
// old one.
func (c *Client) do(ctx context.Context, q call) (*envelope, *connectors.Error) {
	t, err := c.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.try(ctx, q, t)
	if err == nil || err.Class != connectors.Unauthorized || !staleToken(err.Code) {
		return a, err
	}
	// Whoever comes second finds the new token there already.
	if t, err := c.tokens.replace(ctx, t); err != nil {
		return nil, err
	} else if t != nil {
		return c.try(ctx, q, t)
	}
	return nil, err
}

func (c *Client) try(ctx context.Context, q call, t *token) (*envelope, *connectors.Error) {
	base := c.base
	if base == "" {
		base = t.domain
	}
	r := rest.Request{Method: q.method, Path: base + root + q.path, Query: q.query, Header: http.Header{}, Body: q.in, Upload: q.upload}
	for name, v := range q.header {
		r.Header[name] = v
	}
	// Not Bearer, although the token says that it is one.
	r.Header.Set("Authorization", "Zoho-oauthtoken "+t.value)
	switch {
	case q.batched:
		r.Timeout = c.batchTimeout
	case q.upload != nil:
		r.Timeout = uploadTimeout
	}
	taken := false
	r.Pace = func(ctx context.Context) error {
		err := c.admit(ctx, q.heavy)
		taken = err == nil
		return err
	}
	a, err := c.rest.Do(ctx, r)
	if taken {
		c.leave(q.heavy)
	}
	if err != nil {
		return nil, rest.Failure(err, q.creating)
	}
	env, failure := unfold(a, q.creating)
	c.learnLimits(a, failure)
	if failure == nil || !staleToken(failure.Code) {
		c.tokens.accepted(t)
	}
	return env, failure
}

// admit waits for the quota and then for one of the slots.
func (c *Client) admit(ctx context.Context, heavy bool) error {
	if c.pace != nil {
		if err := c.pace(ctx); err != nil {
			return err
		}
	}
	if heavy && c.paceHeavy != nil {
		if err := c.paceHeavy(ctx); err != nil {
			return err
		}
	}
	if heavy {
		if err := take(ctx, c.heavy); err != nil {
			return err
		}
	}
	err := take(ctx, c.slots)
	if err != nil && heavy {
		<-c.heavy
	}
	return err
}

func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives back what admit took.
func (c *Client) leave(heavy bool) {
	<-c.slots
	if heavy {
		<-c.heavy
	}
}

// learnLimits gives a refusal for the limits its pause. Zoho says neither how
// long nor which limit it was: too many calls at once pass in a second, the
// day's credits in hours. So the pause is as long as it has lasted already.
func (c *Client) learnLimits(a *rest.Answer, failure *connectors.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if failure == nil || failure.Class != connectors.Throttled {
		if a.Status < http.StatusInternalServerError {
			c.throttledSince = time.Time{}
		}
		return
	}
	if c.throttledSince.IsZero() {
		c.throttledSince = now
	}
	if failure.RetryAfter == 0 {
		failure.RetryAfter = min(max(now.Sub(c.throttledSince), time.Second), rest.MaxRetryAfter)
	}
}
