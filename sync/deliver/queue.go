package deliver

import (
	"context"
	"sync"
)

// queue holds the ids that wait for one lane, each once, in order of arrival.
// An id that is added while it is in work waits until that is done.
type queue struct {
	mu     sync.Mutex
	order  []int64
	state  map[int64]queueState
	filled chan struct{} // has room for one signal
}

type queueState byte

const (
	waiting queueState = iota + 1
	working
	workingAgain // in work, and added meanwhile
)

func newQueue() *queue {
	return &queue{state: map[int64]queueState{}, filled: make(chan struct{}, 1)}
}

func (q *queue) add(ids ...int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		switch q.state[id] {
		case 0:
			q.state[id] = waiting
			q.order = append(q.order, id)
		case working:
			q.state[id] = workingAgain
		}
	}
	q.signal()
}

// signal is called with mu held.
func (q *queue) signal() {
	if len(q.order) == 0 {
		return
	}
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// wait returns when something waits, or with ctx's error.
func (q *queue) wait(ctx context.Context) error {
	for {
		if q.len() > 0 {
			return ctx.Err()
		}
		select {
		case <-q.filled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take moves up to n ids from waiting to work.
func (q *queue) take(n int) []int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.order))
	taken := make([]int64, n)
	copy(taken, q.order)
	q.order = q.order[n:]
	for _, id := range taken {
		q.state[id] = working
	}
	q.signal() // what is left is for others who wait
	return taken
}

// works reports whether an id is in work.
func (q *queue) works(id int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state[id] == working || q.state[id] == workingAgain
}

// has reports whether an id waits or is in work.
func (q *queue) has(id int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state[id] != 0
}

// done ends the work on ids, once for each time they were taken. Those added
// meanwhile wait again.
func (q *queue) done(ids []int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		switch q.state[id] {
		case workingAgain:
			q.state[id] = waiting
			q.order = append(q.order, id)
		case working:
			delete(q.state, id)
		}
	}
	q.signal()
}

// all is how many wait or are in work.
func (q *queue) all() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.state)
}

// len is how many ids wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.order)
}
