package bitrix24

import (
	"context"
	"maps"
	"sync"
)

// claims are the keys, numbers and records that calls under way are about. Two
// calls never look for the same person at once: both would find nobody, and
// both add one.
type claims struct {
	mu   sync.Mutex
	held map[string]bool
	// ended counts the claims that have ended, and freedAt is which of them
	// held a name last, as far as somebody who holds one may have read
	// before that what the name stands for.
	ended   int
	freedAt map[string]int
	live    map[*claim]bool
	// freed is closed and replaced when a call has ended.
	freed chan struct{}
}

// A claim is what one call holds.
type claim struct {
	*claims
	names []string
	// began is how many claims had ended before it.
	began int
}

// take waits until nobody holds any of the names, then holds all of them, or
// returns ctx's error.
func (c *claims) take(ctx context.Context, names []string) (*claim, error) {
	for {
		c.mu.Lock()
		if c.held == nil {
			c.held, c.freedAt, c.live, c.freed = map[string]bool{}, map[string]int{}, map[*claim]bool{}, make(chan struct{})
		}
		got := &claim{claims: c, began: c.ended}
		if !c.anyHeld(names) {
			c.live[got] = true
			for _, name := range names {
				got.hold(name)
			}
			c.mu.Unlock()
			return got, nil
		}
		freed := c.freed
		c.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *claims) anyHeld(names []string) bool {
	for _, name := range names {
		if c.held[name] {
			return true
		}
	}
	return false
}

// hold is called with mu held.
func (c *claim) hold(name string) {
	if !c.held[name] {
		c.held[name] = true
		c.names = append(c.names, name)
	}
}

// add holds one more name, unless another call does, or has since this claim
// began: what this call has read of it by then may not be true any more.
func (c *claim) add(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[name] || c.freedAt[name] > c.began {
		return false
	}
	c.hold(name)
	return true
}

// end lets all names go.
func (c *claim) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
	for _, name := range c.names {
		delete(c.held, name)
		c.freedAt[name] = c.ended
	}
	delete(c.live, c)
	oldest := c.ended
	for other := range c.live {
		oldest = min(oldest, other.began)
	}
	maps.DeleteFunc(c.freedAt, func(_ string, at int) bool { return at <= oldest })
	close(c.freed)
	c.freed = make(chan struct{})
}
