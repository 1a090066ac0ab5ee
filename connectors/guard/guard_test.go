package guard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// A vendor gives every record of a call the same answer, or the answers of a
// whole call.
type vendor struct {
	mu    sync.Mutex
	calls []time.Time
	fail  connectors.Class
	rows  []connectors.Result
	wait  time.Duration
	takes time.Duration
	boom  bool
}

func (v *vendor) is(c connectors.Class) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fail, v.rows = c, nil
}

func (v *vendor) answer(ctx context.Context, n int) []connectors.Result {
	v.mu.Lock()
	v.calls = append(v.calls, time.Now())
	fail, rows, wait, takes, boom := v.fail, v.rows, v.wait, v.takes, v.boom
	v.mu.Unlock()
	if boom {
		panic("boom")
	}
	_ = sleep(ctx, takes)
	if rows != nil {
		return rows
	}
	rs := make([]connectors.Result, n)
	for i := range rs {
		if fail != "" {
			rs[i].Err = &connectors.Error{Class: fail, RetryAfter: wait}
		}
	}
	return rs
}

func (v *vendor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.calls)
}

func (v *vendor) Identity(ctx context.Context) ([]string, error) {
	return []string{"7"}, v.err(ctx)
}

func (v *vendor) Setup(ctx context.Context, _ []connectors.Field, _ bool) ([]connectors.Finding, error) {
	if e := v.answer(ctx, 1)[0].Err; e != nil {
		return nil, e
	}
	return []connectors.Finding{{Problem: "x"}}, nil
}

func (v *vendor) WriteContacts(ctx context.Context, ch []connectors.ContactChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) FindMessages(ctx context.Context, ch []connectors.MessageChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) CreateMessages(ctx context.Context, ch []connectors.MessageChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) UpdateMessages(ctx context.Context, ch []connectors.MessageChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) AttachFile(ctx context.Context, f connectors.FileChange) connectors.Result {
	r := v.answer(ctx, 1)[0]
	r.RecordID = f.Name
	return r
}

func (v *vendor) MergeContacts(ctx context.Context, keep, _ string) connectors.Result {
	r := v.answer(ctx, 1)[0]
	r.RecordID = keep
	return r
}

func (v *vendor) EraseContacts(ctx context.Context, ids []string) []connectors.Result {
	return v.answer(ctx, len(ids))
}

func (v *vendor) EraseMessages(ctx context.Context, ids []string) []connectors.Result {
	return v.answer(ctx, len(ids))
}

func (v *vendor) SetupTasks(ctx context.Context, _ bool) ([]connectors.Finding, error) {
	return []connectors.Finding{{Object: "tasks"}}, v.err(ctx)
}

func (v *vendor) FindTasks(ctx context.Context, ch []connectors.TaskChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) CreateTasks(ctx context.Context, ch []connectors.TaskChange) []connectors.Result {
	return v.answer(ctx, len(ch))
}

func (v *vendor) EraseTasks(ctx context.Context, ids []string) []connectors.Result {
	return v.answer(ctx, len(ids))
}

func (v *vendor) err(ctx context.Context) error {
	if e := v.answer(ctx, 1)[0].Err; e != nil {
		return e
	}
	return nil
}

func (v *vendor) Describe(ctx context.Context) ([]connectors.FieldInfo, error) {
	return []connectors.FieldInfo{{Required: true}}, v.err(ctx)
}

func (v *vendor) ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading {
	rs := make([]connectors.Reading, len(ids))
	for i, r := range v.answer(ctx, len(ids)) {
		rs[i] = connectors.Reading{Record: connectors.Record{ID: ids[i] + fields[0]}, Err: r.Err}
	}
	return rs
}

func (v *vendor) ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error) {
	return connectors.Page{Next: q.Cursor + "+"}, v.err(ctx)
}

func (v *vendor) ListDeleted(ctx context.Context, _ time.Time, cursor string) (connectors.DeletedPage, error) {
	return connectors.DeletedPage{Next: cursor + "+"}, v.err(ctx)
}

