package hubspotsim

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// HubSpot: the webhooks guide, and the error handling guide on retries.
const (
	maxEvents   = 100
	maxInFlight = 10
	maxRetries  = 10
	retrySpan   = 24 * time.Hour
)

// disorder is how long an event may be held back to be overtaken.
const disorder = 200 * time.Millisecond

// parcel is what one request carries.
type parcel struct {
	events []event
	// attempt counts from 0.
	attempt int
	due     time.Time
}

// fits reports whether another parcel's event may go in the same request. What
// was once sent together is sent again together.
func (p *parcel) fits(other parcel) bool {
	return len(p.events) == 0 || p.attempt == 0 && other.attempt == 0 && len(p.events) < maxEvents &&
		!p.events[0].apart && !other.events[0].apart
}

// courier delivers webhooks, several requests at once and in no order that
// could be relied on. While there is nothing to do it does nothing.
type courier struct {
	secret string
	// clock is that of the receiver, now runs with it and is moved by Advance.
	clock, now func() time.Time
	client     *http.Client
	ctx        context.Context
	cancel     context.CancelFunc
	routes     sync.WaitGroup

	mu    sync.Mutex
	url   string
	knobs Knobs
	rand  *rand.Rand
	// queue is in the order in which parcels become due.
	queue    []parcel
	inFlight int
	timer    *time.Timer
	ended    bool
}

func (s *Server) newCourier() *courier {
	c := &courier{
		secret: s.opts.ClientSecret, clock: s.opts.Clock, rand: rand.New(rand.NewPCG(s.opts.Seed, 17)),
		now: func() time.Time { return time.Now().Add(s.Added()) },
		// A receiver that redirects has not taken the webhook.
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: maxInFlight, IdleConnTimeout: 5 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.timer = time.AfterFunc(time.Hour, c.wake)
	c.timer.Stop()
	return c
}

func (c *courier) close() {
	c.mu.Lock()
	c.ended, c.queue = true, nil
	c.timer.Stop()
	c.mu.Unlock()
	c.cancel()
	c.routes.Wait()
	c.client.CloseIdleConnections()
}

// set changes where webhooks go and how.
func (c *courier) set(url string, k Knobs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url, c.knobs = url, k
	if url == "" {
		c.queue = nil
	}
}

func (c *courier) take(mail []parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range mail {
		c.put(p)
	}
	c.dispatch()
}

// put, dispatch, next and pause need c.mu.
func (c *courier) put(p parcel) {
	at := sort.Search(len(c.queue), func(n int) bool { return c.queue[n].due.After(p.due) })
	c.queue = slices.Insert(c.queue, at, p)
}

// wake sends what has become due.
func (c *courier) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatch()
}

// dispatch sends what is due while there is room.
func (c *courier) dispatch() {
	for !c.ended && c.inFlight < maxInFlight {
		p, wait := c.next()
		if len(p.events) == 0 {
			if wait > 0 {
				c.timer.Reset(wait)
			}
			return
		}
		c.inFlight++
		c.routes.Go(func() { c.deliver(p) })
	}
}

// next takes the next request's parcel out of the queue: all that is due and
// fits. If nothing is due it says how long to wait, 0 for an empty queue.
func (c *courier) next() (p parcel, wait time.Duration) {
	now := c.now()
	rest := c.queue[:0]
	for _, one := range c.queue {
		until := one.due.Sub(now)
		if until > 0 || !p.fits(one) {
			rest = append(rest, one)
			if wait == 0 {
				wait = max(until, 0)
			}
			continue
		}
		p.attempt, p.events = one.attempt, append(p.events, one.events...)
	}
	clear(c.queue[len(rest):])
	c.queue = rest
	return p, wait
}

func (c *courier) deliver(p parcel) {
	taken := c.attempt(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	if !taken && p.attempt < maxRetries && c.url != "" {
		p.due = c.now().Add(c.pause(p.attempt))
		p.attempt++
		c.put(p)
	}
	c.dispatch()
}

// pause is how long to wait after the nth attempt: twice as long as before,
// by chance up to half of it less, and all together not over the span. HubSpot
// says no more than that the spacing is random.
func (c *courier) pause(n int) time.Duration {
	whole := retrySpan / (1<<maxRetries - 1) << n
	whole -= time.Duration(c.rand.Int64N(int64(whole) / 2))
	return time.Duration(float64(whole) / c.knobs.Compress)
}

// attempt sends a parcel and reports whether it was taken.
func (c *courier) attempt(p parcel) bool {
	events := slices.Clone(p.events)
	for n := range events {
		events[n].AttemptNumber = p.attempt
	}
	body := simcrm.JSON(events)
	c.mu.Lock()
	url, timeout := c.url, time.Duration(c.knobs.EventTimeoutMS)*time.Millisecond
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client) - WebhooksExecutorDaemon-executor")
	stamp := strconv.FormatInt(c.clock().UnixMilli(), 10)
	r.Header.Set("X-HubSpot-Request-Timestamp", stamp)
	r.Header.Set("X-HubSpot-Signature", signatureV1(c.secret, body))
	r.Header.Set("X-HubSpot-Signature-Version", "v1")
	r.Header.Set("X-HubSpot-Signature-v3", signatureV3(c.secret, r.Method, url, body, stamp))
	answer, err := c.client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	_ = answer.Body.Close()
	return err == nil && answer.StatusCode >= 200 && answer.StatusCode < 300
}
