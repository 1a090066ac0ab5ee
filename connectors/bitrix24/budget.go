package bitrix24

import (
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

const (
	// allowance is how much execution time each method has in ten minutes
	// (Bitrix24: limits). It is the figure of the vendor's example.
	allowance = 480 * time.Second
	// span is how long a method's time counts against it.
	span = 10 * time.Minute
)

// A budget keeps account of the execution time of every method, and of batch,
// which is not to count by itself but does on some portals.
type budget struct {
	mu      sync.Mutex
	methods map[string]*spending
}

type spending struct {
	// noted is when used and reset were learnt.
	noted time.Time
	used  time.Duration
	// reset is when some of it is given back.
	reset time.Time
	// held is until when the method is not called, refused how often in a
	// row it was.
	held    time.Time
	refused int
}

func (b *budget) of(method string) *spending {
	s := b.methods[method]
	if s == nil {
		s = &spending{}
		if b.methods == nil {
			b.methods = map[string]*spending{}
		}
		b.methods[method] = s
	}
	return s
}

// note is told what a good call has said about its time.
func (b *budget) note(method string, t timing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(method)
	s.refused = 0
	if t.Operating == "" {
		return
	}
	// reset is by their clock, so it is counted from their now.
	s.noted, s.used, s.reset = time.Now(), t.operating(), time.Now().Add(t.reset())
}

// refuse is told that Bitrix24 has blocked a method, and returns for how long
// it is held. The refusal names no time; the last good answer may have.
func (b *budget) refuse(method string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(method)
	now := time.Now()
	if now.Before(s.held) {
		return s.held.Sub(now)
	}
	wait := s.reset.Sub(now)
	if wait <= 0 || s.refused > 0 {
		wait = max(wait, 15*time.Second<<min(s.refused, 5))
	}
	s.refused++
	s.held = now.Add(min(wait, span, rest.MaxRetryAfter))
	return s.held.Sub(now)
}

// hold returns why a method must not be called now, or nil.
func (b *budget) hold(method string) *connectors.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.methods[method]
	if s == nil {
		return nil
	}
	wait := time.Until(s.held)
	if wait <= 0 {
		return nil
	}
	e := blocked()
	e.RetryAfter = wait
	return e
}

func blocked() *connectors.Error {
	return &connectors.Error{
		Class: connectors.Throttled, Code: "OPERATION_TIME_LIMIT", Held: true,
		Reason: "Bitrix24's limit on the execution time of the method is reached",
	}
}

// short reports whether a method has used up half of its time.
func (b *budget) short(method string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.methods[method]
	return s != nil && s.used > allowance/2 && time.Since(s.noted) < span
}
