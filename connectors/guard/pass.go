package guard

import (
	"cmp"
	"context"
	"time"

	"crmsync/connectors"
)

func failure(r *connectors.Result) **connectors.Error { return &r.Err }

// pass makes a call that fails item by item; failed says where the failure is
// in what became of one.
func pass[T, R any](ctx context.Context, g *Guard, items []T, call func(context.Context, []T) []R, failed func(*R) **connectors.Error) []R {
	var results []R
	open := g.through(ctx, func() []*connectors.Error {
		results = call(ctx, items)
		errs := make([]*connectors.Error, len(results))
		for i := range results {
			errs[i] = *failed(&results[i])
		}
		return errs
	})
	if open != nil {
		results = make([]R, len(items))
		for i := range results {
			*failed(&results[i]) = open
		}
	}
	return results
}

// ask makes a call that works or fails as a whole.
func ask[R any](ctx context.Context, g *Guard, call func() (R, error)) (r R, err error) {
	open := g.through(ctx, func() []*connectors.Error {
		r, err = call()
		return []*connectors.Error{connectors.AsError(err)}
	})
	if open != nil {
		return r, open
	}
	return r, err
}

// through makes a call, which returns one error or nil per item, and tells the
// breaker and the limiter how it went. It returns an error when it did not make
// the call.
func (g *Guard) through(ctx context.Context, call func() []*connectors.Error) *connectors.Error {
	if g.paused() != nil {
		return &connectors.Error{Class: connectors.Unavailable, Reason: "the account is paused", RetryAfter: time.Second}
	}
	defer g.tell()
	defer g.wake()
	began := time.Now()
	if !g.breaker.begin(began) {
		return g.unavailable()
	}
	v := verdict{}
	defer func() { g.conclude(ctx, began, v) }() // also if the call panics
	v = judge(call())
	return nil
}

// conclude tells the breaker and the limiter how a call went that began at a
// time.
func (g *Guard) conclude(ctx context.Context, began time.Time, v verdict) {
	if v.throttled && g.limiter != nil {
		g.limiter.Slow(v.wait)
	}
	switch {
	case v.worked:
		g.breaker.worked(began)
	case ctx.Err() != nil, !v.failed:
		g.breaker.ignored(began)
	case g.another(began):
		g.mu.Lock()
		g.trouble = v.because
		g.mu.Unlock()
		g.breaker.failed(began, v.unauthorized)
	}
}

// aside makes a call whose failure does not open the breaker, though a refusal
// for the quota slows the limiter. It returns an error when it did not make the
// call.
func (g *Guard) aside(ctx context.Context, call func() *connectors.Error) *connectors.Error {
	return g.through(ctx, func() []*connectors.Error {
		if e := call(); e == nil || e.Class == connectors.Throttled {
			return []*connectors.Error{e}
		}
		return nil
	})
}

func (g *Guard) unavailable() *connectors.Error {
	return &connectors.Error{
		Class: connectors.Unavailable, Reason: "the account is in trouble and not being called",
		RetryAfter: g.breaker.wait(),
	}
}

// another reports whether a failure is another than the last that was counted:
// its call began after that.
func (g *Guard) another(began time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if began.Before(g.failed) {
		return false
	}
	g.failed = time.Now()
	return true
}

// A verdict is what the outcome of one call says about the account.
type verdict struct {
	// worked: the account has dealt with at least one record.
	worked bool
	// failed: at least one record failed as it does when the account is down.
	failed       bool
	unauthorized bool
	// because is why: that the account is not open to us, before anything
	// else.
	because   *connectors.Error
	throttled bool
	wait      time.Duration
}

func judge(errs []*connectors.Error) (v verdict) {
	refused := false
	for _, e := range errs {
		if e == nil {
			v.worked = true
			continue
		}
		if e.Code == connectors.NotOffered {
			// Nobody was asked, or nobody had an answer.
			continue
		}
		switch e.Class {
		case connectors.Rejected, connectors.Conflict:
			refused = true
			v.worked = v.worked || e.Status != 0
		case connectors.Throttled:
			if e.Held {
				continue
			}
			v.throttled = true
			v.wait = max(v.wait, e.RetryAfter)
		case connectors.Unavailable:
			// No call was made.
		case connectors.Unauthorized:
			v.unauthorized, v.failed = true, true
			v.because = e
		default:
			v.failed = true
			v.because = cmp.Or(v.because, e)
		}
	}
	// A record can be refused before anybody is asked: it proves nothing
	// about an account that fails the others.
	v.worked = v.worked || refused && !v.failed
	// Some records may have passed before the token expired.
	v.worked = v.worked && !v.unauthorized
	return v
}
