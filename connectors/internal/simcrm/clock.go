package simcrm

import (
	"sync/atomic"
	"time"
)

// A Clock is a vendor's time, which can be moved forward.
type Clock struct {
	// Start is the time without what was added.
	Start func() time.Time
	added atomic.Int64
}

// Now is the vendor's time, in UTC and whole milliseconds.
func (c *Clock) Now() time.Time { return c.Start().Add(c.Added()).UTC().Truncate(time.Millisecond) }

// Advance moves the time forward.
func (c *Clock) Advance(d time.Duration) { c.added.Add(int64(d)) }

// Added is by how much the time was moved in all.
func (c *Clock) Added() time.Duration { return time.Duration(c.added.Load()) }
