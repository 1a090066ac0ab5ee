// Package faults injects faults and latency into a simulated vendor's HTTP API.
package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mode is a way in which a vendor misbehaves.
type Mode string

// The modes which Wrap brings about by itself. "Handled" means that the
// vendor stored what it was asked to store, and only the answer is lost.
const (
	// Outage answers 500 or 503 with an HTML page, or Fault.Status. Not handled.
	Outage Mode = "outage"
	// Slow handles the call after Fault.Delay, unless the caller left by then.
	Slow Mode = "slow"
	// Reset cuts the connection. Not handled.
	Reset Mode = "reset"
	// ResetAfterCommit cuts the connection instead of an answer. Handled.
	ResetAfterCommit Mode = "reset_after_commit"
	// Garbage answers 200 with something that is not the vendor's JSON. Handled.
	Garbage Mode = "garbage"
	// Truncate ends the answer in the middle. Handled.
	Truncate Mode = "truncate"
	// Slowloris sends the answer at a byte a second. Handled.
	Slowloris Mode = "slowloris"
	// HalfClose sends half of the answer, closes its side and goes on
	// listening. Handled.
	HalfClose Mode = "half_close"
	// Silence sends headers, then nothing, until the caller leaves. Handled.
	Silence Mode = "silence"
	// Redirect answers 302 or 307 to a private address or to itself. Not handled.
	Redirect Mode = "redirect"
	// Oversize sends more than 20 MB before the answer. Handled.
	Oversize Mode = "oversize"
)

// The modes which the vendor's simulator brings about, asking Active, and None.
const (
	Throttle    Mode = "throttle"
	ExpireToken Mode = "expire_token"
	// Reject refuses records; ask Rejects.
	Reject      Mode = "reject"
	RefreshLost Mode = "refresh_lost"
	PageEmpty   Mode = "page_empty"
	PageRepeat  Mode = "page_repeat"
	PageHalf    Mode = "page_half"
	// None ends every fault.
	None Mode = "none"
)

var (
	generic = []Mode{
		Outage, Slow, Reset, ResetAfterCommit, Garbage, Truncate, Slowloris, HalfClose, Silence, Redirect, Oversize,
	}
	vendors = []Mode{Throttle, ExpireToken, Reject, RefreshLost, PageEmpty, PageRepeat, PageHalf}
)

// Spec asks for a fault. The same mode with the same Match replaces what was
// asked before; different modes stand side by side.
type Spec struct {
	Mode Mode `json:"mode"`
	// For bounds the fault, counted from when it begins. Defaults to until None.
	For string `json:"for,omitempty"`
	// Share of the calls which are hit, from 0 for none to 1. Defaults to 1.
	Share *float64 `json:"share,omitempty"`
	// RetryAfter is sent as the header of an outage or a throttled call, as it
	// is. Defaults to no header, or what the vendor sends.
	RetryAfter string `json:"retry_after,omitempty"`
	// Match is a text in a rejected record, or in method and request URI of
	// the calls hit by any other mode. Defaults to all.
	Match string `json:"match,omitempty"`
	// After is how many calls pass before the fault begins.
	After int `json:"after,omitempty"`
	// Times is how many calls are hit at most. Defaults to no limit.
	Times int `json:"times,omitempty"`
	// Status of an outage. Defaults to 500 or 503 by chance.
	Status int `json:"status,omitempty"`
	// Code is the vendor's error that an outage names. Its status defaults to
	// the one that is usual for it. Only for vendors that know errors by number.
	Code int `json:"code,omitempty"`
	// Delay of a slow call. Defaults to 10s.
	Delay string `json:"delay,omitempty"`
}

// Fault is what hits a call.
type Fault struct {
	Mode       Mode
	RetryAfter string
	Match      string
	Status     int
	Code       int
	Delay      time.Duration
}

// Options of an Injector; the zero value is usable.
type Options struct {
	// Now defaults to time.Now.
	Now func() time.Time
	// LatencyMin and LatencyMax bound the service time added to every call.
	LatencyMin, LatencyMax time.Duration
	// Seed makes chance repeatable. Defaults to 1.
	Seed uint64
	// Without lists modes that this vendor cannot show; asking for one is refused.
	Without []Mode
	// Codes says that Outage knows what to make of Fault.Code. Otherwise asking
	// for one is refused.
	Codes bool
	// Outage may answer an outage in the vendor's own words; false leaves it
	// to the HTML page.
	Outage func(w http.ResponseWriter, r *http.Request, f Fault) bool
}

// Injector keeps the faults which were asked for. Its methods may be called
// from any goroutine.
type Injector struct {
	opts Options

	mu     sync.Mutex
	rand   *rand.Rand
	active []*pending
	calls  int64
	hits   int64
	closed chan struct{}
}

type pending struct {
	Fault
	spec  Spec
	lasts time.Duration
	until time.Time
	seen  int
	hits  int
}

// New returns an Injector without faults.
func New(o Options) *Injector {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	return &Injector{opts: o, rand: rand.New(rand.NewPCG(o.Seed, o.Seed)), closed: make(chan struct{})}
}

// Close ends every answer that is being held back. It may be called once.
func (i *Injector) Close() { close(i.closed) }