func (v *vendor) ListUsers(ctx context.Context) ([]connectors.User, error) {
	return []connectors.User{{ID: "7"}}, v.err(ctx)
}

func (v *vendor) Subscribe(ctx context.Context, s connectors.Subscription) (time.Time, error) {
	if s.Address == "" {
		return time.Time{}, &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered}
	}
	return time.Now().Add(time.Hour), v.err(ctx)
}

func (v *vendor) Limits() connectors.Limits { return connectors.Limits{Contacts: 100, Messages: 50} }

func write(ctx context.Context, g *Guard) connectors.Class {
	if e := g.WriteContacts(ctx, make([]connectors.ContactChange, 2))[1].Err; e != nil {
		return e.Class
	}
	return ""
}

func inBubble(t *testing.T, o Options, f func(t *testing.T, g *Guard, v *vendor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{}
		f(t, New(v, o), v)
	})
}

func TestWhichCallsOpenTheBreaker(t *testing.T) {
	none := connectors.Result{}
	row := func(c connectors.Class, status int) connectors.Result {
		return connectors.Result{Err: &connectors.Error{Class: c, Status: status}}
	}
	tests := map[string]struct {
		rows []connectors.Result
		want int // calls until open, 0 for never
	}{
		"all is well":                         {[]connectors.Result{none, none}, 0},
		"outage":                              {[]connectors.Result{row(connectors.Transient, 503), row(connectors.Transient, 503)}, 3},
		"outcome unknown":                     {[]connectors.Result{row(connectors.UnknownOutcome, 0), row(connectors.UnknownOutcome, 0)}, 3},
		"nothing we recognise":                {[]connectors.Result{row(connectors.Unknown, 418), row(connectors.Unknown, 418)}, 3},
		"outage, but for one record":          {[]connectors.Result{none, row(connectors.Transient, 0)}, 0},
		"not authorised":                      {[]connectors.Result{row(connectors.Unauthorized, 401), row(connectors.Unauthorized, 401)}, 1},
		"not authorised from the middle on":   {[]connectors.Result{none, row(connectors.Unauthorized, 401)}, 1},
		"throttled":                           {[]connectors.Result{row(connectors.Throttled, 429), row(connectors.Throttled, 429)}, 0},
		"records refused":                     {[]connectors.Result{row(connectors.Rejected, 207), row(connectors.Conflict, 207)}, 0},
		"one refused by the vendor":           {[]connectors.Result{row(connectors.Rejected, 207), row(connectors.Transient, 0)}, 0},
		"one refused before anybody is asked": {[]connectors.Result{row(connectors.Rejected, 0), row(connectors.Transient, 0)}, 3},
		"no call made for want of quota":      {[]connectors.Result{row(connectors.Unavailable, 0), row(connectors.Unavailable, 0)}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
				v.rows = tt.rows
				got := 0
				for i := 1; i <= 10 && got == 0; i++ {
					write(t.Context(), g)
					if g.Open() {
						got = i
					}
				}
				if got != tt.want {
					t.Errorf("opened after %d calls, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestAnOpenBreakerMakesNoCallsButOneProbeInFiveSeconds(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.is(connectors.Transient)
		for range 600 { // a minute
			write(t.Context(), g)
			time.Sleep(100 * time.Millisecond)
		}
		if n := v.count(); n < 3+10 || n > 3+12 {
			t.Errorf("%d calls in a minute's outage", n)
		}
		for i, at := range v.calls[3:] {
			if gap := at.Sub(v.calls[2+i]); gap < 5*time.Second {
				t.Errorf("probe %d came after %v", i, gap)
			}
		}
		if c := write(t.Context(), g); c != connectors.Unavailable {
			t.Errorf("got %s, want unavailable", c)
		}
		if _, err := g.Setup(t.Context(), nil, false); connectors.AsError(err).Class != connectors.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
		for _, got := range [][]connectors.Result{
			g.FindMessages(t.Context(), make([]connectors.MessageChange, 3)), g.CreateMessages(t.Context(), make([]connectors.MessageChange, 3)), g.UpdateMessages(t.Context(), make([]connectors.MessageChange, 3)),
		} {
			if len(got) != 3 || got[2].Err.Class != connectors.Unavailable {
				t.Errorf("got %+v", got)
			}
		}
		if got := g.AttachFile(t.Context(), connectors.FileChange{}); got.Err == nil || got.Err.Class != connectors.Unavailable {
			t.Errorf("got %+v, want unavailable", got)
		}
		v.is("")
		time.Sleep(6 * time.Second)
		if c := write(t.Context(), g); c != "" || g.Open() {
			t.Errorf("got %q after the outage, open %v", c, g.Open())
		}
		if got := g.AttachFile(t.Context(), connectors.FileChange{Name: "a"}); got.Err != nil || got.RecordID != "a" {
			t.Errorf("got %+v, want what the connector says", got)
		}
	})
}

// reads are the calls outside the deliveries, and whether each of them
// returned what the vendor did.
var reads = map[string]func(context.Context, *Guard) (ok bool, err error){
	"Describe": func(ctx context.Context, g *Guard) (bool, error) {
		got, err := g.Describe(ctx)
		return len(got) == 1 && got[0].Required, err
	},
	"ReadContacts": func(ctx context.Context, g *Guard) (bool, error) {
		got := g.ReadContacts(ctx, []string{"1", "2"}, []string{"f"})
		if e := got[1].Err; e != nil {
			return len(got) == 2, e
		}
		return len(got) == 2 && got[1].Record.ID == "2f", nil
	},
	"ListContacts": func(ctx context.Context, g *Guard) (bool, error) {
		got, err := g.ListContacts(ctx, connectors.Query{Cursor: "c"})
		return got.Next == "c+", err
	},
	"ListDeleted": func(ctx context.Context, g *Guard) (bool, error) {
		got, err := g.ListDeleted(ctx, time.Time{}, "c")
		return got.Next == "c+", err
	},
	"EraseContacts": func(ctx context.Context, g *Guard) (bool, error) {
		got := g.EraseContacts(ctx, []string{"1", "2"})
		if e := got[1].Err; e != nil {
			return len(got) == 2, e
		}
		return len(got) == 2, nil
	},
	"EraseMessages": func(ctx context.Context, g *Guard) (bool, error) {
		got := g.EraseMessages(ctx, []string{"1", "2"})
		if e := got[1].Err; e != nil {
			return len(got) == 2, e
		}
		return len(got) == 2, nil
	},
	"SetupTasks": func(ctx context.Context, g *Guard) (bool, error) {
		got, err := g.SetupTasks(ctx, true)
		return len(got) == 1 && got[0].Object == "tasks", err
	},
	"EraseTasks": func(ctx context.Context, g *Guard) (bool, error) {
		return two(g.EraseTasks(ctx, []string{"1", "2"}))
	},
	"FindTasks": func(ctx context.Context, g *Guard) (bool, error) {
		return two(g.FindTasks(ctx, make([]connectors.TaskChange, 2)))
	},
	"CreateTasks": func(ctx context.Context, g *Guard) (bool, error) {
		return two(g.CreateTasks(ctx, make([]connectors.TaskChange, 2)))
	},
	"MergeContacts": func(ctx context.Context, g *Guard) (bool, error) {
		got := g.MergeContacts(ctx, "1", "2")
		if got.Err != nil {
			return true, got.Err
		}
		return got.RecordID == "1", nil
	},
	"ListUsers": func(ctx context.Context, g *Guard) (bool, error) {
		got, err := g.ListUsers(ctx)
		return len(got) == 1 && got[0].ID == "7", err
	},
}

func two(got []connectors.Result) (bool, error) {
	if e := got[1].Err; e != nil {
		return len(got) == 2, e
	}
	return len(got) == 2, nil
}

func TestReadingGoesThroughTheBreakerAndTheQuotaToo(t *testing.T) {
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			l := NewLimiter(100, 10*time.Second)
			inBubble(t, Options{Limiter: l}, func(t *testing.T, g *Guard, v *vendor) {
				if ok, err := read(t.Context(), g); !ok || err != nil {
					t.Errorf("it does not pass on: %v, %v", ok, err)
				}
				v.is(connectors.Transient)
				for range 3 {
					if _, err := read(t.Context(), g); connectors.AsError(err).Class != connectors.Transient {
						t.Errorf("got %v, want transient", err)
					}
				}
				if _, err := read(t.Context(), g); !g.Open() || connectors.AsError(err).Class != connectors.Unavailable || v.count() != 4 {
					t.Errorf("got %v after %d calls, open %v", err, v.count(), g.Open())
				}
				v.is("")
				time.Sleep(6 * time.Second)
				if ok, err := read(t.Context(), g); !ok || err != nil || g.Open() {
					t.Errorf("after the outage: %v, %v, open %v", ok, err, g.Open())
				}
				v.is(connectors.Throttled)
				v.wait = 10 * time.Second
				_, _ = read(t.Context(), g)
				if l.catchUp() < 9*time.Second {
					t.Error("the limiter has not heard of the quota")
				}
			})
		})
	}
}

