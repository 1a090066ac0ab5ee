package bitrix24sim

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

const eventTimeout = 5 * time.Second

// notice is an event on its way to a handler.
type notice struct {
	url, body string
	due       time.Time
	// swap sends it after the next one.
	swap bool
}

// courier delivers events one after the other, each once: what fails is gone.
// Bitrix24: events.
type courier struct {
	mu     sync.Mutex
	queue  []notice
	wake   chan struct{}
	stop   context.CancelFunc
	done   chan struct{}
	client *http.Client
}

func newCourier() *courier {
	ctx, stop := context.WithCancel(context.Background())
	c := &courier{wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), client: &http.Client{
		Timeout: eventTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	go c.work(ctx)
	return c
}

func (c *courier) close() {
	c.stop()
	<-c.done
	c.client.CloseIdleConnections()
}

func (c *courier) take(list []notice) {
	if len(list) == 0 {
		return
	}
	c.mu.Lock()
	c.queue = append(c.queue, list...)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// first takes the next event, or says how long to wait for it.
func (c *courier) first() (n notice, wait time.Duration, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return notice{}, 0, false
	}
	if c.queue[0].swap && len(c.queue) > 1 {
		c.queue[0].swap = false
		c.queue[0], c.queue[1] = c.queue[1], c.queue[0]
		c.queue[0].swap = false
	}
	n = c.queue[0]
	wait = time.Until(n.due)
	if n.swap && wait < swapPatience {
		// Its successor may still come.
		wait += swapPatience
	}
	if wait > 0 {
		c.queue[0].swap = n.swap && time.Until(n.due) > 0
		return n, wait, true
	}
	c.queue = c.queue[1:]
	return n, 0, true
}

// swapPatience is how long an event waits to be overtaken.
const swapPatience = 50 * time.Millisecond

func (c *courier) work(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		n, wait, any := c.first()
		if !any || wait > 0 {
			pause := time.NewTimer(time.Hour)
			if any {
				pause.Reset(wait)
			}
			select {
			case <-pause.C:
			case <-c.wake:
			case <-ctx.Done():
			}
			pause.Stop()
			continue
		}
		c.deliver(ctx, n)
	}
}

func (c *courier) deliver(ctx context.Context, n notice) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, strings.NewReader(n.body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "Bitrix24 Webhook Engine")
	answer, err := c.client.Do(r)
	if err == nil {
		_ = answer.Body.Close()
	}
}
