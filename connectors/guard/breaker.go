package guard

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// A breaker opens when so many calls in a row have failed. While it is open it
// lets one call through every so often, to see; the first of these that works
// closes it.
//
// The library counts and decides. When a probe may be made is decided here:
// probes are so far apart from beginning to beginning, so that an account that
// works again is found out no later because the last probe was slow to fail; and
// one that gets no answer at all does not keep the next from being made. The
// library would have both wait for the end of a probe.
type breaker struct {
	probe   time.Duration
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu sync.Mutex
	// atOnce opens it with the next failure.
	atOnce bool
	opened time.Time
	// next is when an open breaker lets the next probe through, turn when the
	// next of those who wait may try to be it.
	next, turn time.Time
}

var errFailed = errors.New("the call failed")

func newBreaker(failures int, probe time.Duration) *breaker {
	b := &breaker{probe: probe}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     time.Nanosecond, // not the library's to decide
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return b.atOnce || int(c.ConsecutiveFailures) >= failures
		},
	})
	return b
}

// count tells the library how a call went.
func (b *breaker) count(err error) {
	if done, refused := b.circuit.Allow(); refused == nil {
		done(err)
	}
}

// open reports whether it is open, to anybody.
func (b *breaker) open() bool { return b.circuit.State() != gobreaker.StateClosed }

// patient is how long whoever may make the probe is waited for before another
// may: it can turn out to have nothing to call about.
const patient = 100 * time.Millisecond

// begin reports whether a call may begin now, and takes the probe's place if
// it is that.
func (b *breaker) begin(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open() {
		return true
	}
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(b.probe)
	return true
}

// worked notes that a call which began at a time has shown that the account
// works. What began before the breaker opened shows nothing any more.
func (b *breaker) worked(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open() && began.Before(b.opened) {
		return
	}
	b.count(nil)
}

// failed notes that a call has failed. At once opens the breaker whatever came
// before.
func (b *breaker) failed(began time.Time, atOnce bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open() {
		return
	}
	b.atOnce = atOnce
	if b.count(errFailed); b.open() {
		b.opened, b.next = time.Now(), began.Add(b.probe)
	}
}

// ignored notes that a call has shown nothing. If it was the last probe there
// is room for the next.
func (b *breaker) ignored(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next.Equal(began.Add(b.probe)) {
		b.next = time.Time{}
	}
}

// wait is how long it is until a call may be made, 0 for now.
func (b *breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open() {
		return 0
	}
	return max(time.Until(b.next), 0)
}

// myTurn is like wait, for one of several who wait: when it is 0 the others
// wait for a moment.
func (b *breaker) myTurn() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open() {
		return 0
	}
	now := time.Now()
	next := b.next
	if b.turn.After(next) {
		next = b.turn
	}
	if d := next.Sub(now); d > 0 {
		return d
	}
	b.turn = now.Add(patient)
	return 0
}
