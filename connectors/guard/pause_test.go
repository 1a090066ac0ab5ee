package guard

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// While an account is paused nobody is called, and that says nothing about it;
// whoever waits goes on at once when it is resumed.
func TestAPausedAccountIsNotCalled(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		g.Pause(true)
		g.Pause(true) // told again and again
		for range 10 {
			if got := write(t.Context(), g); got != connectors.Unavailable {
				t.Errorf("a call while paused is %q", got)
			}
		}
		if v.count() != 0 || g.Open() {
			t.Errorf("%d calls, open %v", v.count(), g.Open())
		}
		short, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if g.Wait(short, false) == nil || g.Wait(short, true) == nil {
			t.Error("nobody waits")
		}
		began := time.Now()
		var waited time.Duration
		go func() {
			if g.Wait(t.Context(), false) == nil {
				waited = time.Since(began)
			}
		}()
		time.Sleep(time.Minute)
		g.Pause(false)
		g.Pause(false)
		synctest.Wait()
		if waited != time.Minute {
			t.Errorf("waited %v, want a minute", waited)
		}
		if got := write(t.Context(), g); got != "" || v.count() != 1 {
			t.Errorf("after that %q, %d calls", got, v.count())
		}
	})
}

func TestTheGuardSaysWhatTheTroubleIs(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, g *Guard, v *vendor) {
		v.is(connectors.Unauthorized)
		write(t.Context(), g)
		if e := g.Trouble(); e == nil || e.Class != connectors.Unauthorized {
			t.Errorf("trouble %v", e)
		}
		v.is("")
		time.Sleep(6 * time.Second)
		write(t.Context(), g)
		if e := g.Trouble(); e != nil {
			t.Errorf("trouble %v, though it works", e)
		}
	})
}
