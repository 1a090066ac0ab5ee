package main

import (
	"strings"
	"syscall"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

var crashRows = []row{
	{id: "K1-sqlite", fault: "kill -9 at a random moment, everything embedded", push: 20, larger: 200, run: func(f *fault) { killed(f) }},
	{id: "K1-postgres", fault: "kill -9 at a random moment, PostgreSQL", push: 20, larger: 200, run: func(f *fault) {
		killed(f, "CRMSYNC_DATABASE_URL="+storetest.Postgres(f.T))
	}},
	{id: "K3", fault: "SIGTERM under load; then SIGTERM twice", push: 5, larger: 50, run: terminated},
	{id: "K6", fault: "two serve on one data directory", push: 1, larger: 1, run: crowded},
}

// slowly makes the simulators take as long as vendors do, so that calls are
// under way when something breaks, and HubSpot refuse the property that would
// make it refuse a second copy by itself.
var slowly = []string{"--latency", "40ms-120ms", "--plain-messages"}

// working waits until every account is delivered to.
func (p *process) deliversTo(info sandbox.Info, url string, within time.Duration) {
	p.t.Helper()
	eventually(p.t, within, "every account is delivered to", func() bool {
		var report struct{ Accounts map[string]string }
		if !ask200(url+"/readyz", &report) {
			return false
		}
		for _, crm := range info.CRMs() {
			if report.Accounts[crm.Account] != "ok" {
				return false
			}
		}
		return true
	})
}

func killed(f *fault, env ...string) {
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info, env...)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(f.between(50*time.Millisecond, 2*time.Second))
		worker.kill()
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		worker = serve(f.T, info, env...)
		worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	}
	time.Sleep(time.Second)
	f.settle(l, env, 0, time.Minute, recoveries...)
}

func terminated(f *fault) {
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	var slowest time.Duration
	for range f.rounds {
		time.Sleep(f.between(500*time.Millisecond, 2*time.Second))
		began := time.Now()
		if code := worker.stop(); code != 0 {
			f.Errorf("exit code %d, want 0", code)
		}
		slowest = max(slowest, time.Since(began))
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		worker = serve(f.T, info)
		worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	}
	time.Sleep(time.Second)
	f.settle(l, nil, 0, time.Minute, recoveries...)
	f.note("stopped within %.1f s", slowest.Seconds())
	if slowest > 10*time.Second {
		f.Errorf("it took %v to stop, want at most 10 s", slowest)
	}
	if n := l.answered(500, 502, 503, 504); n > 0 {
		f.Errorf("%d webhooks were answered 5xx while it stopped; they should not have been taken", n)
	}
	_ = worker.cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(50 * time.Millisecond) // two signals at once are one
	_ = worker.cmd.Process.Signal(syscall.SIGTERM)
	worker.wait(time.Second)
}

func crowded(f *fault) {
	info := simulate(f.T)
	serve(f.T, info)
	l := f.traffic(info, 20)
	out, errs, code := runCommand(f.T, "serve", "--config", info.Config)
	f.inject(1)
	if code != exitFailed || !strings.Contains(errs, "another crmsync is running") {
		f.Errorf("the second: exit code %d, %s%s", code, out, errs)
	}
	time.Sleep(time.Second)
	f.settle(l, nil, 0, time.Minute)
}
