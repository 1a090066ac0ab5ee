package guard

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"crmsync/connectors"
)

// A Limiter is the quota of one account: so many requests in any window of a
// given length, wherever the window begins.
//
// A token bucket lets through its burst and what flows in meanwhile, so burst
// and rate together stay below the quota. The window is taken a little longer
// than it is, because requests do not arrive at the distances at which they
// are sent.
//
// The quota is a ceiling. Below it the rate follows what the vendor says: each
// refusal halves it, each window without one raises it a little.
type Limiter struct {
	bucket *rate.Limiter
	full   rate.Limit
	burst  int
	per    time.Duration

	mu sync.Mutex
	// paused is until when nothing goes out.
	paused time.Time
	// slowed is when the vendor last complained, halved when that last cost
	// us half the rate; share is how much of it was left then.
	slowed, halved time.Time
	share          float64
	// ceiling is as large a share as the vendor grants by its own word.
	ceiling float64
	// knee is the share at which the vendor last complained although it was
	// not all of it, 0 if that was long ago: near it the rate rises slowly.
	// Past it the vendor allows more by now.
	knee float64
	// set is the share that the bucket has.
	set float64
	// sent are the times of the last requests, as many as a window may have,
	// next the oldest of them.
	sent []time.Time
	next int
}

const (
	// slack is how much longer than the vendor's our window is.
	slack = 1.05
	// patience is how long a request that is under way waits for a pause to
	// end before it gives up.
	patience = 5 * time.Second

	// least is the share of the quota that is always used; each window adds
	// step, or smallStep from nearKnee to pastKnee times the share of the last
	// complaint.
	least     = 0.1
	step      = 0.1
	smallStep = 0.01
	nearKnee  = 0.85
	pastKnee  = 1.1
)

// NewLimiter returns a limiter of requests in any window of length per.
func NewLimiter(requests int, per time.Duration) *Limiter {
	requests = max(requests, 1)
	burst := max(requests/10, 1)
	flow := float64(requests - burst)
	if flow == 0 {
		// One request at a time, a hair more than a window apart.
		flow = 1
	}
	full := rate.Limit(flow / (per.Seconds() * slack))
	return newLimiter(full, burst, requests, per)
}

// NewBucket returns a limiter for a quota that is a leaky bucket: a burst of
// requests, and so many per second after it. Some of the burst is kept for
// requests that arrive closer together than they are sent.
func NewBucket(burst int, perSecond float64) *Limiter {
	burst = max(burst*19/20, 1)
	full := rate.Limit(perSecond)
	// The window is how long an empty bucket takes to fill.
	per := time.Duration(float64(burst) / float64(full) * float64(time.Second))
	return newLimiter(full, burst, 2*burst, per)
}

// newLimiter lets requests through in any window of length per: a burst, and
// the full rate after it.
func newLimiter(full rate.Limit, burst, requests int, per time.Duration) *Limiter {
	return &Limiter{
		bucket:  rate.NewLimiter(full, burst),
		full:    full,
		burst:   burst,
		per:     per,
		share:   1,
		ceiling: 1,
		set:     1,
		sent:    make([]time.Time, requests),
	}
}

// Pace blocks until one more request may go out, and takes its place. When
// that would last longer than ctx or the vendor has asked for a long pause, it
// returns at once with a failure of class Unavailable.
func (l *Limiter) Pace(ctx context.Context) error {
	for {
		pause := l.catchUp()
		if pause <= 0 {
			break
		}
		if pause > patience {
			return &connectors.Error{Class: connectors.Unavailable, Reason: "the quota is used up", RetryAfter: pause}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	if err := l.bucket.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &connectors.Error{Class: connectors.Unavailable, Reason: "the quota has no room in time", RetryAfter: l.per}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[l.next] = time.Now()
	l.next = (l.next + 1) % len(l.sent)
	return nil
}

// Wait blocks until a request could go out at once, without taking its place,
// and reports whether that took any time.
func (l *Limiter) Wait(ctx context.Context) (waited bool, err error) {
	for {
		d := l.catchUp()
		if missing := 1 - l.bucket.Tokens(); d <= 0 && missing > 0 {
			d = time.Duration(missing / float64(l.bucket.Limit()) * float64(time.Second))
			// Shorter would be lost to rounding.
			d = max(d, time.Millisecond)
		}
		if d <= 0 {
			return waited, ctx.Err()
		}
		waited = true
		if err := sleep(ctx, d); err != nil {
			return waited, err
		}
	}
}

// Slow is told that the vendor has refused a request for its quota: nothing
// goes out for the given time, at least a second, and then half as much as
// before, a tenth of the quota more with each window. Complaints about one
// window count as one.
func (l *Limiter) Slow(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	share := l.current(now)
	if until := now.Add(max(wait, time.Second)); until.After(l.paused) {
		l.paused = until
	}
	// Refused again before a window has passed: the vendor refuses whatever
	// comes, and that says nothing about how much it allows at other times.
	grown := share > l.share
	l.share = share
	if l.halved.IsZero() || now.Sub(l.halved) >= l.per {
		if share < l.ceiling && grown {
			l.knee = share
		}
		l.share, l.halved = max(share/2, least), now
	}
	l.slowed = now
	l.apply(l.share)
}

// Learn is told by the vendor how many requests it allows in any window of
// length per. That lowers the rate at once, and never raises it over the quota.
func (l *Limiter) Learn(requests int, per time.Duration) {
	if requests <= 0 || per <= 0 {
		return
	}
	told := float64(requests) / per.Seconds() / (float64(len(l.sent)) / l.per.Seconds())
	l.mu.Lock()
	defer l.mu.Unlock()
	if told = min(max(told, least), 1); told != l.ceiling {
		l.ceiling = told
		l.apply(l.current(time.Now()))
	}
}

// Used is how many requests went out in the window that ends now, as a share
// of the quota.
func (l *Limiter) Used() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Now().Add(-l.per)
	n := 0
	for _, t := range l.sent {
		if t.After(since) {
			n++
		}
	}
	return float64(n) / float64(len(l.sent))
}

// current is the share of the full rate that applies at a time. It is called
// with mu held.
func (l *Limiter) current(now time.Time) float64 {
	if l.slowed.IsZero() {
		return l.ceiling
	}
	// The windows that count are those after the pause.
	from := l.slowed
	if l.paused.After(from) {
		from = l.paused
	}
	share := l.share
	for n := now.Sub(from) / l.per; n > 0 && share < l.ceiling; n-- {
		if l.knee > 0 && share+step > nearKnee*l.knee && share < pastKnee*l.knee {
			share += smallStep
		} else {
			share += step
		}
	}
	return min(share, l.ceiling)
}

// apply gives the bucket a share of its rate and burst. It is called with mu
// held.
func (l *Limiter) apply(share float64) {
	if share != l.set {
		l.set = share
		l.bucket.SetLimit(l.full * rate.Limit(share))
		l.bucket.SetBurst(max(int(float64(l.burst)*share), 1))
	}
}

// catchUp brings the rate up to date and returns what is left of a pause.
func (l *Limiter) catchUp() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	share := l.current(now)
	l.apply(share)
	if share == l.ceiling {
		l.slowed, l.knee = time.Time{}, 0
	}
	return l.paused.Sub(now)
}
