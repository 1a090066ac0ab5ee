package main

import (
	"slices"
	"strings"
	"syscall"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

var crashRows = []row{
	{id: "K1-sqlite", fault: "kill -9 at a random moment, everything embedded", push: 20, larger: 200, limit: restless, run: func(f *fault) { killed(f) }},
	{id: "K1-postgres", fault: "kill -9 at a random moment, PostgreSQL", push: 20, larger: 200, limit: restless, run: func(f *fault) {
		killed(f, "CRMSYNC_DATABASE_URL="+storetest.Postgres(f.T))
	}},
	{id: "K2-publish", fault: "kill -9 after the broker stored a fact, before the webhook is answered", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{}, point{answered: `"stream":"EVENTS"`, sent: []string{"PUB events."}, broker: true})
	}},
	{id: "K2-record", fault: "kill -9 after facts are recorded, before they are acknowledged to the broker", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{}, point{answered: "COMMIT", sent: []string{`INSERT INTO "facts"`, "commit"}})
	}},
	{id: "K2-noted", fault: "kill -9 after a create is noted, before the CRM is called", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{}, point{answered: "COMMIT", sent: []string{`"in_doubt_since"=`, "commit"}})
	}},
	{id: "K2-called", fault: "kill -9 after the CRM was called, before that is committed", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{}, point{sent: []string{settles}})
	}},
	{id: "K2-settled", fault: "kill -9 after a delivery is committed, before anything else", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{}, point{answered: "COMMIT", sent: []string{settles, "commit"}})
	}},
	{id: "K2-letter", fault: "kill -9 after a dead letter is in the stream, before it is on the worklist", push: 3, larger: 25, run: func(f *fault) {
		killedAt(f, outcome{letters: f.rounds}, point{answered: `"stream":"DEADLETTERS"`, sent: []string{"PUB deadletters."}, broker: true, malformed: true})
	}},
	{id: "K2-migration", fault: "kill -9 in the middle of the first migration", push: 3, larger: 25, run: killedMigrating},
	{id: "K2-rotation", fault: "kill -9 while keys are rotated", not: "there are no keys to rotate: the program encrypts nothing by itself"},
	{id: "K2-erase", fault: "kill -9 while a person is erased", not: "the program has no erase command yet"},
	{id: "K3", fault: "SIGTERM under load; then SIGTERM twice", push: 5, larger: 50, run: terminated},
	{id: "K6", fault: "two serve on one data directory", push: 1, larger: 1, run: crowded},
	{id: "K8", fault: "one of two replicas is stopped, not killed (8 s, larger 45 s), and wakes up", push: 1, larger: 10, run: stopped},
}

// restless is the limit of a worker that is killed every three seconds or so.
var restless = limit{
	7 * time.Second,
	"counted from the kill, start included; Bitrix24 allows two requests a second, and so many starts, each of which looks at the account, use up what it allows at once, so that it refuses some",
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
	for n := range f.rounds {
		time.Sleep(f.between(50*time.Millisecond, 2*time.Second))
		worker.kill()
		f.inject(1)
		if n%4 == 3 { // and again while it starts
			again := start(f.T, env, "serve", "--config", info.Config)
			time.Sleep(f.between(20*time.Millisecond, time.Second))
			again.kill()
			f.inject(1)
		}
		recoveries = append(recoveries, recovery{at: time.Now()})
		worker = serve(f.T, info, env...)
		worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	}
	time.Sleep(time.Second)
	f.settle(l, env, outcome{}, recoveries...)
	for _, crm := range info.CRMs() {
		if n := statsOf(f.T, crm).Throttled; n > 0 {
			f.note("%s refused %d calls for its quota", crm.Name, n)
		}
	}
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
	f.settle(l, nil, outcome{}, recoveries...)
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
	f.settle(l, nil, outcome{})
}

// settles is in the statement that stores what became of deliveries.
const settles = "links.wanted > excluded.wanted"

