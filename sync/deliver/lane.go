package deliver

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// A lane delivers the entities of one kind, a batch at a time. Batches form by
// themselves, while the batch before is out and while there is no quota.
type lane struct {
	worker *Worker
	kind   directory.EntityKind
	queue  *queue
	// calls is how many batches may be out at once.
	calls int

	mu sync.Mutex
	// size is how many records a batch may carry. It falls to a quarter when
	// a call fails as a whole, so that a record at which the vendor stumbles
	// ends up alone, and doubles with each success.
	size, limit int
	// every is how far apart calls begin while less than a full batch waits:
	// a busy account is called less often, with more in each call. The first
	// call after a quiet time waits for nothing.
	every time.Duration
	began time.Time
	// others is the other lane of contacts, linked says that this one is for
	// those that have a record; see share.
	others *lane
	linked bool
	have   noted // of the lane that is for them
	// before are the messages, which come before what this lane has to do
	// while more of them wait than a call carries: where quota is short, a
	// conversation comes before the fields that sum it up. A call every few
	// seconds passes all the same.
	before   *lane
	suspects *suspects
	write    func(ctx context.Context, work []directory.Work) ([]settled, error)
}

func newLane(w *Worker, kind directory.EntityKind, limit int, every time.Duration, write func(context.Context, []directory.Work) ([]settled, error)) *lane {
	return &lane{worker: w, kind: kind, queue: newQueue(), calls: 1, size: limit, limit: limit, every: every, suspects: newSuspects(time.Minute), write: write}
}

func (l *lane) run(ctx context.Context) {
	var running sync.WaitGroup
	for range l.calls {
		running.Go(func() {
			for {
				before, ok := l.ready(ctx)
				if !ok {
					return
				}
				l.next(ctx, before)
			}
		})
	}
	running.Wait()
}

// ready waits until the next call may begin, and returns when the one before
// it began. It reports false when the work is over.
func (l *lane) ready(ctx context.Context) (before time.Time, ok bool) {
	if l.queue.wait(ctx) != nil || l.worker.Wait(ctx, l.full()) != nil {
		return before, false
	}
	return l.breathe(ctx)
}

// next delivers the next batch.
func (l *lane) next(ctx context.Context, before time.Time) {
	l.mu.Lock()
	ids := l.queue.take(l.batch())
	parts := l.suspects.apart(ids)
	l.mu.Unlock()
	for _, part := range parts {
		if ctx.Err() != nil {
			return // found again by whoever works for the account next
		}
		l.deliver(ctx, part, before)
	}
}

// full reports whether a full batch waits.
func (l *lane) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.len() >= l.size
}

// begin reports whether enough time has passed since the last call began, and
// begins the next: of several that wait for it one goes on.
func (l *lane) begin() (before time.Time, ok bool) {
	const turn = 5 * time.Second
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.began
	gone := time.Since(before)
	if l.before != nil && l.before.queue.len() > l.before.limit && gone < turn {
		return before, false
	}
	if gone < l.every && l.queue.len() < l.size {
		return before, false
	}
	l.began = time.Now()
	return before, true
}

// breathe waits until the next call may begin, or a full batch has come
// together. It reports false when the work is over.
func (l *lane) breathe(ctx context.Context) (before time.Time, ok bool) {
	const look = 10 * time.Millisecond
	for {
		if before, ok = l.begin(); ok {
			return before, ctx.Err() == nil
		}
		if !sleep(ctx, look) {
			return before, false
		}
	}
}

// unbegin takes back the beginning of a call that was not made.
func (l *lane) unbegin(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = before
}

// deliver brings a batch to its end, also while the program stops.
func (l *lane) deliver(ctx context.Context, ids []int64, before time.Time) {
	w := l.worker
	ctx, cancel := outlast(ctx, time.Minute)
	defer cancel()
	work, err := w.Store.Load(ctx, w.Account, l.kind, ids)
	if err != nil {
		l.failed(ids, err)
		l.queue.done(ids)
		return
	}
	work, ids = l.share(ids, work)
	defer l.queue.done(ids)
	if len(work) == 0 {
		l.unbegin(before)
		return
	}
	batch, err := l.attempt(ctx, work)
	if err != nil {
		l.failed(ids, err)
		return
	}
	l.judge(batch, before)
	err = w.settle(ctx, batch)
	if err == nil {
		err = w.listedMeanwhile(ctx, batch)
	}
	if err != nil {
		l.failed(ids, err)
		return
	}
	for _, s := range batch {
		if s.retryAfter > 0 {
			l.later(s.retryAfter, s.Link.Entity.ID)
		}
	}
	if l.kind == directory.ContactEntity {
		l.releaseMessages(ctx, batch)
	}
}

