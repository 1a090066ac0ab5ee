package simcrm

import (
	"slices"
	"sort"
)

// Changes remember when records changed, by times of any unit, so that what
// changed in a span of time is found without looking at all that there is.
type Changes[R any] struct {
	// Fresh reports whether a record's last change was at that time.
	Fresh func(record R, at int64) bool

	// list is in the order of times. It may grow up to room before what is no
	// longer fresh is dropped.
	list []changed[R]
	room int
}

type changed[R any] struct {
	at     int64
	record R
}

// Note remembers that a record changed.
func (c *Changes[R]) Note(at int64, record R) {
	if len(c.list) >= c.room {
		c.list = slices.DeleteFunc(c.list, func(o changed[R]) bool { return !c.Fresh(o.record, o.at) })
		c.room = 2*len(c.list) + 100
	}
	c.list = slices.Insert(c.list, c.place(at, true), changed[R]{at, record})
}

// Between returns the records that changed from low to high. One may be there
// twice, or have changed again since. It reports false if they are more than
// most.
func (c *Changes[R]) Between(low, high int64, most int) ([]R, bool) {
	from, to := c.place(low, false), c.place(high, true)
	if to-from > most {
		return nil, false
	}
	var list []R
	for n := from; n < to; n++ {
		list = append(list, c.list[n].record)
	}
	return list, true
}

// place is where those of a time begin, or where they end.
func (c *Changes[R]) place(at int64, end bool) int {
	return sort.Search(len(c.list), func(n int) bool { return c.list[n].at > at || !end && c.list[n].at == at })
}
