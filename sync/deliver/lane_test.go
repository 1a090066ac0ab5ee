package deliver

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// held is a store of links, of which some have a record.
type held struct {
	Store
	// mu guards the fields, and what tests note beside them.
	mu     sync.Mutex
	linked map[int64]bool
	loaded int
}

func (m *held) Load(_ context.Context, _ string, kind directory.EntityKind, ids []int64) ([]directory.Work, error) {
	time.Sleep(10 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded += len(ids)
	work := make([]directory.Work, len(ids))
	for i, id := range ids {
		work[i].Link.Entity = directory.Entity{Kind: kind, ID: id}
		if m.linked[id] {
			work[i].Link.RecordID = "record"
		}
	}
	return work, nil
}

func (*held) Settle(context.Context, string, int64, []directory.Outcome) ([]directory.Entity, error) {
	return nil, nil
}
func (*held) Delivered(context.Context, []string) error { return nil }

type unseen struct{ Observer }

func (unseen) Delivery(string, directory.EntityKind, string) {}

func laneWorker(m *held) *Worker {
	w := &Worker{Store: m, Observer: unseen{}, Log: slog.New(slog.DiscardHandler), Mapping: none}
	w.Wait = func(ctx context.Context, _ bool) error { return ctx.Err() }
	return w
}

// settledAs is what became of work: err, or an update.
func settledAs(work []directory.Work, err *connectors.Error) []settled {
	batch := make([]settled, len(work))
	for i, todo := range work {
		batch[i] = settled{Outcome: directory.Outcome{Link: todo.Link}, outcome: "updated", err: err}
	}
	return batch
}

// runLane runs a lane until the function that it returns is called, which
// reports how long the lane took to stop.
func runLane(l *lane) (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.run(ctx); close(done) }()
	return func() time.Duration {
		began := time.Now()
		cancel()
		<-done
		return time.Since(began)
	}
}

func TestAsManyCallsBeginAsThereIsWorkFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, m := 0, &held{}
		l := newLane(laneWorker(m), directory.MessageEntity, 100, 0, func(_ context.Context, work []directory.Work) ([]settled, error) {
			m.mu.Lock()
			began++
			m.mu.Unlock()
			time.Sleep(time.Second)
			return settledAs(work, nil), nil
		})
		l.calls = 8
		stop := runLane(l)
		synctest.Wait() // all of them sleep
		ids := make([]int64, 800)
		for i := range ids {
			ids[i] = int64(i)
		}
		l.queue.add(ids...)
		time.Sleep(500 * time.Millisecond)
		m.mu.Lock()
		if began != 8 {
			t.Errorf("%d calls have begun, want 8", began)
		}
		m.mu.Unlock()
		stop()
	})
}

// Calls that may overlap begin no closer together for it.
func TestCallsThatOverlapKeepTheirDistance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &held{}
		var began []time.Time
		l := newLane(laneWorker(m), directory.MessageEntity, 100, 100*time.Millisecond, func(_ context.Context, work []directory.Work) ([]settled, error) {
			m.mu.Lock()
			began = append(began, time.Now())
			m.mu.Unlock()
			time.Sleep(250 * time.Millisecond)
			return settledAs(work, nil), nil
		})
		l.calls = 3
		stop := runLane(l)
		for id := range int64(200) {
			l.queue.add(id)
			time.Sleep(5 * time.Millisecond)
		}
		stop()
		if len(began) < 8 {
			t.Errorf("%d calls in a second, want about ten", len(began))
		}
		for i := 1; i < len(began); i++ {
			if apart := began[i].Sub(began[i-1]); apart < 90*time.Millisecond {
				t.Errorf("call %d began %v after the one before", i, apart)
			}
		}
	})
}

