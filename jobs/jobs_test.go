package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatAScheduleMeans(t *testing.T) {
	day := time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC) // a Saturday
	for name, tt := range map[string]struct {
		expression, zone string
		after, want      time.Time
	}{
		"Sundays at three":                {"0 3 * * 0", "UTC", day, time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)},
		"Sundays at three, in Taipei":     {"0 3 * * 0", "Asia/Taipei", day, time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)},
		"every quarter of an hour":        {"*/15 * * * *", "UTC", day, time.Date(2026, 11, 21, 12, 15, 0, 0, time.UTC)},
		"daily":                           {"@daily", "Europe/Rome", day, time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)},
		"never":                           {"off", "UTC", day, time.Time{}},
		"an hour that a night skips":      {"30 2 * * *", "Europe/Rome", time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 30, 0, 30, 0, 0, time.UTC)},
		"an hour that comes twice":        {"30 2 * * *", "Europe/Rome", time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)},
		"a day that comes in a leap year": {"0 0 29 2 *", "UTC", day, time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)},
	} {
		s, err := Parse(tt.expression, tt.zone)
		if got := s.next(tt.after); err != nil || !got.Equal(tt.want) {
			t.Errorf("%s: %v, error %v, want %v", name, got, err, tt.want)
		}
	}
	for _, wrong := range [][2]string{
		{"", "UTC"},
		{"often", "UTC"},
		{"* * * *", "UTC"},
		{"61 * * * *", "UTC"},
		{"@every 0s", "UTC"},
		{"@every 10s", "UTC"},
		{"0 0 31 2 *", "UTC"},
		{"CRON_TZ=UTC", "UTC"},
		{"TZ=UTC 0 3 * * 0", "UTC"},
		{"CRON_TZ=", "UTC"},
		{"0 3 * * 0", "Rome"},
	} {
		if _, err := Parse(wrong[0], wrong[1]); err == nil {
			t.Errorf("%q in %q is a schedule", wrong[0], wrong[1])
		}
	}
}

// memory is a ledger that all replicas of a test share.
type memory struct {
	mu   sync.Mutex
	runs map[string][]*run
}

type run struct {
	due, seen time.Time
	holder    string
	ended     bool
	problem   string
}

func (m *memory) last(job string) *run {
	if n := len(m.runs[job]); n > 0 {
		return m.runs[job][n-1]
	}
	return &run{}
}

func (m *memory) LastRun(_ context.Context, job string) (time.Time, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last(job).due, m.last(job).ended, nil
}

func (m *memory) BeginRun(_ context.Context, job string, due time.Time, holder string, seen time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.last(job); r.due.Equal(due) {
		if r.ended || r.holder != holder && time.Since(r.seen) < seen {
			return false, nil
		}
		r.holder, r.seen = holder, time.Now()
		return true, nil
	}
	m.runs[job] = append(m.runs[job], &run{due: due, seen: time.Now(), holder: holder})
	return true, nil
}

func (m *memory) SeenAtRun(_ context.Context, job string, _ time.Time, holder string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.last(job)
	if r.holder == holder {
		r.seen = time.Now()
	}
	return r.holder == holder, nil
}

func (m *memory) EndRun(_ context.Context, job string, _ time.Time, _, problem string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last(job).ended, m.last(job).problem = true, problem
	return nil
}

// world is a ledger and what its replicas have done.
type world struct {
	*memory
	t    *testing.T
	done []string
	// begun counts what was not done to its end too.
	begun int
}

// replica runs a scheduler until stop is called.
func (w *world) replica(name, expression string, mine func() bool, do func(ctx context.Context) error) (stop func()) {
	w.t.Helper()
	schedule, err := Parse(expression, "UTC")
	if err != nil {
		w.t.Fatal(err)
	}
	s := Scheduler{Ledger: w, Holder: name, Log: slog.New(slog.DiscardHandler), Jobs: []Job{{
		Name: "check", Schedule: schedule, Mine: mine,
		Do: func(ctx context.Context, due time.Time) error {
			w.mu.Lock()
			w.begun++
			w.mu.Unlock()
			err := do(ctx)
			w.mu.Lock()
			defer w.mu.Unlock()
			if ctx.Err() == nil {
				w.done = append(w.done, name+" "+due.Format("15:04"))
			}
			return err
		},
	}}}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() { _ = s.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

func inWorld(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) { f(&world{memory: &memory{runs: map[string][]*run{}}, t: t}) })
}

func at(ctx context.Context, d time.Duration) error {
	sleep(ctx, d)
	return ctx.Err()
}

// The clock in here begins at midnight.
func TestAJobIsDoneOnceByOneOfThreeReplicas(t *testing.T) {
	inWorld(t, func(w *world) {
		var stops []func()
		for _, name := range []string{"a", "b", "c"} {
			stops = append(stops, w.replica(name, "*/15 * * * *", nil, func(ctx context.Context) error { return at(ctx, time.Minute) }))
		}
		time.Sleep(time.Hour + 10*time.Minute)
		for _, stop := range stops {
			stop()
		}
		if len(w.done) != 4 || len(w.runs["check"]) != 4 || w.begun != 4 {
			t.Errorf("done %v, begun %d times, want four", w.done, w.begun)
		}
	})
}