// A token may do for deliveries and not for webhooks.
func TestAFailedSubscriptionIsNoReasonToStopDeliveries(t *testing.T) {
	l := NewLimiter(100, 10*time.Second)
	inBubble(t, Options{Limiter: l}, func(t *testing.T, g *Guard, v *vendor) {
		subscribe := func() (time.Time, *connectors.Error) {
			at, err := g.Subscribe(t.Context(), connectors.Subscription{Address: "https://x"})
			return at, connectors.AsError(err)
		}
		if at, err := subscribe(); err != nil || !at.After(time.Now()) {
			t.Errorf("it does not pass on: %v, %v", at, err)
		}
		for _, class := range []connectors.Class{connectors.Transient, connectors.Unauthorized, connectors.Unknown} {
			v.is(class)
			for range 5 {
				if _, err := subscribe(); err == nil || err.Class != class {
					t.Errorf("got %v, want %s", err, class)
				}
			}
			if g.Open() {
				t.Fatalf("open for a subscription that is %s", class)
			}
		}
		v.is(connectors.Throttled)
		v.wait = 10 * time.Second
		if subscribe(); l.catchUp() < 9*time.Second {
			t.Error("the limiter has not heard of the quota")
		}
		// When the account is down it is not asked, and when it is up again it
		// may be this call that shows it.
		v.is(connectors.Transient)
		for range 3 {
			write(t.Context(), g)
		}
		before := v.count()
		if _, err := subscribe(); err == nil || err.Class != connectors.Unavailable || v.count() != before {
			t.Errorf("got %v after %d calls", err, v.count()-before)
		}
		time.Sleep(6 * time.Second)
		if _, err := subscribe(); err == nil || err.Class != connectors.Transient || !g.Open() {
			t.Errorf("got %v, open %v", err, g.Open())
		}
		v.is("")
		if _, err := subscribe(); err != nil || g.Open() {
			t.Errorf("got %v, open %v", err, g.Open())
		}
	})
}

