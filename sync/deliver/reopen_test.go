package deliver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// bury keeps the letters that the worker publishes, until the test ends.
func (h *house) bury() {
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case l := <-h.letters:
				if err := h.db.PutLetters(context.Background(), []deadletter.Letter{l}); err != nil {
					h.t.Error(err)
				}
			case <-stop:
				return
			}
		}
	}()
	h.t.Cleanup(func() { close(stop); <-done })
}

// However many letters are replayed, what is new does not wait behind them.
func TestALongReplayDoesNotDelayWhatIsNew(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vendor.batch = 20
	const backlog = 160
	for n := range backlog {
		h.vendor.reject[fmt.Sprintf("1415555%04d", n)] = &connectors.Error{Class: connectors.Rejected, Code: "NO", Status: 400, Field: "name", Reason: "no"}
	}
	h.bury()
	h.start()
	for n := range backlog {
		h.receive(fmt.Sprintf("old%d", n), fmt.Sprintf("1415555%04d", n))
	}
	h.eventually("all are letters", func() bool {
		counts, err := h.db.CountLetters(t.Context())
		return err == nil && len(counts) == 1 && counts[0].N == backlog
	})
	letters, err := h.db.Letters(t.Context(), deadletter.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := letters[0]
	if l.Status != 400 || len(l.AttemptedAt) != 1 || time.Since(l.AttemptedAt[0]) > time.Minute || l.RecordID != "" {
		t.Errorf("letter %+v", l)
	}
	shapes := map[string]deadletter.Field{}
	for _, f := range l.Fields {
		shapes[f.Name] = f
	}
	if f := shapes["name"]; f.From != "profile_name" || f.Shape != "text, 8 characters" || len(shapes) != 4 {
		t.Errorf("tried %+v", l.Fields)
	}

	h.vendor.mu.Lock()
	clear(h.vendor.reject)
	h.vendor.fail = func(string, int, []string) (*connectors.Error, bool) {
		time.Sleep(100 * time.Millisecond) // an account that takes its time
		return nil, true
	}
	h.vendor.mu.Unlock()
	replay, n, err := h.db.Replay(t.Context(), deadletter.Filter{}, "anna")
	if n != backlog || err != nil {
		t.Fatal(n, err)
	}
	counts := func(state deadletter.State) int64 {
		t.Helper()
		n, _, err := h.db.CountReplay(t.Context(), replay)
		if err != nil {
			t.Fatal(err)
		}
		return n[state]
	}
	h.eventually("some are through", func() bool { return counts(deadletter.Delivered) > 20 })
	h.receive("new", "14155559999")
	began := time.Now()
	h.eventually("the new one is there", func() bool { return h.vendor.count()["new"] == 1 })
	if left, took := counts(deadletter.Replaying), time.Since(began); left < backlog/4 {
		t.Errorf("it took %v, by when only %d of the old ones were left", took, left)
	}
	h.vendor.mu.Lock()
	h.vendor.fail = nil
	h.vendor.mu.Unlock()
	h.eventually("all are through", func() bool {
		return counts(deadletter.Delivered) == backlog && h.states()[directory.Agreed] == 2*(backlog+1)
	})
	for wamid, n := range h.vendor.count() {
		if n != 1 {
			t.Errorf("%s is there %d times", wamid, n)
		}
	}
}
