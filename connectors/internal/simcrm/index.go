package simcrm

import (
	"container/heap"
	"time"
)

// An Index is a search index that runs behind: what was stored of a record R,
// its state S, is found some time later.
type Index[R, S any] struct {
	// Show lets searches find a record in a state. A state never replaces one
	// with a greater number.
	Show func(record R, state S, number int64)

	waiting arrivals[R, S]
	number  int64
}

type arrival[R, S any] struct {
	at     time.Time
	record R
	state  S
	number int64
}

// Next is a number that is greater than all before.
func (x *Index[R, S]) Next() int64 {
	x.number++
	return x.number
}

// Now shows a record's new state at once.
func (x *Index[R, S]) Now(record R, state S) { x.Show(record, state, x.Next()) }

// Later shows it from a time on.
func (x *Index[R, S]) Later(at time.Time, record R, state S) {
	heap.Push(&x.waiting, arrival[R, S]{at, record, state, x.Next()})
}

// Advance shows all that is due.
func (x *Index[R, S]) Advance(now time.Time) {
	for len(x.waiting) > 0 && !x.waiting[0].at.After(now) {
		a := heap.Pop(&x.waiting).(arrival[R, S])
		x.Show(a.record, a.state, a.number)
	}
}

type arrivals[R, S any] []arrival[R, S]

func (a arrivals[R, S]) Len() int           { return len(a) }
func (a arrivals[R, S]) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a arrivals[R, S]) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals[R, S]) Push(v any)        { *a = append(*a, v.(arrival[R, S])) }

func (a *arrivals[R, S]) Pop() any {
	last := len(*a) - 1
	v := (*a)[last]
	(*a)[last] = arrival[R, S]{}
	*a = (*a)[:last]
	return v
}
