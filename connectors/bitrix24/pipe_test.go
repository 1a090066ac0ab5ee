package bitrix24

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// A wire is what a pipe sends to: it notes the requests, and how long each
// takes.
type wire struct {
	mu       sync.Mutex
	requests []string
	at       []time.Duration
	began    time.Time
	takes    time.Duration
	fail     *connectors.Error
}

func (w *wire) send(ctx context.Context, cmds []*command, pace pacer) ([]outcome, *connectors.Error) {
	if err := pace(ctx); err != nil {
		outcomes := make([]outcome, len(cmds))
		fail(outcomes, cmds, connectors.AsError(err))
		return outcomes, connectors.AsError(err)
	}
	names := make([]string, len(cmds))
	for i, cmd := range cmds {
		names[i] = cmd.method
	}
	w.mu.Lock()
	w.requests = append(w.requests, strings.Join(names, " "))
	w.at = append(w.at, time.Since(w.began))
	err := w.fail
	w.mu.Unlock()
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
	}
	outcomes := make([]outcome, len(cmds))
	for i, cmd := range cmds {
		outcomes[i].result = []byte(cmd.method)
	}
	if err != nil {
		fail(outcomes, cmds, err)
	}
	return outcomes, err
}

// laid is a pipe to the wire with a quota of one request each given time.
func (w *wire) laid(every time.Duration) *pipe {
	w.began = time.Now()
	var next time.Time
	ready := func(context.Context) (bool, error) {
		d := time.Until(next)
		time.Sleep(d)
		return d > 0, nil
	}
	p := newPipe(&Client{}, Options{
		PerSecond: 1 / every.Seconds(), Quota: ready,
		Pace: func(ctx context.Context) error {
			_, _ = ready(ctx)
			next = time.Now().Add(every)
			return nil
		},
	})
	p.send = w.send
	return p
}

// commands are n commands of a rank, named name0, name1, ….
func commands(name string, n int, r rank) []*command {
	cmds := make([]*command, n)
	for i := range cmds {
		cmds[i] = &command{method: fmt.Sprint(name, i), rank: r}
	}
	return cmds
}

// all runs the commands of several callers, who come in their order.
func all(p *pipe, calls ...[]*command) [][]outcome {
	results := make([][]outcome, len(calls))
	var running sync.WaitGroup
	for i, cmds := range calls {
		running.Go(func() { results[i] = p.run(context.Background(), cmds) })
		time.Sleep(time.Millisecond)
	}
	running.Wait()
	return results
}

func check(t *testing.T, results [][]outcome, calls ...[]*command) {
	t.Helper()
	for i, cmds := range calls {
		for n, cmd := range cmds {
			if o := results[i][n]; o.err != nil || string(o.result) != cmd.method {
				t.Errorf("%s got %q, %v", cmd.method, o.result, o.err)
			}
		}
	}
}

func TestCallersShareARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		a, b := commands("a", 2, leading), commands("b", 3, messages)
		check(t, all(w.laid(time.Second), a, b), a, b)
		if want := []string{"a0 a1 b0 b1 b2"}; !slices.Equal(w.requests, want) {
			t.Errorf("requests %q, want %q", w.requests, want)
		}
	})
}

// What others wait for goes first, what is patient takes the room that is
// left, and nobody's commands change their order.
func TestRequestsAreFilledByRank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.takes = 100 * time.Millisecond
		p := w.laid(time.Second)
		all(p, commands("first", 1, leading)) // the quota is used
		c, b, a := commands("c", 60, patient), commands("b", 40, messages), commands("a", 5, leading)
		check(t, all(p, c, b, a), c, b, a)
		second := strings.Fields(w.requests[1])
		if len(second) != perBatch || second[0] != "a0" || second[5] != "b0" || second[45] != "c0" || second[49] != "c4" {
			t.Errorf("the second request has %q", second)
		}
		var order []string
		for _, r := range w.requests {
			for name := range strings.FieldsSeq(r) {
				if strings.HasPrefix(name, "c") {
					order = append(order, name)
				}
			}
		}
		for i, name := range order {
			if name != fmt.Sprint("c", i) {
				t.Fatalf("order %q", order)
			}
		}
	})
}

// One command that cannot wait does not make those behind it urgent, but those
// before it.
func TestACallIsAsUrgentAsItsCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.takes = 100 * time.Millisecond
		p := w.laid(time.Second)
		all(p, commands("first", 1, leading)) // the quota is used
		hasty := append(commands("hasty", 1, messages), commands("behind", 60, patient)...)
		before := append(commands("before", 2, patient), commands("found", 1, leading)...)
		b := commands("b", 45, messages)
		check(t, all(p, hasty, before, b), hasty, before, b)
		second := strings.Fields(w.requests[1])
		if len(second) != perBatch || second[0] != "before0" || second[2] != "found0" || second[3] != "hasty0" || second[4] != "b0" || second[48] != "b44" || second[49] != "behind0" {
			t.Errorf("the second request has %q", second)
		}
	})
}

