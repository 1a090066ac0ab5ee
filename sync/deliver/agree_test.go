package deliver_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

var (
	agreeSeed  = flag.Uint64("agree.seed", 1, "seed of the edits, 0 for another each time")
	agreeEdits = flag.Int("agree.edits", usualEdits, "how many edits")
)

// People edit the same contacts in three CRMs and on WhatsApp, while calls are
// out, while CRMs are down, while answers and webhooks are lost, doubled and
// late, and while the worker dies at any point. Each time that all of it has
// settled the three CRMs and the directory show what a model says that knows
// nothing but who has entered what and when, and three further syncs write
// nothing.
func TestContactsAgreeInTheEnd(t *testing.T) {
	t.Parallel()
	seed := *agreeSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-agree.seed=%d", seed)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newAgreeing(t, dir, seed)
		defer w.db.Close()
		for round := 0; w.edits < *agreeEdits && !t.Failed(); round++ {
			for edits := w.edits; w.edits < edits+40; {
				w.step()
			}
			w.settle()
			w.compare(round)
			w.silence(round)
		}
		t.Logf("%d edits, %d lost webhooks, %d failed calls, %d deaths, %d writes", w.edits, w.lost, w.failed, w.deaths, w.writes())
	})
}

const agreeMapping = `
version: 1
accounts:
  a:
    contact: {phone: phone, firstname: first_name, lastname: last_name, email: email, tags: labels, consent: consent}
  b:
    contact: {PHONE: phone, NAME: first_name, LAST_NAME: last_name, EMAIL: email, LABELS: labels, UF_CONSENT: consent}
  c:
    contact: {Mobile: phone, First_Name: first_name, Last_Name: last_name, Email: email, Tag: labels, Consent: consent}
`

// agreeing is three CRMs, WhatsApp and a worker that goes on step by step.
type agreeing struct {
	t       *testing.T
	rnd     *rand.Rand
	db      *store.DB
	mapping *mapping.Mapping
	crms    map[string]*pages
	workers map[string]*deliver.Worker
	// events are published and not recorded.
	events   []directory.Fact
	recorder record.Recorder
	people   []*human
	numbers  int
	depth    int
	began    time.Time // the step under way
	quiet    bool      // nothing is made to go wrong

	edits, lost, failed, deaths, facts int
}

func newAgreeing(t *testing.T, dir string, seed uint64) *agreeing {
	db, err := store.OpenSQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Compile("mapping.yaml", []byte(agreeMapping))
	if err != nil {
		t.Fatal(err)
	}
	w := &agreeing{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), db: db, mapping: m, crms: map[string]*pages{}, workers: map[string]*deliver.Worker{}}
	w.recorder = record.Recorder{
		Store: db, Region: "IT", Mapping: func() *mapping.Mapping { return m },
		DeliverTo: func(string) []string { return []string{"a", "b", "c"} },
	}
	for _, account := range []string{"a", "b", "c"} {
		w.crms[account] = newPages(w, account)
		w.start(account)
	}
	return w
}