// A batch is not taken up any more when the work is over, not even its next
// part.
func TestAStopBeginsNoMoreCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(laneWorker(&held{}), directory.MessageEntity, 100, 0, func(ctx context.Context, work []directory.Work) ([]settled, error) {
			<-ctx.Done()
			return settledAs(work, &connectors.Error{Class: connectors.Transient}), nil
		})
		for id := range int64(4) {
			l.suspects.failedTogether(id, 4) // so each is tried alone
		}
		stop := runLane(l)
		l.queue.add(0, 1, 2, 3)
		time.Sleep(time.Second)
		if took := stop(); took > finishWithin+time.Second {
			t.Errorf("it stopped after %v", took)
		}
	})
}

// A contact that was passed on in the middle of a batch, and has come back, is
// not done when that batch is.
func TestAContactThatComesBackIsInWorkOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &held{linked: map[int64]bool{2: true}}
		working, most := map[int64]int{}, 0
		write := func(_ context.Context, work []directory.Work) ([]settled, error) {
			id := work[0].Link.Entity.ID
			note := func(n int) {
				m.mu.Lock()
				defer m.mu.Unlock()
				working[id] += n
				most = max(most, working[id])
			}
			note(1)
			defer note(-1)
			time.Sleep(time.Duration(id) * time.Second)
			return settledAs(work, &connectors.Error{Class: connectors.Unavailable}), nil
		}
		w := laneWorker(m)
		newcomers, changes := newLane(w, directory.ContactEntity, 10, 0, write), newLane(w, directory.ContactEntity, 10, 0, write)
		newcomers.others, changes.others, changes.linked, newcomers.calls = changes, newcomers, true, 8
		stop := runLane(newcomers)
		newcomers.queue.add(1, 2) // 1 is written for a second, 2 is passed on
		time.Sleep(100 * time.Millisecond)
		m.mu.Lock()
		m.linked[2] = false
		m.mu.Unlock()
		newcomers.queue.add(2) // written for two seconds
		time.Sleep(time.Second)
		newcomers.queue.add(2)
		time.Sleep(500 * time.Millisecond)
		m.mu.Lock()
		if most != 1 || working[2] != 1 {
			t.Errorf("2 is in work %d times, at most %d", working[2], most)
		}
		m.mu.Unlock()
		stop()
	})
}

// Contacts that are only passed on do not hold up a newcomer, also after an
// outage has left a batch with room for one.
func TestChangesDoNotHoldUpNewcomers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &held{linked: map[int64]bool{}}
		for id := range int64(5000) {
			m.linked[id] = true
		}
		var written time.Time
		w := laneWorker(m)
		newcomers := newLane(w, directory.ContactEntity, 200, 0, func(_ context.Context, work []directory.Work) ([]settled, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if written.IsZero() {
				written = time.Now()
			}
			return settledAs(work, &connectors.Error{Class: connectors.Unavailable}), nil
		})
		changes := newLane(w, directory.ContactEntity, 200, 0, nil)
		newcomers.others, changes.others, changes.linked = changes, newcomers, true
		newcomers.size = 1
		w.lanes = lanes{newcomers: newcomers, changes: changes}
		defer runLane(newcomers)()
		due := make([]directory.Entity, 5000)
		for i := range due {
			due[i] = directory.Entity{Kind: directory.ContactEntity, ID: int64(i)}
		}
		began := time.Now()
		for range 3 { // scans
			w.enqueue(due)
			time.Sleep(time.Second)
		}
		m.mu.Lock()
		if m.loaded != len(due) {
			t.Errorf("%d were loaded, want each once", m.loaded)
		}
		m.mu.Unlock()
		w.enqueue(due)
		w.enqueue([]directory.Entity{{Kind: directory.ContactEntity, ID: 9999}})
		time.Sleep(time.Second)
		m.mu.Lock()
		defer m.mu.Unlock()
		if d := written.Sub(began.Add(3 * time.Second)); d < 0 || d > 100*time.Millisecond {
			t.Errorf("the newcomer had its turn after %v", d)
		}
	})
}