// A point is a named moment: after these texts have been sent to the database
// or the broker and, unless empty, the answer has come.
type point struct {
	answered  string
	sent      []string
	broker    bool
	malformed bool // it takes a webhook of which a part cannot be read
}

// A rig is a database and a broker outside of the worker, with a wire to each.
type rig struct {
	database *storetest.Server
	broker   *node
	toData   *wire
	toBroker *wire
	env      []string
}

func newRig(f *fault) *rig {
	r := &rig{database: storetest.NewServer(f.T), broker: nodes(f.T, 1)[0]}
	r.toData, r.toBroker = newWire(f.T, r.database.Address), newWire(f.T, r.broker.address)
	// Statements travel as they are each time, so that a trap sees them.
	r.env = []string{
		"CRMSYNC_DATABASE_URL=" + r.database.URL(r.toData.address()) + "&default_query_exec_mode=exec",
		"CRMSYNC_NATS_URLS=nats://" + r.toBroker.address(),
	}
	return r
}

// killedAt kills the worker at a named point, again and again.
func killedAt(f *fault, want outcome, at point) {
	r := newRig(f)
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info, r.env...)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	wire := r.toData
	if at.broker {
		wire = r.toBroker
	}
	var recoveries []recovery
	for n := range f.rounds {
		time.Sleep(f.between(200*time.Millisecond, time.Second))
		trap := wire.set(worker.kill, at.answered, at.sent...)
		if at.malformed {
			l.unreadable(n)
		}
		if !trap.springs(20 * time.Second) {
			f.Fatal("the worker did not come to the point where it is to be killed")
		}
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		worker = serve(f.T, info, r.env...)
		worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	}
	time.Sleep(time.Second)
	f.settle(l, r.env, want, recoveries...)
}

// killedMigrating kills the start on an empty database, each time at another
// statement.
func killedMigrating(f *fault) {
	r := newRig(f)
	info := simulate(f.T, slowly...)
	var worker *process
	at := []string{"CREATE TABLE facts", "CREATE TABLE identities", "CREATE TABLE links", "CREATE INDEX", "ALTER TABLE"}
	began := at[f.random.IntN(len(at))]
	for n := range f.rounds {
		if n > 0 {
			worker.stop()
			if err := r.database.Execute("DROP SCHEMA public CASCADE"); err != nil {
				f.Fatal(err)
			}
			if err := r.database.Execute("CREATE SCHEMA public"); err != nil {
				f.Fatal(err)
			}
		}
		var first *process
		begun := make(chan struct{})
		trap := r.toData.set(func() { <-begun; first.kill() }, "", at[(slices.Index(at, began)+n)%len(at)])
		first = start(f.T, r.env, "serve", "--config", info.Config)
		close(begun)
		if !trap.springs(20 * time.Second) {
			f.Fatal("the worker did not come to the statement where it is to be killed")
		}
		f.inject(1)
		worker = serve(f.T, info, r.env...)
	}
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	time.Sleep(2 * time.Second)
	f.settle(l, r.env, outcome{})
}

// stopped stops one of two replicas, without killing it, for longer than its
// lease; the other takes over; then it wakes up.
func stopped(f *fault) {
	c := newCouple(f)
	lasting := 8 * time.Second
	if f.larger {
		lasting = 45 * time.Second
	}
	l := f.traffic(c.info, 20, c.webhooks...)
	var recoveries []recovery
	for n := range f.rounds {
		time.Sleep(f.between(time.Second, 2*time.Second))
		p := c.workers[n%2].cmd.Process
		_ = syscall.Kill(-p.Pid, syscall.SIGSTOP)
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		time.Sleep(lasting)
		_ = syscall.Kill(-p.Pid, syscall.SIGCONT)
		time.Sleep(2 * time.Second)
	}
	f.settle(l, c.env, outcome{}, recoveries...)
}