// start begins to work for an account, as after a restart.
func (w *agreeing) start(account string) {
	worker := &deliver.Worker{
		Account: account, Kind: "hubspot", Connector: w.crms[account], Region: "IT",
		Wait: func(ctx context.Context, _ bool) error { return ctx.Err() }, Mapping: func() *mapping.Mapping { return w.mapping },
		Store: w.db, Holder: "test", Observer: silent{}, Log: slog.New(slog.DiscardHandler),
		Retry: deliver.RetryPolicy{Delays: slices.Repeat([]time.Duration{time.Second}, 50), SettleWithin: time.Hour},
		Bury: func(_ context.Context, letters []deadletter.Letter) error {
			for _, l := range letters {
				w.t.Errorf("dead letter: %+v", l)
			}
			return nil
		},
		Publish: w.publish, Brake: &deliver.Brake{},
	}
	if err := worker.Begin(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.workers[account] = worker
}

func (w *agreeing) publish(_ context.Context, facts []directory.Fact) error {
	if w.chance(20) {
		return errors.New("the broker does not answer")
	}
	w.events = append(w.events, facts...)
	for _, f := range facts {
		w.crms[f.Account].published(f.Observed, f.At)
	}
	return nil
}

// chance happens once in so many times, as long as things go wrong.
func (w *agreeing) chance(in int) bool { return !w.quiet && w.rnd.IntN(in) == 0 }

func (w *agreeing) account() string { return []string{"a", "b", "c"}[w.rnd.IntN(3)] }

// step is one thing that happens somewhere.
func (w *agreeing) step() {
	w.began = time.Now().UTC()
	time.Sleep(time.Duration(2+w.rnd.IntN(200)) * time.Millisecond)
	switch n := w.rnd.IntN(100); {
	case n < 30:
		w.edit()
	case n < 36:
		w.write()
	case n < 44:
		w.webhooks(w.account())
	case n < 54:
		w.pull(w.account())
	case n < 74:
		w.record()
	case n < 92:
		w.deliver(w.account())
	case n < 94:
		w.sweep(w.account())
	case n < 97:
		w.die(w.account())
	default:
		crm := w.crms[w.account()]
		crm.down = !crm.down
	}
}

// meanwhile is what happens while a call is out.
func (w *agreeing) meanwhile() {
	if w.quiet || w.depth > 0 {
		return
	}
	w.depth++
	for range w.rnd.IntN(3) {
		time.Sleep(time.Duration(1+w.rnd.IntN(20)) * time.Millisecond)
		switch w.rnd.IntN(5) {
		case 0:
			w.edit()
		case 1:
			w.write()
		case 2:
			w.webhooks(w.account())
		case 3:
			w.pull(w.account())
		case 4:
			w.record()
		}
	}
	w.depth--
}

// die has another run work for the account: of the one before nothing is stored
// any more.
func (w *agreeing) die(account string) {
	w.deaths++
	w.start(account)
}

func (w *agreeing) record() {
	n := min(len(w.events), 1+w.rnd.IntN(5))
	if n == 0 {
		return
	}
	result, err := w.recorder.Record(w.t.Context(), w.events[:n])
	if err != nil || len(result.Malformed) > 0 {
		w.t.Fatal(err, result.Malformed)
	}
	if !w.chance(10) { // else it is not acknowledged, and comes again
		w.events = w.events[n:]
	}
}

func (w *agreeing) deliver(account string) int {
	n, err := w.workers[account].Deliver(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *agreeing) pull(account string) int {
	n, _ := w.workers[account].PullSome(w.t.Context())
	return n
}

// webhooks has a CRM send what it has to say, some of it lost, doubled or in
// another order.
func (w *agreeing) webhooks(account string) {
	crm := w.crms[account]
	news := crm.news
	crm.news = nil
	w.rnd.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
	for _, n := range news {
		switch {
		case w.chance(4):
			w.lost++
		case w.chance(6):
			w.tell(account, n)
			w.tell(account, n)
		default:
			w.tell(account, n)
		}
	}
}

func (w *agreeing) tell(account string, n connectors.RecordNews) {
	w.facts++
	w.events = append(w.events, w.fact(account, connectors.Fact{Kind: connectors.KindRecord, Record: &n}))
}

func (w *agreeing) fact(account string, f connectors.Fact) directory.Fact {
	w.facts++
	f.Key, f.At = fmt.Sprint("fact ", w.facts), time.Now().UTC()
	return directory.Fact{ID: directory.FactID(account, f.Key), Account: account, ReceivedAt: f.At, Fact: f}
}

// sweep compares all of an account.
func (w *agreeing) sweep(account string) {
	sweep := &deliver.Sweep{
		Account: account, Connector: w.crms[account], Store: w.db, Mapping: w.mapping, Region: "IT", Publish: w.publish, Brake: &deliver.Brake{},
		Wait: func(ctx context.Context) error { return ctx.Err() }, Rest: func(time.Duration) time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler),
	}
	now := time.Now().UTC()
	if w.crms[account].down {
		return
	}
	if _, err := sweep.Run(w.t.Context(), &directory.Sweep{Account: account, Due: now, Began: now, MassChange: true}); err != nil && w.quiet {
		w.t.Fatal(err)
	}
}

// settle ends everything that goes wrong, loses what webhooks there are, and
// goes on until nothing happens any more, a full sync among it.
func (w *agreeing) settle() {
	w.quiet = true
	defer func() { w.quiet = false }()
	for _, crm := range w.crms {
		crm.down, crm.news = false, nil
	}
	w.rest()
	time.Sleep(time.Minute)
	w.sync()
}

func (w *agreeing) sync() {
	for _, account := range []string{"a", "b", "c"} {
		w.sweep(account)
	}
	w.rest()
}

// rest goes on until nothing is left to do.
func (w *agreeing) rest() {
	for still, rounds := 0, 0; still < 12; rounds++ {
		if rounds > 500 {
			w.t.Fatal("there is no end of it")
		}
		busy := len(w.events)
		for len(w.events) > 0 {
			w.record()
		}
		for _, account := range []string{"a", "b", "c"} {
			w.webhooks(account)
			busy += w.pull(account) + w.deliver(account)
		}
		still++
		if busy > 0 {
			still = 0
		}
		time.Sleep(time.Second)
	}
}

func (w *agreeing) writes() (n int) {
	for _, crm := range w.crms {
		n += crm.writes
	}
	return n
}

// silence has three further syncs write nothing.
func (w *agreeing) silence(round int) {
	w.quiet = true
	defer func() { w.quiet = false }()
	before := w.writes()
	for n := range 3 {
		time.Sleep(15 * time.Minute)
		w.sync()
		if now := w.writes(); now != before {
			w.t.Errorf("round %d: sync %d after all agreed wrote %d times", round, n+1, now-before)
			before = now
		}
	}
}

// describe is a person's record in an account, and what has happened to them since
// all agreed.
func (w *agreeing) describe(p *human, account string) string {
	return fmt.Sprintf("number %s in %s: %v\n%s", p.number, account, w.crms[account].of(p), strings.Join(p.history, "\n"))
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
