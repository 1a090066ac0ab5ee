package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// cpu slows deliveries down while the process uses more of the processors than
// it should. Intake and recording are not held up: what arrives is stored, and
// waits.
type cpu struct {
	// pause is how long each call waits before it begins, in nanoseconds.
	pause atomic.Int64
}

const (
	cpuEvery = 250 * time.Millisecond
	// The pause doubles while too much is used, and falls by a quarter while
	// less than relief of the share is.
	firstPauseCPU   = 5 * time.Millisecond
	longestPauseCPU = 500 * time.Millisecond
	relief          = 0.9
)

// processors are those of the machine, or of the container's limit.
var processors = runtime.GOMAXPROCS(0)

// useThreads lets more goroutines run than there are processors, unless the
// environment says how many. Every webhook waits for the disk, and a goroutine
// that does keeps others from running until Go notices.
func useThreads() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * processors)
	}
}

// memory is how much of it the program tries to get by with. What it holds is far
// less; without a bound the collector lets garbage grow to as much again, and
// the first contact sync of a large account makes a lot.
const memory = 130 << 20

// useMemory sets the bound, unless somebody has.
func useMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
}

// wait waits for as long as calls have to.
func (c *cpu) wait(ctx context.Context) error {
	if d := time.Duration(c.pause.Load()); d > 0 {
		pause(ctx, d)
	}
	return ctx.Err()
}

// nextPause is the pause that follows from the share that is used, where there
// was another before.
func nextPause(before time.Duration, used, most float64) time.Duration {
	switch {
	case most >= 1:
		return 0
	case used > most:
		return min(max(2*before, firstPauseCPU), longestPauseCPU)
	case used > relief*most:
		return before
	case before <= firstPauseCPU:
		return 0
	}
	return before * 3 / 4
}

// watchCPU measures what the process uses and sets the pause.
func (a *App) watchCPU(ctx context.Context) error {
	most := a.config.MaxCPU.Share()
	spent, at := cpuTime(), time.Now()
	used := 0.0
	var told time.Time
	for pause(ctx, cpuEvery) {
		now, moment := cpuTime(), time.Now()
		latest := float64(now-spent) / (float64(moment.Sub(at)) * float64(processors))
		spent, at = now, moment
		// A second or so counts: a batch that is worked off is no load.
		used += (latest - used) / 4
		before := time.Duration(a.cpu.pause.Load())
		next := nextPause(before, used, most)
		a.cpu.pause.Store(int64(next))
		if before == 0 && next > 0 && moment.Sub(told) > time.Minute {
			told = moment
			a.log.Info("deliveries slow down: the process uses more of the processors than max_cpu", "used", used)
		}
		a.metrics.cpuUsed.Set(used)
		a.metrics.cpuPause.Set(next.Seconds())
	}
	return nil
}

// cpuTime is how long the process has used processors, all of them together.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
