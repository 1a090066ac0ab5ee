package app

import (
	"testing"
	"time"
)

// The more work a call's pause leaves undone, the less of the processors is
// used: whatever there is to do, it settles under the share, and goes away when
// there is nothing to do.
func TestDeliveriesSlowDownUntilTheProcessorsHaveRoom(t *testing.T) {
	t.Parallel()
	const most = 0.7
	for _, load := range []float64{0.3, 0.8, 1.5, 4} {
		var pause time.Duration
		over, used := 0, 0.0
		for step := range 400 {
			// A call takes 50 ms; beside the calls intake takes a tenth.
			used += (min(0.1+load*50/(50+float64(pause.Milliseconds())), 1) - used) / 4
			if pause = nextPause(pause, used, most); step > 200 && used > most {
				over++
			}
		}
		t.Logf("load %v: %v used, pause %v, over in %d of 200", load, used, pause, over)
		if over > 100 {
			t.Errorf("load %v: more than the share is used in %d of 200 moments", load, over)
		}
		if load < most && pause != 0 {
			t.Errorf("load %v: a pause of %v for nothing", load, pause)
		}
		for range 40 {
			pause = nextPause(pause, 0.1, most)
		}
		if pause != 0 {
			t.Errorf("a pause of %v is left", pause)
		}
	}
	if nextPause(time.Second, 1, 1) != 0 {
		t.Error("100% is no limit")
	}
}

func TestTheProcessorsAreMeasured(t *testing.T) {
	before, began := cpuTime(), time.Now()
	for cpuTime()-before < 50*time.Millisecond {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("10 s of work are measured as %v", cpuTime()-before)
		}
	}
	if took := time.Since(began); took < 10*time.Millisecond {
		t.Errorf("50 ms of work took %v", took)
	}
}