// However much there is that is urgent, what is patient has a share in the
// end.
func TestThePatientAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(time.Second)
		stop := make(chan struct{})
		var busy sync.WaitGroup
		for range 3 {
			busy.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
						p.run(context.Background(), commands("m", 60, messages))
					}
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		p.run(context.Background(), commands("late", 3, patient))
		took := time.Since(began)
		close(stop)
		busy.Wait()
		if took < overdue || took > overdue+5*time.Second {
			t.Errorf("patient commands were done after %v, want a little more than %v", took, overdue)
		}
	})
}

// The first requests after a quiet time leave at once; then they wait to be
// filled, but not for long.
func TestHowLongRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(10 * time.Millisecond)
		p.perSecond = 0.1 // so that quiet requests do not come back
		for range eager + 1 {
			all(p, commands("m", 1, messages))
		}
		for i, at := range w.at[:eager] {
			if at > time.Duration(i+1)*20*time.Millisecond {
				t.Errorf("request %d left after %v", i, at)
			}
		}
		if pause := w.at[eager] - w.at[eager-1]; pause < urgency || pause > urgency+50*time.Millisecond {
			t.Errorf("the one after them left %v later, want %v", pause, urgency)
		}
		began := time.Now()
		all(p, commands("m", perBatch, messages))
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("a full one left after %v, want at once", took)
		}
		began = time.Now()
		all(p, commands("u", 1, patient))
		if took := time.Since(began); took < patience || took > patience+50*time.Millisecond {
			t.Errorf("a patient one left after %v, want %v", took, patience)
		}
	})
}

// Whoever leaves is told what is known; the others notice nothing.
func TestACallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.takes = time.Second
		p := w.laid(time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		mine := append(commands("add", 60, leading), commands("list", 1, leading)...)
		for _, cmd := range mine[:60] {
			cmd.creates = true
		}
		mine[3].creates = false
		var left []outcome
		var running sync.WaitGroup
		running.Go(func() { left = p.run(ctx, mine) })
		others := commands("b", 2, messages)
		var stayed []outcome
		running.Go(func() {
			time.Sleep(500 * time.Millisecond)
			stayed = p.run(t.Context(), others)
		})
		time.Sleep(600 * time.Millisecond)
		cancel()
		synctest.Wait()
		if len(left) != len(mine) {
			t.Fatal("it waits although it has left")
		}
		for i, o := range left {
			want := connectors.Transient // not sent, or harmless to repeat
			if i < perBatch && mine[i].creates {
				want = connectors.UnknownOutcome
			}
			if o.err == nil || o.err.Class != want {
				t.Errorf("command %d: %v, want %s", i, o.err, want)
			}
		}
		running.Wait()
		check(t, [][]outcome{stayed}, others)
		if sent := strings.Join(w.requests, " "); strings.Contains(sent, "add50") {
			t.Errorf("sent after the caller had left: %q", sent)
		}
		if out := p.run(ctx, commands("late", 1, leading)); out[0].err == nil || len(w.requests) != 2 {
			t.Errorf("a call that was over before it began: %v, %d requests", out[0].err, len(w.requests))
		}
	})
}

// After a shared request has failed as a whole, callers get requests of their
// own: a command at which Bitrix24 stumbles does not bring down the others.
func TestAfterASharedFailureEachGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(10 * time.Millisecond)
		w.fail = &connectors.Error{Class: connectors.Transient, Reason: "502"}
		a, b := commands("a", 1, leading), commands("b", 1, messages)
		for _, r := range all(p, a, b) {
			if r[0].err == nil || r[0].err.Class != connectors.Transient || !r[0].err.Shared {
				t.Errorf("got %v, want the failure, which is shared", r[0].err)
			}
		}
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		check(t, all(p, a, b), a, b)
		time.Sleep(apartFor)
		check(t, all(p, a, b), a, b)
		if want := []string{"a0 b0", "a0", "b0", "a0 b0"}; !slices.Equal(w.requests, want) {
			t.Errorf("requests %q, want %q", w.requests, want)
		}
	})
}

// A quota that is used up is told to all who wait, and the rest of what they
// have is not tried.
func TestTroubleWithTheAccountEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(10 * time.Millisecond)
		w.fail = &connectors.Error{Class: connectors.Throttled}
		for i, o := range p.run(t.Context(), commands("a", 70, leading)) {
			if o.err == nil || o.err.Class != connectors.Throttled || o.err.Shared {
				t.Errorf("command %d: %v, want throttled", i, o.err)
			}
		}
		if len(w.requests) != 1 {
			t.Errorf("%d requests, want 1", len(w.requests))
		}
		p.pace = func(context.Context) error { return &connectors.Error{Class: connectors.Unavailable} }
		if out := p.run(t.Context(), commands("a", 1, leading)); out[0].err == nil || out[0].err.Class != connectors.Unavailable {
			t.Errorf("got %v, want unavailable", out[0].err)
		}
		if len(w.requests) != 1 {
			t.Errorf("%d requests without quota, want none", len(w.requests)-1)
		}
	})
}