// attempt writes a batch. If the program itself panics over it, each record is
// tried alone the next time, so that one at which it panics each time is given
// up like any other that fails, and the rest passes.
func (l *lane) attempt(ctx context.Context, work []directory.Work) (batch []settled, err error) {
	defer func() {
		if recover() == nil {
			return
		}
		// The stack alone: what a panic says may hold somebody's data.
		l.worker.Log.Error("the program panics over a delivery, which is a fault of crmsync", "entity", l.kind, "records", len(work), "stack", string(debug.Stack()))
		batch, err = l.stumbled(work), nil
	}()
	return l.write(ctx, work)
}

// stumbled is what becomes of a batch over which the program has panicked,
// wherever that was: a create may have been made.
func (l *lane) stumbled(work []directory.Work) []settled {
	batch := make([]settled, len(work))
	m := l.worker.Mapping()
	for i, todo := range work {
		s := begin(m, todo, todo.Link.Wanted)
		if (l.kind == directory.MessageEntity || l.kind == directory.TaskEntity) && todo.Link.RecordID == "" {
			s.Link.InDoubtSince = time.Now()
		}
		if len(work) == 1 {
			s.err = &connectors.Error{Class: connectors.Unknown, Code: "PANIC", Reason: "the program panics over it, which is a fault of crmsync; its log says where"}
		} else {
			s.outcome, s.retryAfter = "unchanged", 500*time.Millisecond
		}
		batch[i] = s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, todo := range work {
		l.suspects.of(todo.Link.Entity.ID).alone = true
	}
	return batch
}

// failed puts back what could not be loaded or settled: our own trouble, not
// the account's.
func (l *lane) failed(ids []int64, err error) {
	l.worker.Log.Warn("cannot deliver; trying again", "entity", l.kind, "records", len(ids), "error", err)
	l.later(time.Second, ids...)
}

// later looks at entities again after a pause. Should the program stop before,
// the scan finds them.
func (l *lane) later(d time.Duration, ids ...int64) {
	// A little more than d: the store compares with its own clock.
	time.AfterFunc(d+2*time.Millisecond, func() { l.queue.add(ids...) })
}

// releaseMessages looks at the messages and tasks that waited for their contact to
// have a record.
func (l *lane) releaseMessages(ctx context.Context, batch []settled) {
	var linked []int64
	for _, s := range batch {
		if s.outcome == "created" {
			linked = append(linked, s.Link.Entity.ID)
		}
	}
	if len(linked) == 0 {
		return
	}
	w := l.worker
	waiting, err := w.Store.WaitingFor(ctx, w.Account, linked)
	if err != nil {
		w.Log.Warn("cannot look for what waits for contacts; the scan finds it", "error", err)
	}
	w.enqueue(waiting)
}

// judge decides what follows from each failure of a call, and completes the
// outcomes. Only a call that was made sets the pace: else the one before, which
// began at the given time, still does.
func (l *lane) judge(batch []settled, before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls, lost := 0, 0
	for _, s := range batch {
		if s.outcome == "unchanged" {
			continue
		}
		calls++
		if s.err != nil && lostAsAWhole(s.err) {
			lost++
		}
	}
	wholly := lost == calls && calls > 0
	for i := range batch {
		s := &batch[i]
		switch {
		case s.outcome == "unchanged":
		case s.err == nil:
			l.suspects.passed(s.Link.Entity.ID)
		case lostAsAWhole(s.err) && (lost > 1 || s.err.Shared):
			// A call may take several requests, of which one fails.
			l.suspects.failedTogether(s.Link.Entity.ID, lost)
			s.postpone()
		case wholly && !l.suspects.failedAlone(s.Link.Entity.ID):
			s.postpone()
		case wholly:
			s.err.Class = connectors.UnknownOutcome
			l.worker.fail(s)
		default:
			l.worker.fail(s)
		}
	}
	switch {
	case calls == 0:
		l.began = before
	case wholly, lost > 1:
		l.size = max(1, lost/4)
	default:
		l.size = min(l.limit, l.size*2)
	}
}

// lostAsAWhole reports whether a failure may be the vendor's stumbling over
// anything in the call.
func lostAsAWhole(err *connectors.Error) bool {
	return err.Class == connectors.Transient || err.Class == connectors.UnknownOutcome
}
