package guard

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// open makes the breaker open at once.
func open(t *testing.T, g *Guard, v *vendor) {
	t.Helper()
	v.is(connectors.Unauthorized)
	write(t.Context(), g)
	if !g.Open() {
		t.Fatal("the breaker is closed")
	}
	v.is(connectors.Transient)
}

// However long a probe takes to fail, the next begins five seconds after it
// began: an account that works again is found out in time.
func TestProbesBeginFiveSecondsApart(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.takes = 3 * time.Second
		open(t, g, v)
		for range 6 {
			if err := g.Wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			write(t.Context(), g)
		}
		for i := 1; i < len(v.calls); i++ {
			if gap := v.calls[i].Sub(v.calls[i-1]); gap < 5*time.Second || gap > 5100*time.Millisecond {
				t.Errorf("call %d began %v after the one before", i, gap)
			}
		}
	})
}

// A vendor that takes a call and stays silent is asked again all the same, and
// when the silent one is answered after all, that counts too.
func TestAProbeWithoutAnAnswerDoesNotHoldUpTheNext(t *testing.T) {
	for name, answers := range map[string]bool{"the next works": true, "the silent one does": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
				open(t, g, v)
				opened := time.Now()
				var calls sync.WaitGroup
				defer calls.Wait()
				probe := func() {
					if err := g.Wait(t.Context(), false); err != nil {
						t.Error(err)
					}
					calls.Go(func() { write(t.Context(), g) })
					synctest.Wait()
				}
				v.is("")
				v.takes = 20 * time.Second
				probe()
				v.takes = 0
				if !answers {
					v.is(connectors.Transient)
				}
				probe()
				if d := time.Since(opened); d < 10*time.Second || d > 10100*time.Millisecond {
					t.Errorf("the second probe began after %v, want 10 s", d)
				}
				if g.Open() == answers {
					t.Errorf("open is %v after the second probe", g.Open())
				}
				time.Sleep(16 * time.Second)
				if g.Open() {
					t.Error("open after a probe has worked")
				}
			})
		})
	}
}

// A late failure is no news: it neither brings the next probe forward nor puts
// it off.
func TestLateFailuresDoNotMoveTheProbes(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		open(t, g, v)
		v.takes = 7 * time.Second
		var calls sync.WaitGroup
		defer calls.Wait()
		for range 5 {
			if err := g.Wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			calls.Go(func() { write(t.Context(), g) })
			synctest.Wait()
		}
		for i := 2; i < len(v.calls); i++ {
			if gap := v.calls[i].Sub(v.calls[i-1]); gap < 5*time.Second || gap > 5100*time.Millisecond {
				t.Errorf("probe %d began %v after the one before", i, gap)
			}
		}
	})
}

// Of several who wait one makes the probe. When it works the others go on at
// once; none of them is turned away.
func TestThoseWhoWaitGoOnWhenTheProbeHasWorked(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		open(t, g, v)
		opened := time.Now()
		v.is("")
		v.takes = 50 * time.Millisecond
		var waiting sync.WaitGroup
		for range 8 {
			waiting.Go(func() {
				if err := g.Wait(t.Context(), false); err != nil {
					t.Error(err)
				}
				if c := write(t.Context(), g); c != "" {
					t.Errorf("got %s", c)
				}
			})
		}
		waiting.Wait()
		if d := time.Since(opened); d < 5*time.Second || d > 5200*time.Millisecond {
			t.Errorf("all had gone on after %v, want 5.1 s", d)
		}
	})
}

// One who waited and has nothing to call about does not keep the others from
// it.
func TestAProbeThatNobodyMakesIsSomebodyElses(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		open(t, g, v)
		opened := time.Now()
		for range 3 {
			if err := g.Wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(opened); d < 5*time.Second || d > 5300*time.Millisecond {
			t.Errorf("the third had its turn after %v", d)
		}
	})
}

// What was under way when the breaker opened says nothing about what came
// after.
func TestAnOldSuccessDoesNotCloseTheBreaker(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.takes = time.Second
		var calls sync.WaitGroup
		calls.Go(func() { write(t.Context(), g) })
		time.Sleep(time.Millisecond)
		v.mu.Lock()
		v.takes = 0
		v.mu.Unlock()
		open(t, g, v)
		calls.Wait()
		if !g.Open() {
			t.Error("closed by a call that began before it opened")
		}
	})
}
