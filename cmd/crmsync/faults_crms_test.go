package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

var crmRows = []row{
	{id: "C1", fault: "500, 502, 503, 504 and pages instead of JSON, of a tenth of the calls and of all; every CRM", push: 1, larger: 5, limit: apart, run: func(f *fault) {
		f.crms(3*time.Second, 30*time.Second, []spell{
			{"mode": "outage", "status": 500, "share": 0.1},
			{"mode": "outage", "status": 502},
			{"mode": "outage", "status": 503, "share": 0.1},
			{"mode": "outage", "status": 504},
			{"mode": "garbage", "share": 0.1},
		})
	}},
	{id: "C2-hubspot", fault: "HubSpot is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 1, larger: 1, alone: true, limit: probing, run: func(f *fault) { crmDown(f, 0) }},
	{id: "C2-zoho", fault: "Zoho CRM is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 0, larger: 1, alone: true, limit: probing, run: func(f *fault) { crmDown(f, 1) }},
	{id: "C2-bitrix24", fault: "Bitrix24 is down for 8 to 13 s, larger 60 s, at 20 messages/s", push: 0, larger: 1, alone: true, limit: probing, run: func(f *fault) { crmDown(f, 2) }},
	{id: "C2-24h", fault: "a CRM is down for 24 h", not: "needs the program's clock to be moved, which a process does not allow; TestAnOutageBurnsNoAttempt holds the policy on a fake clock"},
	{id: "C3", fault: "throttled: Retry-After of 1 s, a date 2 s after the end, garbage, negative, none; every CRM", push: 1, larger: 5, limit: throttled, run: func(f *fault) {
		f.crms(2*time.Second, 30*time.Second, []spell{
			{"mode": "throttle", "retry_after": "1"},
			{"mode": "throttle", "retry_after": dateAhead, "share": 0.3},
			{"mode": "throttle", "retry_after": "soon", "share": 0.3},
			{"mode": "throttle", "retry_after": "-5", "share": 0.3},
			{"mode": "throttle", "share": 0.3},
		})
	}},
	{id: "C4", fault: "connections reset before and after the CRM has acted, answers cut short; every CRM", push: 1, larger: 10, limit: apart, run: func(f *fault) {
		f.crms(4*time.Second, 30*time.Second, []spell{
			{"mode": "reset_after_commit", "share": 0.5}, {"mode": "reset", "share": 0.5}, {"mode": "truncate", "share": 0.5},
		})
	}},
	{id: "C5", fault: "slow: 3.4 s, 3.6 s, 10 s, a byte a second, half a close, headers and then silence; every CRM", push: 1, larger: 5, limit: unanswered, run: func(f *fault) {
		f.crms(3*time.Second, 20*time.Second, []spell{
			{"mode": "slow", "delay": "3.4s", "share": 0.3},
			{"mode": "slow", "delay": "3.6s", "share": 0.3},
			{"mode": "slow", "delay": "10s", "share": 0.3},
			{"mode": "slowloris", "share": 0.3},
			{"mode": "half_close", "share": 0.3},
			{"mode": "silence", "share": 0.3},
		})
	}},
	{id: "C6", fault: "garbage, answers cut short, more than 20 MB, redirects; every CRM", push: 1, larger: 10, limit: apart, run: func(f *fault) {
		f.crms(3*time.Second, 20*time.Second, []spell{
			{"mode": "garbage", "share": 0.5}, {"mode": "truncate", "share": 0.5}, {"mode": "oversize", "share": 0.3}, {"mode": "redirect", "share": 0.5},
		})
	}},
	{id: "C7", fault: "the token has expired or is refused for 5 s, larger 30 s; every CRM", push: 1, larger: 10, limit: distrusted, run: func(f *fault) {
		f.crms(5*time.Second, 30*time.Second, []spell{{"mode": "expire_token"}})
	}},
	{id: "C7-refresh", fault: "the token has expired, and refreshing it fails for 4 s, larger 30 s; every CRM, as installed apps; Zoho's answer to it is lost", push: 1, larger: 5, limit: probing, run: refreshFails},
	{id: "C7-together", fault: "a token that is good once is refreshed by two replicas and three checks of the account at the same time; Bitrix24", push: 3, larger: 20, limit: probing, run: refreshedTogether},
	{id: "C8", fault: "one message in 25 is refused, whatever batch it is in; every CRM", push: 1, larger: 3, run: poisoned},
	{id: "C9", fault: "list pages: empty, repeated, half", not: "TestAWrongListingDoesNoHarm does it to a contact sync; connectors/connectortest holds the connectors to it"},
	{id: "C10", fault: "a third of the contacts is deleted by people: who writes again is back, nobody else", push: 1, larger: 5, run: deleted},
	{id: "C11", fault: "DNS failure, expired certificate, wrong name", not: "the simulators speak plain HTTP; a refused connection is in C2"},
	{id: "C12", fault: "each CRM reports our own writes", not: "every row has it: the simulators send their webhooks throughout; TestEchoesAreHarmless counts the writes"},
}

// probing is the limit of an account that is not called because of what has
// gone wrong.
var probing = limit{
	recoverWithin + time.Second,
	"the account is called once in five seconds, to see, from the beginning of one call to the beginning of the next; the one that works has to be made too, and may be about a contact, whose messages follow it",
}

// apart is the limit where only some of the calls go wrong.
var apart = limit{
	10*time.Second + 500*time.Millisecond,
	"the limit of Bitrix24, of whose two requests a second each call gets one of its own for ten seconds after one that several shared has failed; it is 6 s for the others",
}

// distrusted is the limit where new tokens are refused too.
var distrusted = limit{
	15*time.Second + 500*time.Millisecond,
	"the limit of Zoho CRM, which issues ten tokens in ten minutes: a new one that it refuses as well is replaced after 5 s, the next after 10 s; it is 6 s for the others",
}

// throttled is HubSpot's limit where it has named no time.
var throttled = limit{
	10*time.Second + 500*time.Millisecond,
	"where HubSpot refuses a call for its limit of so many in any ten seconds and names no time, ten seconds are waited, as HubSpot's own library does; five is the limit for what names a time, and for the others",
}

// unanswered is the limit of a vendor that takes a call and says nothing.
var unanswered = limit{
	20*time.Second + 500*time.Millisecond,
	"a batch that was taken before the end and is not answered is waited for, 10 s by HubSpot, 15 s by Zoho CRM, 20 s by Bitrix24; as many as may be under way at once can be of that kind",
}

// A spell is a fault that a simulator is asked for.
type spell map[string]any

// dateAhead stands for a time two seconds after the spell, as a header says it.
const dateAhead = "(a date)"

// lasting is the spell for a time, as it begins now.
func (s spell) lasting(d time.Duration) spell {
	s = maps.Clone(s)
	s["for"] = d.String()
	if s["retry_after"] == dateAhead {
		s["retry_after"] = time.Now().Add(d + 2*time.Second).UTC().Format(http.TimeFormat)
	}
	return s
}

func (s spell) String() string {
	var b strings.Builder
	for _, key := range []string{"mode", "match", "status", "delay", "retry_after", "share"} {
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
				r := recovery{at: time.Now().Add(lasting), accounts: []string{crm.Account}, backlog: true, after: "after " + s.String()}
				if s["mode"] == "throttle" && (crm.Account != "hubspot" || s["retry_after"] == "1" || s["retry_after"] == dateAhead) {
					r.within = recoverWithin
				}
				if f.row.limit == apart && crm.Account != "bitrix24" || f.row.limit == distrusted && crm.Account != "zoho" {
					r.within = probing.within
				}
				recoveries = append(recoveries, r)
			}
			time.Sleep(least + time.Second + min(f.row.within(), 8*time.Second))
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

// install makes an account that of an installed app, whose token is refreshed.
// Zoho's is anyway.
func (f *fault) install(info sandbox.Info, accounts ...string) {
	f.Helper()
	if slices.Contains(accounts, "hubspot") {
		edit(f.T, info.Config, "    token: "+info.HubSpot.Token+"\n", fmt.Sprintf("    client_id: %s\n    refresh_token: %s\n", info.HubSpot.ClientID, info.HubSpot.RefreshToken))
	}
	b := info.Bitrix24
	edit(f.T, info.Config, "    webhook_url: "+b.URL+"\n", fmt.Sprintf("    base_url: %s\n    token_url: %s\n    client_id: %s\n    client_secret: %s\n    refresh_token: %s\n",
		b.Base(), b.TokenURL, b.ClientID, b.ClientSecret, b.RefreshToken))
	// An application binds its events itself.
	if status := post(f.T, b.Base()+"/_sim/webhook", map[string]string{"url": ""}); status != http.StatusOK {
		f.Fatalf("answered %d", status)
	}
}

// refreshFails lets a token expire while there is no other to be had, and then
// loses the answer that brings one. HubSpot's and Bitrix24's answers are not
// lost: the refresh token that was in one would be the only one, and it takes a
// person to install the app again.
func refreshFails(f *fault) {
	lasting := 4 * time.Second
	if f.larger {
		lasting = 30 * time.Second
	}
	info := simulate(f.T, slowly...)
	f.install(info, "hubspot", "bitrix24")
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		for _, s := range []spell{{"mode": "outage", "match": "oauth", "status": 500}, {"mode": "refresh_lost", "times": 1}} {
			// HubSpot's connector does not replace a token in its first seconds.
			time.Sleep(12 * time.Second)
			before := f.hits(info)
			for _, crm := range info.CRMs() {
				if s["mode"] != "refresh_lost" || crm.Account == "zoho" {
					f.begin(crm, s.lasting(lasting))
				}
				f.begin(crm, spell{"mode": "expire_token", "times": 1}.lasting(lasting))
				recoveries = append(recoveries, recovery{at: time.Now().Add(lasting), accounts: []string{crm.Account}, backlog: true, after: "after " + s.String()})
			}
			time.Sleep(lasting)
			for i, hit := range f.hits(info) {
				crm := info.CRMs()[i]
				if f.inject(hit - before[i]); hit-before[i] < 2 && (s["mode"] != "refresh_lost" || crm.Account == "zoho") {
					f.Errorf("%s: %d calls failed, want the expired token's and a refresh", crm.Name, hit-before[i])
				}
			}
			time.Sleep(probing.within)
		}
	}
	f.settle(l, nil, outcome{}, recoveries...)
}

// refreshedTogether lets everybody need a new token at once. Each refresh brings
// a refresh token that makes the one before useless, so that one answer that
// went astray would be the end of the account.
func refreshedTogether(f *fault) {
	c := newCouple(f, func(info sandbox.Info) { f.install(info, "bitrix24") })
	crm := c.info.CRMs()[2]
	l := f.traffic(c.info, 20, c.webhooks...)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(f.between(time.Second, 3*time.Second))
		f.begin(crm, spell{"mode": "expire_token", "times": 4}.lasting(2*time.Second))
		var checks []*process
		for range 3 {
			checks = append(checks, start(f.T, c.env, "check", "--live", "--config", c.info.Config))
		}
		for _, check := range checks {
			check.wait(2 * time.Minute)
		}
		f.inject(4)
		recoveries = append(recoveries, recovery{at: time.Now(), accounts: []string{crm.Account}, backlog: true})
		time.Sleep(probing.within)
		check := start(f.T, c.env, "check", "--live", "--config", c.info.Config)
		if check.wait(2 * time.Minute); check.cmd.ProcessState.ExitCode() != 0 {
			f.Errorf("a check after it all ends with exit code %d: %s", check.cmd.ProcessState.ExitCode(), check.errors)
		}
	}
	f.settle(l, c.env, outcome{}, recoveries...)
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