// Calls returns how many calls arrived, control calls aside.
func (i *Injector) Calls() int64 { i.mu.Lock(); defer i.mu.Unlock(); return i.calls }

// Faults returns how many times a fault hit.
func (i *Injector) Faults() int64 { i.mu.Lock(); defer i.mu.Unlock(); return i.hits }

// Set begins a fault, or ends all of them for None. It refuses what it does
// not understand with a sentence for the person who asked.
func (i *Injector) Set(s Spec) error {
	if s.Mode == None {
		i.mu.Lock()
		i.active = nil
		i.mu.Unlock()
		return nil
	}
	p, err := i.parse(s)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.active = slices.DeleteFunc(i.active, func(o *pending) bool { return o.Mode == s.Mode && o.Match == s.Match })
	if s.After == 0 {
		i.begin(p)
	}
	i.active = append(i.active, p)
	return nil
}

func (i *Injector) parse(s Spec) (*pending, error) {
	known := append(slices.Clone(generic), vendors...)
	if !slices.Contains(known, s.Mode) {
		return nil, fmt.Errorf("mode %q is unknown, use one of %s", s.Mode, list(append(known, None)))
	}
	if slices.Contains(i.opts.Without, s.Mode) {
		return nil, fmt.Errorf("mode %q means nothing to this vendor", s.Mode)
	}
	lasts, err := duration("for", s.For, 0)
	if err != nil {
		return nil, err
	}
	delay, err := duration("delay", s.Delay, 10*time.Second)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Share != nil && (*s.Share < 0 || *s.Share > 1):
		return nil, fmt.Errorf("share %v is not between 0 and 1", *s.Share)
	case s.After < 0 || s.Times < 0:
		return nil, fmt.Errorf("after and times count calls and cannot be negative")
	case s.Code != 0 && (!i.opts.Codes || s.Mode != Outage):
		return nil, fmt.Errorf("code %d means nothing here", s.Code)
	case s.Status != 0 && (s.Status < 400 || s.Status > 599):
		return nil, fmt.Errorf("status %d is not an error, use 400 to 599", s.Status)
	}
	f := Fault{Mode: s.Mode, RetryAfter: s.RetryAfter, Match: s.Match, Status: s.Status, Code: s.Code, Delay: delay}
	return &pending{Fault: f, spec: s, lasts: lasts}, nil
}

// Active reports whether a fault of this mode hits the call, and counts it.
// Within one call passed through Wrap the answer for a mode stays the same.
func (i *Injector) Active(r *http.Request, mode Mode) (Fault, bool) {
	c, _ := r.Context().Value(callKey{}).(*call)
	if c == nil {
		return i.take(mode, line(r))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.verdicts[mode]; ok {
		return v.fault, v.hit
	}
	f, hit := i.take(mode, line(r))
	c.verdicts[mode] = verdict{f, hit}
	return f, hit
}

// Rejects reports whether the record, in whatever text shows its values, is
// to be refused, and counts it.
func (i *Injector) Rejects(record string) (Fault, bool) { return i.take(Reject, record) }

// take finds the first fault of this mode that covers the text.
func (i *Injector) take(mode Mode, text string) (Fault, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expire()
	for _, p := range i.active {
		if p.Mode == mode && i.hit(p, text) {
			return p.Fault, true
		}
	}
	return Fault{}, false
}

// takeGeneric finds the fault which Wrap has to bring about, the first asked first.
func (i *Injector) takeGeneric(text string) (Fault, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expire()
	for _, p := range i.active {
		if slices.Contains(generic, p.Mode) && i.hit(p, text) {
			return p.Fault, true
		}
	}
	return Fault{}, false
}

func (i *Injector) hit(p *pending, text string) bool {
	if p.Match != "" && !strings.Contains(text, p.Match) {
		return false
	}
	if p.seen < p.spec.After {
		p.seen++
		return false
	}
	i.begin(p)
	if p.spec.Share != nil && i.rand.Float64() >= *p.spec.Share {
		return false
	}
	p.hits++
	i.hits++
	return true
}

// begin starts the clock of a bounded fault, once.
func (i *Injector) begin(p *pending) {
	if p.lasts > 0 && p.until.IsZero() {
		p.until = i.opts.Now().Add(p.lasts)
	}
}

func (i *Injector) expire() {
	now := i.opts.Now()
	i.active = slices.DeleteFunc(i.active, func(p *pending) bool {
		over := !p.until.IsZero() && !now.Before(p.until)
		return over || p.spec.Times > 0 && p.hits >= p.spec.Times
	})
}

func (i *Injector) chance(n int) int { i.mu.Lock(); defer i.mu.Unlock(); return i.rand.IntN(n) }

// Standing returns the faults in force.
func (i *Injector) Standing() []Spec {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expire()
	specs := make([]Spec, 0, len(i.active))
	for _, p := range i.active {
		specs = append(specs, p.spec)
	}
	return specs
}

func line(r *http.Request) string { return r.Method + " " + r.URL.RequestURI() }

func duration(name, text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s %q is not a positive duration such as \"30s\" or \"1h\"", name, text)
	}
	return d, nil
}

func list(modes []Mode) string {
	names := make([]string, len(modes))
	for n, m := range modes {
		names[n] = string(m)
	}
	return strings.Join(names, ", ")
}
