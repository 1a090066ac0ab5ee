package zohosim

import (
	"container/heap"
	"time"
)

// index is the search index on its way: what was stored and is not yet found.
type index struct {
	waiting arrivals
	seq     int64
}

type arrival struct {
	at     time.Time
	record *record
	state  *state
	seq    int64
}

// push hands a record's new state to the index, which knows it at once or
// some time later.
func (x *index) push(s *Server, r *record, v *state) {
	x.seq++
	if !s.opts.Lag {
		r.seen, r.seenSeq = v, x.seq
		return
	}
	lag := s.opts.LagTime + time.Duration(s.rand.Int64N(int64(s.opts.LagTime)/2+1))
	heap.Push(&x.waiting, arrival{s.now().Add(lag), r, v, x.seq})
}

// advance lets the index know all that is due. A state never replaces a
// newer one, in whichever order they arrive.
func (x *index) advance(now time.Time) {
	for len(x.waiting) > 0 && !x.waiting[0].at.After(now) {
		a := heap.Pop(&x.waiting).(arrival)
		if a.seq > a.record.seenSeq {
			a.record.seen, a.record.seenSeq = a.state, a.seq
		}
	}
}

type arrivals []arrival

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(v any)        { *a = append(*a, v.(arrival)) }

func (a *arrivals) Pop() any {
	last := len(*a) - 1
	v := (*a)[last]
	(*a)[last] = arrival{}
	*a = (*a)[:last]
	return v
}
