// Package guard puts a circuit breaker and a rate limit around any connector.
package guard

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"crmsync/connectors"
)

// Options say how patient a guard is.
type Options struct {
	// Failures is how many calls in a row have to fail before the breaker
	// opens.
	//
	// Defaults to 3. A call that is not authorised opens it at once.
	Failures int

	// Probe is how long an open breaker waits before it lets one call
	// through to see.
	//
	// Defaults to 5 seconds.
	Probe time.Duration

	// Limiter is the account's quota, which also paces the connector's HTTP
	// requests; nil is no limit.
	Limiter *Limiter

	// OnChange is told when the breaker opens, and when a probe has closed
	// it again. Calls of it do not overlap, and it makes none to the
	// connector itself; [Guard.Open] is fine.
	OnChange func(open bool)
}

// A Guard is a connector that stops asking when there is no point in it.
//
// While the breaker is open its methods return at once with failures of class
// Unavailable. Only calls that fail as a whole for the account's sake count:
// a record that is refused, a quota that is used up and a caller who has lost
// interest say nothing about whether the account works.
type Guard struct {
	connector connectors.Connector
	breaker   *gobreaker.CircuitBreaker[struct{}]
	limiter   *Limiter
	probe     time.Duration

	// trip makes the next failure open the breaker.
	trip atomic.Bool
	// open is true from the first opening until a probe has succeeded.
	open atomic.Bool

	mu sync.Mutex
	// until is when an open breaker lets the next probe through.
	until time.Time
	// done is closed and replaced when a call has ended.
	done chan struct{}

	telling  sync.Mutex
	told     bool
	onChange func(open bool)
}

var _ connectors.Connector = (*Guard)(nil)

// New returns a guard around the connector of an account.
func New(account string, c connectors.Connector, o Options) *Guard {
	g := &Guard{
		connector: c,
		limiter:   o.Limiter,
		probe:     cmp.Or(o.Probe, 5*time.Second),
		done:      make(chan struct{}),
		onChange:  o.OnChange,
	}
	failures := uint32(max(cmp.Or(o.Failures, 3), 1))
	g.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        account,
		MaxRequests: 1,
		Timeout:     g.probe,
		// Consecutive failures are reset by any success, so counts need no
		// interval to forget them.
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= failures || g.trip.Load()
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		// Called with the breaker locked: it must not be asked anything.
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				g.open.Store(true)
				g.mu.Lock()
				g.until = time.Now().Add(g.probe)
				g.mu.Unlock()
			case gobreaker.StateClosed:
				g.open.Store(false)
			}
		},
	})
	return g
}

// Setup passes on, unless the breaker is open.
func (g *Guard) Setup(ctx context.Context, fields []connectors.Field, fix bool) (findings []connectors.Finding, err error) {
	open := g.through(ctx, func() []connectors.Result {
		findings, err = g.connector.Setup(ctx, fields, fix)
		return []connectors.Result{{Err: connectors.AsError(err)}}
	})
	if open != nil {
		return nil, open
	}
	return findings, err
}

// WriteContacts passes on, unless the breaker is open.
func (g *Guard) WriteContacts(ctx context.Context, changes []connectors.ContactChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.WriteContacts)
}

// FindMessages passes on, unless the breaker is open.
func (g *Guard) FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.FindMessages)
}

// CreateMessages passes on, unless the breaker is open.
func (g *Guard) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.CreateMessages)
}

// UpdateMessages passes on, unless the breaker is open.
func (g *Guard) UpdateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.UpdateMessages)
}

// Limits are the connector's.
func (g *Guard) Limits() connectors.Limits { return g.connector.Limits() }

// Open reports whether the breaker is open. It stays so while probes are under
// way and until one has succeeded.
func (g *Guard) Open() bool { return g.open.Load() }

// Wait blocks until a call would be let through and the quota has room for a
// request, neither of which it takes: batches form while it waits. It returns
// ctx's error when that comes first.
func (g *Guard) Wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		done := g.done
		g.mu.Unlock()

		switch g.breaker.State() {
		case gobreaker.StateOpen:
			// The breaker wants the time to have passed, not come.
			if err := sleep(ctx, g.wait()+time.Millisecond); err != nil {
				return err
			}
			continue
		case gobreaker.StateHalfOpen:
			if c := g.breaker.Counts(); c.Requests > c.TotalExclusions {
				// Somebody's probe is under way.
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-done:
				}
				continue
			}
		}
		if g.limiter == nil {
			return ctx.Err()
		}
		switch waited, err := g.limiter.Wait(ctx); {
		case err != nil:
			return err
		case !waited:
			return nil
		}
		// The breaker may have opened meanwhile.
	}
}

func pass[T any](ctx context.Context, g *Guard, changes []T, call func(context.Context, []T) []connectors.Result) []connectors.Result {
	var results []connectors.Result
	open := g.through(ctx, func() []connectors.Result {
		results = call(ctx, changes)
		return results
	})
	if open != nil {
		results = make([]connectors.Result, len(changes))
		for i := range results {
			results[i].Err = open
		}
	}
	return results
}

var (
	errFailed  = errors.New("the call failed")
	errIgnored = errors.New("the call says nothing about the account")
)

// through makes a call and tells the breaker and the limiter how it went. It
// returns an error when it did not make it.
func (g *Guard) through(ctx context.Context, call func() []connectors.Result) *connectors.Error {
	defer g.tell()
	defer g.wake()
	_, err := g.breaker.Execute(func() (struct{}, error) {
		results := call()
		v := judge(results)
		if v.throttled && g.limiter != nil {
			g.limiter.Slow(v.wait)
		}
		switch {
		case v.worked:
			return struct{}{}, nil
		case ctx.Err() != nil, !v.failed:
			return struct{}{}, errIgnored
		}
		g.trip.Store(v.unauthorized)
		return struct{}{}, errFailed
	})

	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &connectors.Error{
			Class: connectors.Unavailable, Reason: "the account is in trouble and not being called",
			RetryAfter: max(g.wait(), 0),
		}
	}
	return nil
}

// wake makes those who wait for a probe to end look again.
func (g *Guard) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.done)
	g.done = make(chan struct{})
}

// wait is how long the breaker stays open before the next probe.
func (g *Guard) wait() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.until)
}

// tell passes a change on, outside the breaker's lock.
func (g *Guard) tell() {
	if g.onChange == nil {
		return
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	if open := g.open.Load(); open != g.told {
		g.told = open
		g.onChange(open)
	}
}

// A verdict is what the results of one call say about the account.
type verdict struct {
	// worked: the account has dealt with at least one record.
	worked bool
	// failed: at least one record failed as it does when the account is down.
	failed       bool
	unauthorized bool
	throttled    bool
	wait         time.Duration
}

func judge(results []connectors.Result) (v verdict) {
	refused := false
	for _, r := range results {
		if r.Err == nil {
			v.worked = true
			continue
		}
		switch r.Err.Class {
		case connectors.Rejected, connectors.Conflict:
			refused = true
			v.worked = v.worked || r.Err.Status != 0
		case connectors.Throttled:
			v.throttled = true
			v.wait = max(v.wait, r.Err.RetryAfter)
		case connectors.Unavailable:
			// No call was made.
		case connectors.Unauthorized:
			v.unauthorized, v.failed = true, true
		default:
			v.failed = true
		}
	}
	// A record can be refused before anybody is asked: it proves nothing
	// about an account that fails the others.
	v.worked = v.worked || refused && !v.failed
	// Some records may have passed before the token expired.
	v.worked = v.worked && !v.unauthorized
	return v
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
