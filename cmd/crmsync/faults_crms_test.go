package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

var crmRows = []row{
	{id: "C1", fault: "500, 502, 503, 504 and pages instead of JSON, of a tenth of the calls and of all; every CRM", push: 1, larger: 5, within: probing, run: func(f *fault) {
		f.crms(3*time.Second, 30*time.Second, []spell{
			{"mode": "outage", "status": 500, "share": 0.1},
			{"mode": "outage", "status": 502},
			{"mode": "outage", "status": 503, "share": 0.1},
			{"mode": "outage", "status": 504},
			{"mode": "garbage", "share": 0.1},
		})
	}},
	{id: "C2-hubspot", fault: "HubSpot is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 1, larger: 1, alone: true, within: probing, run: func(f *fault) { crmDown(f, 0) }},
	{id: "C2-zoho", fault: "Zoho CRM is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 0, larger: 1, alone: true, within: probing, run: func(f *fault) { crmDown(f, 1) }},
	{id: "C2-bitrix24", fault: "Bitrix24 is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 0, larger: 1, alone: true, within: probing, run: func(f *fault) { crmDown(f, 2) }},
	{id: "C2-24h", fault: "a CRM is down for 24 h", not: "needs the program's clock to be moved, which a process does not allow; TestAnOutageBurnsNoAttempt holds the policy on a fake clock"},
	{id: "C3", fault: "throttled: Retry-After of 1 s, a date 2 s ahead, garbage, negative, none; every CRM", push: 1, larger: 5, run: func(f *fault) {
		f.crms(2*time.Second, 30*time.Second, []spell{
			{"mode": "throttle", "retry_after": "1"},
			{"mode": "throttle", "retry_after": dateAhead, "share": 0.3},
			{"mode": "throttle", "retry_after": "soon", "share": 0.3},
			{"mode": "throttle", "retry_after": "-5", "share": 0.3},
			{"mode": "throttle", "share": 0.3},
		})
	}},
	{id: "C4", fault: "connections reset before and after the CRM has acted, answers cut short; every CRM", push: 1, larger: 10, within: probing, run: func(f *fault) {
		f.crms(4*time.Second, 30*time.Second, []spell{
			{"mode": "reset_after_commit", "share": 0.5}, {"mode": "reset", "share": 0.5}, {"mode": "truncate", "share": 0.5},
		})
	}},
	{id: "C5", fault: "slow: 3.4 s, 3.6 s, 10 s, a byte a second, half a close, headers and then silence; every CRM", push: 1, larger: 5, within: 25 * time.Second, run: func(f *fault) {
		f.crms(3*time.Second, 20*time.Second, []spell{
			{"mode": "slow", "delay": "3.4s", "share": 0.3},
			{"mode": "slow", "delay": "3.6s", "share": 0.3},
			{"mode": "slow", "delay": "10s", "share": 0.3},
			{"mode": "slowloris", "share": 0.3},
			{"mode": "half_close", "share": 0.3},
			{"mode": "silence", "share": 0.3},
		})
	}},
	{id: "C6", fault: "garbage, answers cut short, more than 20 MB, redirects; every CRM", push: 1, larger: 10, within: probing, run: func(f *fault) {
		f.crms(3*time.Second, 20*time.Second, []spell{
			{"mode": "garbage", "share": 0.5}, {"mode": "truncate", "share": 0.5}, {"mode": "oversize", "share": 0.3}, {"mode": "redirect", "share": 0.5},
		})
	}},
	{id: "C7", fault: "the token has expired or is refused for 5 s, larger 30 s; every CRM", push: 1, larger: 10, within: probing, run: func(f *fault) {
		f.crms(5*time.Second, 30*time.Second, []spell{{"mode": "expire_token"}})
	}},
	{id: "C8", fault: "one message in 25 is refused, whatever batch it is in; every CRM", push: 1, larger: 3, run: poisoned},
	{id: "C9", fault: "list pages: empty, repeated, half", not: "nothing lists contacts while it serves: the sweep is not built yet; connectors/connectortest holds the connectors to it"},
	{id: "C10", fault: "a third of the contacts is deleted by people", push: 1, larger: 5, run: deleted},
	{id: "C11", fault: "DNS failure, expired certificate, wrong name", not: "the simulators speak plain HTTP; a refused connection is in C2"},
	{id: "C12", fault: "each CRM reports our own writes", not: "every row has it: the simulators send their webhooks throughout; TestEchoesAreHarmless counts the writes"},
}

// probing is the longest recovery of an account that is not called because of
// what has gone wrong: calls to see are five seconds apart, and the one that
// works has to be made.
const probing = recoverWithin + 500*time.Millisecond

// A spell is a fault that a simulator is asked for.
type spell map[string]any

// dateAhead stands for a time that is two seconds ahead, as a header says it.
const dateAhead = "(a date)"

// lasting is the spell for a time, as it begins now.
func (s spell) lasting(d time.Duration) spell {
	s = maps.Clone(s)
	s["for"] = d.String()
	if s["retry_after"] == dateAhead {
		s["retry_after"] = time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat)
	}
	return s
}

func (s spell) String() string {
	var b strings.Builder
	for _, key := range []string{"mode", "status", "delay", "retry_after", "share"} {
		if v, ok := s[key]; ok {
			fmt.Fprintf(&b, " %v", v)
		}
	}
	return b.String()[1:]
}

// crms lets every CRM have the spells one after the other, each CRM beginning
// at another, while messages come. After each it has to recover.
func (f *fault) crms(push, larger time.Duration, list []spell) {
	least := push
	if f.larger {
		least = larger
	}
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	time.Sleep(time.Second)
	first := f.random.IntN(len(list))
	memory := residentMiB(f.T, worker.cmd.Process.Pid)
	var recoveries []recovery
	hits := map[string]int{}
	for range f.rounds {
		for n := range list {
			before := f.hits(info)
			for i, crm := range info.CRMs() {
				// Of no length that has to do with the time between two probes.
				s, lasting := list[(first+n+i)%len(list)], f.between(least, least+time.Second)
				f.begin(crm, s.lasting(lasting))
				recoveries = append(recoveries, recovery{at: time.Now().Add(lasting), accounts: []string{crm.Account}, backlog: true, after: "after " + s.String()})
			}
			time.Sleep(least + time.Second + probing)
			for i, hit := range f.hits(info) {
				hits[list[(first+n+i)%len(list)].String()] += hit - before[i]
			}
		}
	}
	f.note("memory %d to %d MiB", memory, residentMiB(f.T, worker.cmd.Process.Pid))
	for _, s := range list {
		if f.inject(hits[s.String()]); hits[s.String()] == 0 {
			f.Errorf("no call met the fault %s", s)
		}
	}
	for _, crm := range info.CRMs() {
		ask(f.T, crm.URL+"/_sim/faults", spell{"mode": "none"}, nil)
	}
	f.settle(l, nil, outcome{within: 2 * time.Minute}, recoveries...)
}

func (f *fault) begin(crm sandbox.CRM, s spell) {
	f.Helper()
	status, answer := send(f.T, crm.URL+"/_sim/faults", s)
	if status != 200 {
		f.Fatalf("%s does not know the fault %v: %s", crm.Name, s, answer)
	}
}

// hits is how many calls each simulator has spoiled.
func (f *fault) hits(info sandbox.Info) []int {
	var hits []int
	for _, crm := range info.CRMs() {
		hits = append(hits, statsOf(f.T, crm).Faults)
	}
	return hits
}

// crmDown takes one CRM away. The others must not notice.
func crmDown(f *fault, which int) {
	// Of no length that has to do with the time between two probes.
	lasting := f.between(8*time.Second, 13*time.Second)
	if f.larger {
		lasting = f.between(58*time.Second, 63*time.Second)
	}
	info := simulate(f.T, "--latency", "40ms-120ms")
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	crm := info.CRMs()[which]
	l := f.traffic(info, 20)
	time.Sleep(4 * time.Second) // the newcomers have been written
	quiet := time.Now()
	time.Sleep(lasting)
	before := f.hits(info)[which]
	down := time.Now()
	f.begin(crm, spell{"mode": "outage", "for": lasting.String()})
	time.Sleep(lasting)
	back := time.Now()
	failed := f.hits(info)[which] - before
	f.inject(failed)
	time.Sleep(6 * time.Second)
	f.settle(l, nil, outcome{within: time.Minute}, recovery{at: back, accounts: []string{crm.Account}, backlog: true})

	f.note("%d failed calls", failed)
	// What is under way when it begins, then a call every five seconds.
	if most := 10 + int(lasting/(5*time.Second)); failed > most {
		f.Errorf("%d calls failed in the outage, want at most %d", failed, most)
	}
	for i, other := range info.CRMs() {
		if i == which {
			continue
		}
		was, is := percentile(f.delays(l, other, quiet, down), 0.99), percentile(f.delays(l, other, down, back), 0.99)
		f.note("p99 of %s %d, then %d ms", other.Account, was.Milliseconds(), is.Milliseconds())
		// Of ten seconds two messages decide a p99, so near to nothing the
		// noise of a busy machine does.
		noise := 500 * time.Millisecond
		if f.larger {
			noise = 100 * time.Millisecond
		}
		if is > max(was*12/10, was+noise) {
			f.Errorf("%s noticed: p99 was %v, then %v, want at most 20 %% more", other.Name, was, is)
		}
	}
}

// poisoned lets every 25th text be refused by every CRM.
func poisoned(f *fault) {
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	for _, crm := range info.CRMs() {
		f.begin(crm, spell{"mode": "reject", "match": "wamid.P"})
	}
	l := newLedger(f, info)
	l.refused = func(n int) bool { return n%25 == 1 }
	l.start(f, 20)
	time.Sleep(time.Duration(f.rounds) * 8 * time.Second)
	l.ended(f)
	refused := 0
	for wamid := range l.acked() {
		if strings.HasPrefix(wamid, "wamid.P") {
			refused++
		}
	}
	for _, n := range f.hits(info) {
		f.inject(n)
	}
	f.note("%d messages refused by each CRM, each a dead letter", refused)
	f.settle(l, nil, outcome{missing: refused, letters: 3 * refused})
}

// deleted deletes contacts while messages to them come: each gets a new one,
// and messages that come later are with it.
func deleted(f *fault) {
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	time.Sleep(3 * time.Second)
	l.ended(f)
	// What was there goes with its contact; so the ledger begins anew.
	f.settle(l, nil, outcome{})
	for _, crm := range info.CRMs() {
		for i, p := range contactsIn(f, crm) {
			if i%3 == 0 {
				remove(f.T, crm.URL+"/_sim/contacts?id="+p.ID)
				f.inject(1)
			}
		}
	}
	later := newLedger(f, info)
	later.n = 100_000
	later.start(f, 20)
	time.Sleep(4 * time.Second)
	f.settle(later, nil, outcome{})
}

// remove is what a person does who deletes a contact.
func remove(t *testing.T, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", address, response.Status)
	}
}