// A contact that has a record is looked at once for each change, and is a
// newcomer again when it has lost that.
func TestAKnownContactPassesByNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &held{linked: map[int64]bool{1: true}}
		w := laneWorker(m)
		wrote := map[string]int{}
		write := func(name string) func(context.Context, []directory.Work) ([]settled, error) {
			return func(_ context.Context, work []directory.Work) ([]settled, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				wrote[name]++
				return settledAs(work, nil), nil
			}
		}
		newcomers, changes := newLane(w, directory.ContactEntity, 10, 0, write("newcomers")), newLane(w, directory.ContactEntity, 10, 0, write("changes"))
		newcomers.others, changes.others, changes.linked = changes, newcomers, true
		w.lanes = lanes{newcomers: newcomers, changes: changes}
		defer runLane(newcomers)()
		defer runLane(changes)()
		change := func() {
			w.enqueue([]directory.Entity{{Kind: directory.ContactEntity, ID: 1}})
			time.Sleep(time.Second)
		}
		for range 4 {
			change()
		}
		m.mu.Lock()
		if m.loaded != 5 || wrote["changes"] != 4 {
			t.Errorf("%d looks for %d changes, want one more", m.loaded, wrote["changes"])
		}
		m.linked[1] = false
		m.mu.Unlock()
		change()
		change()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.loaded != 8 || wrote["newcomers"] != 2 {
			t.Errorf("%d looks, %d written as a newcomer; want 8 and 2", m.loaded, wrote["newcomers"])
		}
	})
}

// Only a call that was made sets the pace: not contacts that were passed on,
// and not those that turn out to be as they should be.
func TestOnlyACallSetsThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &held{linked: map[int64]bool{1: true}}
		began := map[int64]time.Duration{}
		start := time.Now()
		w := laneWorker(m)
		newcomers := newLane(w, directory.ContactEntity, 10, time.Second, func(_ context.Context, work []directory.Work) ([]settled, error) {
			id := work[0].Link.Entity.ID
			m.mu.Lock()
			began[id] = time.Since(start)
			m.mu.Unlock()
			batch := settledAs(work, nil)
			if id == 3 {
				batch[0].outcome = "unchanged"
			}
			return batch, nil
		})
		changes := newLane(w, directory.ContactEntity, 10, 0, nil)
		newcomers.others, changes.others, changes.linked = changes, newcomers, true
		defer runLane(newcomers)()
		for _, id := range []int64{1, 2, 3, 4} {
			newcomers.queue.add(id)
			time.Sleep(100 * time.Millisecond)
			for newcomers.queue.has(id) {
				time.Sleep(100 * time.Millisecond)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if _, called := began[1]; called || began[2] > 150*time.Millisecond {
			t.Errorf("calls began at %v; want 2 at once after 1 was passed on", began)
		}
		if began[3] < began[2]+time.Second || began[4] > began[3]+250*time.Millisecond {
			t.Errorf("calls began at %v; want 3 a second after 2, and 4 at once after 3, which took no call", began)
		}
	})
}

// A call may take several requests. What one of them fails with is nobody's
// fault among those that it carried, though the others have passed.
func TestRecordsThatFailTogetherInPartOfACallAreNotToBlame(t *testing.T) {
	for lost, want := range map[int]int{1: 1, 2: 0, 5: 0, 10: 0} {
		w := &Worker{Retry: RetryPolicy{Delays: []time.Duration{time.Second}}, Log: slog.New(slog.DiscardHandler), Mapping: none}
		l := newLane(w, directory.MessageEntity, 100, 0, nil)
		batch := make([]settled, 10)
		for i := range batch {
			batch[i].Link.Entity = directory.Entity{Kind: directory.MessageEntity, ID: int64(i)}
			if i < lost {
				batch[i].err = &connectors.Error{Class: connectors.UnknownOutcome, Reason: "500"}
			}
		}
		l.judge(batch, time.Time{})
		attempts := 0
		for _, s := range batch {
			attempts += s.Link.Attempts
		}
		if attempts != want {
			t.Errorf("%d of 10 failed: %d attempts are counted, want %d", lost, attempts, want)
		}
		if lost > 1 && l.size > max(1, lost/4) {
			t.Errorf("%d of 10 failed: the next call may carry %d", lost, l.size)
		}
	}
}

// none is a mapping that maps nothing.
func none() *mapping.Mapping { return &mapping.Mapping{} }