func TestWhatAVendorDoesNotOfferIsNoSignOfLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.is(connectors.Transient)
		for range 3 {
			if _, err := g.Subscribe(t.Context(), connectors.Subscription{}); connectors.AsError(err).Code != connectors.NotOffered {
				t.Errorf("got %v", err)
			}
			write(t.Context(), g)
		}
		if !g.Open() {
			t.Error("the breaker is closed")
		}
	})
}

func TestSuccessInBetweenStartsTheCountAgain(t *testing.T) {
	inBubble(t, Options{Failures: 2}, func(t *testing.T, g *Guard, v *vendor) {
		for range 5 {
			v.is(connectors.Transient)
			write(t.Context(), g)
			v.is("")
			write(t.Context(), g)
		}
		if g.Open() {
			t.Error("open")
		}
	})
}

// Calls that are under way together may share a request, so that they fail
// together: that counts once.
func TestCallsThatFailTogetherCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{fail: connectors.Transient, takes: time.Second}
		g := New(v, Options{})
		round := func() {
			var calls sync.WaitGroup
			for i := range 8 {
				calls.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					g.UpdateMessages(t.Context(), make([]connectors.MessageChange, 1))
				})
			}
			calls.Wait()
		}
		for n := range 3 {
			if g.Open() {
				t.Fatalf("open after %d rounds, want 3", n)
			}
			round()
		}
		if !g.Open() {
			t.Error("still closed after three rounds")
		}
	})
}