func TestAJobThatWasDueWhileNobodyWasThereIsMadeUpForOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		quick := func(ctx context.Context) error { return nil }
		stop := w.replica("a", "*/15 * * * *", nil, quick)
		time.Sleep(16 * time.Minute)
		stop()
		time.Sleep(2*time.Hour + 4*time.Minute) // 02:20
		stop = w.replica("a", "*/15 * * * *", nil, quick)
		time.Sleep(5 * time.Minute)
		stop()
		if len(w.done) != 2 || w.done[1] != "a 02:15" {
			t.Errorf("done %v, want 00:15 and 02:15", w.done)
		}
	})
}

func TestTheFirstStartDoesNothingBeforeItsTime(t *testing.T) {
	inWorld(t, func(w *world) {
		stop := w.replica("a", "0 3 * * *", nil, func(context.Context) error { return nil })
		time.Sleep(2*time.Hour + 59*time.Minute)
		w.mu.Lock()
		if len(w.done) != 0 {
			t.Errorf("done %v before three", w.done)
		}
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		stop()
		if len(w.done) != 1 {
			t.Errorf("done %v, want once", w.done)
		}
	})
}

func TestAJobFollowsTheAccountToAnotherReplica(t *testing.T) {
	inWorld(t, func(w *world) {
		var owner atomic.Value
		owner.Store("a")
		mine := func(name string) func() bool { return func() bool { return owner.Load() == name } }
		long := func(ctx context.Context) error { return at(ctx, 10*time.Minute) }
		stopA, stopB := w.replica("a", "0 * * * *", mine("a"), long), w.replica("b", "0 * * * *", mine("b"), long)
		time.Sleep(time.Hour + 2*time.Minute)
		owner.Store("b")
		time.Sleep(20 * time.Minute)
		stopA()
		stopB()
		if len(w.done) != 1 || w.done[0] != "b 01:00" || len(w.runs["check"]) != 1 {
			t.Errorf("done %v, want by b for 01:00", w.done)
		}
	})
}

func TestAJobThatDiedWithItsReplicaIsDoneAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		long := func(ctx context.Context) error { return at(ctx, 10*time.Minute) }
		stop := w.replica("a", "0 * * * *", nil, long)
		time.Sleep(time.Hour + time.Minute)
		stop() // in the middle
		stop = w.replica("b", "0 * * * *", nil, long)
		time.Sleep(20 * time.Second)
		w.mu.Lock()
		if r := w.last("check"); r.holder != "a" {
			t.Errorf("%s has taken it over at once", r.holder)
		}
		w.mu.Unlock()
		time.Sleep(15 * time.Minute)
		stop()
		if len(w.done) != 1 || w.done[0] != "b 01:00" {
			t.Errorf("done %v, want by b for 01:00", w.done)
		}
	})
}

func TestAJobThatFailsOrPanicsComesAgainAtItsTime(t *testing.T) {
	inWorld(t, func(w *world) {
		n := 0
		stop := w.replica("a", "0 * * * *", nil, func(context.Context) error {
			if n++; n == 1 {
				panic("boom")
			}
			return errors.New("no luck")
		})
		time.Sleep(3*time.Hour + time.Minute)
		stop()
		runs := w.runs["check"]
		if len(runs) != 3 || runs[0].problem != "the job panicked: boom" || runs[1].problem != "no luck" || !runs[2].ended {
			t.Errorf("%d runs, the first %+v", len(runs), runs[0])
		}
	})
}

// What somebody asks for is done besides, once, also where nothing is due, and
// what is due is done all the same.
func TestAJobThatIsAskedFor(t *testing.T) {
	for _, expression := range []string{"0 3 * * *", "off"} {
		inWorld(t, func(w *world) {
			schedule, err := Parse(expression, "UTC")
			if err != nil {
				t.Fatal(err)
			}
			var wish time.Time
			var done []string
			s := Scheduler{Ledger: w, Holder: "a", Log: slog.New(slog.DiscardHandler), Jobs: []Job{{
				Name: "check", Schedule: schedule,
				Asked: func(context.Context) (time.Time, error) {
					w.mu.Lock()
					defer w.mu.Unlock()
					return wish, nil
				},
				Do: func(_ context.Context, due time.Time) error {
					w.mu.Lock()
					defer w.mu.Unlock()
					wish = time.Time{}
					done = append(done, due.Format("15:04"))
					return nil
				},
			}}}
			ctx, cancel := context.WithCancel(w.t.Context())
			ended := make(chan struct{})
			go func() { _ = s.Run(ctx); close(ended) }()
			time.Sleep(time.Hour + 30*time.Second)
			w.mu.Lock()
			wish = time.Now().Truncate(time.Minute)
			w.mu.Unlock()
			time.Sleep(3 * time.Hour)
			cancel()
			<-ended
			want := []string{"01:00", "03:00"}
			if expression == "off" {
				want = want[:1]
			}
			if !slices.Equal(done, want) {
				t.Errorf("%s: done %v, want %v", expression, done, want)
			}
		})
	}
}