// Messages stand on a timeline in the order in which they are written, so one
// does not overtake another of the same person, whoever calls: not one that
// waits and not one that is under way. Nobody else waits for that.
func TestMessagesOfOnePersonKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.takes = time.Second
		p := w.laid(10 * time.Millisecond)
		a, b, c := commands("a", 60, messages), commands("b", 50, messages), commands("c", 50, messages)
		a[59].subject, b[1].subject = "1", "1"
		a[0].subject, c[1].subject = "2", "2"
		check(t, all(p, a, b, c), a, b, c)
		if took := time.Since(w.began); took > 3*w.takes {
			t.Errorf("it took %v", took)
		}
		at := map[string]time.Duration{}
		for i, r := range w.requests {
			for name := range strings.FieldsSeq(r) {
				at[name] = w.at[i]
			}
		}
		for _, pair := range [][2]string{{"a59", "b1"}, {"a0", "c1"}} {
			if at[pair[1]]-at[pair[0]] < w.takes && !strings.Contains(strings.Join(w.requests, "\n"), pair[0]+" b0 "+pair[1]) {
				t.Errorf("%s left %v after %s", pair[1], at[pair[1]]-at[pair[0]], pair[0])
			}
		}
		if at["b0"] >= w.takes {
			t.Errorf("b0 left after %v, want at once", at["b0"])
		}
	})
}

// While somebody's commands are under way or behind, no quota is used for
// requests that cannot be filled.
func TestQuotaIsForRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		w.takes = 200 * time.Millisecond
		places := 0
		p := w.laid(10 * time.Millisecond)
		pace := p.pace
		p.pace = func(ctx context.Context) error { places++; return pace(ctx) }
		a, b := commands("a", 130, messages), commands("b", 60, messages)
		for i := range a {
			a[i].subject = "1"
		}
		for i := range b {
			b[i].subject = "1"
		}
		check(t, all(p, a, b), a, b)
		if places != len(w.requests) {
			t.Errorf("%d places for %d requests", places, len(w.requests))
		}
	})
}

// A request is not sent any more when one of its callers has left before: what
// it would create might be looked for already.
func TestWhatACallerLeftIsNotSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire{}
		p := w.laid(time.Millisecond)
		p.send = func(ctx context.Context, cmds []*command, pace pacer) ([]outcome, *connectors.Error) {
			time.Sleep(5 * time.Second) // a token is refreshed
			return w.send(ctx, cmds, pace)
		}
		mine, others := commands("a", 1, leading), commands("b", 1, leading)
		mine[0].creates, others[0].creates = true, true
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var left, stayed []outcome
		var running sync.WaitGroup
		running.Go(func() { left = p.run(ctx, mine) })
		running.Go(func() { stayed = p.run(t.Context(), others) })
		running.Wait()
		if len(w.requests) != 0 {
			t.Errorf("sent %q", w.requests)
		}
		for _, out := range [][]outcome{left, stayed} {
			if out[0].err == nil || out[0].err.Class != connectors.Transient {
				t.Errorf("got %v, want a failure after which nothing is in doubt", out[0].err)
			}
		}
	})
}

// A pause that the vendor has asked for is not waited for: the engine is told
// how long it is.
func TestALongPauseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(time.Second)
		pause := time.Now().Add(5 * time.Minute)
		p.quota = func(ctx context.Context) (bool, error) {
			select {
			case <-time.After(time.Until(pause)):
				return true, nil
			case <-ctx.Done():
				return true, ctx.Err()
			}
		}
		p.pace = func(context.Context) error {
			return &connectors.Error{Class: connectors.Unavailable, RetryAfter: time.Until(pause)}
		}
		began := time.Now()
		out := p.run(t.Context(), commands("a", 1, leading))
		if e := out[0].err; e == nil || e.Class != connectors.Unavailable || e.RetryAfter < 4*time.Minute || time.Since(began) > 2*time.Second {
			t.Errorf("got %v after %v", e, time.Since(began))
		}
	})
}

// Being refused for the quota is nobody's fault, so callers go on sharing.
func TestAThrottledRequestPartsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := w.laid(10 * time.Millisecond)
		w.fail = &connectors.Error{Class: connectors.Throttled}
		a, b := commands("a", 1, leading), commands("b", 1, messages)
		all(p, a, b)
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		check(t, all(p, a, b), a, b)
		if len(w.requests) != 2 {
			t.Errorf("requests %q, want two that are shared", w.requests)
		}
	})
}