func TestACallerWhoGivesUpIsNotAnOutage(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.is(connectors.UnknownOutcome)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 10 {
			write(ctx, g)
		}
		if g.Open() {
			t.Error("open")
		}
		// A probe that is given up makes room for the next.
		for range 3 {
			write(t.Context(), g)
		}
		time.Sleep(6 * time.Second)
		write(ctx, g)
		v.is("")
		if c := write(t.Context(), g); c != "" {
			t.Errorf("got %s", c)
		}
	})
}

func TestTheOperatorHearsOfAChangeOnce(t *testing.T) {
	var heard []bool
	var g *Guard
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{}
		g = New(v, Options{OnChange: func(open bool) {
			if g.Open() != open {
				t.Error("Open disagrees")
			}
			heard = append(heard, open)
		}})
		v.is(connectors.Unauthorized)
		for range 30 {
			write(t.Context(), g)
			time.Sleep(time.Second)
		}
		v.is("")
		time.Sleep(6 * time.Second)
		write(t.Context(), g)
		write(t.Context(), g)
	})
	if !slices.Equal(heard, []bool{true, false}) {
		t.Errorf("heard %v", heard)
	}
}

func TestWaitBlocksWhileTheBreakerIsOpen(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		if err := g.Wait(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		v.is(connectors.Unauthorized)
		write(t.Context(), g)
		opened := time.Now()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Wait(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}

		if err := g.Wait(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(opened); d < 5*time.Second || d > 5100*time.Millisecond {
			t.Errorf("waited %v", d)
		}

		// While somebody else's probe is under way, others wait for it.
		v.is("")
		v.takes = 2 * time.Second
		go write(t.Context(), g)
		synctest.Wait()
		start := time.Now()
		if err := g.Wait(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("waited %v for the probe", d)
		}
		if g.Open() {
			t.Error("still open")
		}
	})
}

func TestWaitBlocksWithoutQuotaAndTakesNone(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, _ *vendor) {
		l := NewLimiter(100, 10*time.Second)
		g.limiter = l
		start := time.Now()
		for range 1000 {
			if err := g.Wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("waiting took %v although there is quota", d)
		}
		for range 10 {
			_ = l.Pace(t.Context())
		}
		if err := g.Wait(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		d := time.Since(start)
		if d < 100*time.Millisecond || d > 130*time.Millisecond {
			t.Errorf("waited %v for a token", d)
		}
		start = time.Now()
		if err := l.Pace(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("the token was not there: %v", err)
		}
	})
}

func TestThrottlingPausesAndSlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(100, 10*time.Second)
		v := &vendor{fail: connectors.Throttled, wait: 10 * time.Second}
		g := New(v, Options{Limiter: l})
		write(t.Context(), g)
		write(t.Context(), g)

		if e := connectors.AsError(l.Pace(t.Context())); e == nil || e.Class != connectors.Unavailable || e.RetryAfter < 9*time.Second {
			t.Errorf("a request under way gets %v", e)
		}
		start := time.Now()
		if err := g.Wait(t.Context(), false); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("waited %v, %v", time.Since(start), err)
		}
		if share := l.current(time.Now()); share != 0.5 {
			t.Errorf("two complaints at once leave %v of the rate, want half", share)
		}
		time.Sleep(time.Minute)
		l.catchUp()
		if l.bucket.Limit() != l.full {
			t.Errorf("a minute later the rate is %v of %v", l.bucket.Limit(), l.full)
		}
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	inBubble(t, Options{Failures: 1}, func(t *testing.T, g *Guard, v *vendor) {
		v.boom = true
		func() {
			defer func() { _ = recover() }()
			write(t.Context(), g)
		}()
		v.boom = false
		if err := g.Wait(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if c := write(t.Context(), g); c != "" || g.Open() {
			t.Errorf("got %q", c)
		}
	})
}

func TestNoWindowEverHoldsMoreThanTheQuota(t *testing.T) {
	tests := map[string]struct {
		requests int
		per      time.Duration
	}{
		"HubSpot":           {190, 10 * time.Second},
		"HubSpot's search":  {5, time.Second},
		"two":               {2, 10 * time.Second},
		"a single one":      {1, time.Second},
		"fifty in a minute": {50, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter(tt.requests, tt.per)
				var mu sync.Mutex
				var sent []time.Time
				var running atomic.Bool
				running.Store(true)
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						for running.Load() {
							if err := l.Pace(t.Context()); err != nil {
								t.Error(err)
								return
							}
							mu.Lock()
							sent = append(sent, time.Now())
							quiet := len(sent)%(3*tt.requests) == 0
							mu.Unlock()
							if quiet {
								time.Sleep(2 * tt.per) // lets the bucket fill up
							}
						}
					})
				}
				time.Sleep(20 * tt.per)
				if u := l.Used(); u <= 0 || u > 1 {
					t.Errorf("used %v", u)
				}
				running.Store(false)
				all.Wait()
				most := 0
				for i := range sent {
					n := 0
					for _, at := range sent[i:] {
						if at.Sub(sent[i]) <= tt.per {
							n++
						}
					}
					most = max(most, n)
				}
				if most > tt.requests {
					t.Errorf("%d requests in one window of %d", most, tt.requests)
				}
				if want := tt.requests * 8 / 10; most < want {
					t.Errorf("only %d requests in the fullest window of %d", most, tt.requests)
				}
			})
		})
	}
}

func TestAQuotaThatComesTooLateIsNobodysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, time.Minute)
		if err := l.Pace(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e := connectors.AsError(l.Pace(ctx)); e == nil || e.Class != connectors.Unavailable {
			t.Errorf("got %v, want unavailable", e)
		}
		<-ctx.Done()
		if err := l.Pace(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// What is wrong with files says nothing about messages.
func TestFilesNeitherOpenTheBreakerNorProbe(t *testing.T) {
	for _, class := range []connectors.Class{connectors.Transient, connectors.UnknownOutcome, connectors.Unauthorized, connectors.Unknown} {
		inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
			v.is(class)
			for range 5 {
				if r := g.AttachFile(t.Context(), connectors.FileChange{}); r.Err == nil || r.Err.Class != class {
					t.Errorf("%s: got %+v", class, r)
				}
			}
			if g.Open() {
				t.Errorf("%s: files have opened the breaker", class)
			}
			for range 3 {
				write(t.Context(), g)
			}
			if !g.Open() {
				t.Errorf("%s: contacts have not", class)
			}
			time.Sleep(6 * time.Second) // the breaker would let a probe through
			calls := v.count()
			if r := g.AttachFile(t.Context(), connectors.FileChange{}); r.Err == nil || r.Err.Class != connectors.Unavailable || v.count() != calls {
				t.Errorf("%s: a file was the probe: %+v", class, r)
			}
			v.is("")
			if c := write(t.Context(), g); c != "" || g.Open() {
				t.Errorf("%s: got %q, open %v", class, c, g.Open())
			}
		})
	}
}
