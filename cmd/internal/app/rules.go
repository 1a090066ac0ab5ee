package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crmsync/config"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

// unknownReceivers are receivers that rules name and the configuration does not have,
// or that cannot do what a rule asks of them.
func unknownReceivers(c *config.Config, m *mapping.Mapping) (findings config.Findings) {
	var names []string
	for _, n := range c.Notify {
		if n.Name != "" {
			names = append(names, n.Name)
		}
	}
	hint := "no receiver there has a name"
	if len(names) > 0 {
		hint = "there is " + strings.Join(names, ", ")
	}
	for _, use := range m.Receivers() {
		problem := ""
		switch i := slices.IndexFunc(c.Notify, func(n config.Notify) bool { return n.Name == use.Name }); {
		case i < 0:
			problem = fmt.Sprintf("rule %q tells %q, which is no receiver under notify in the configuration; %s", use.Rule, use.Name, hint)
		case use.Reply && c.Notify[i].Format == "slack":
			problem = fmt.Sprintf("rule %q asks %s for a reply, which takes texts for people only (format: slack); name one with format: json", use.Rule, use.Name)
		}
		if problem != "" {
			findings = append(findings, config.Finding{File: c.Mapping, Line: use.Line, Column: use.Column, Problem: problem})
		}
	}
	return findings
}

// noteFired counts the rules that have fired.
func (a *App) noteFired(fired []record.Fired) {
	for _, f := range fired {
		a.metrics.fired.WithLabelValues(f.Rule).Inc()
		a.log.Debug("a rule has fired", "rule", f.Rule, "account", f.Account, "problems", f.Problems)
		if len(f.Problems) > 0 {
			a.metrics.ruleFaults.WithLabelValues(f.Rule).Add(float64(len(f.Problems)))
		}
	}
}

// A teller tells receivers what rules say. What they are owed is in the database, and
// of all replicas one tells them; each at least once, with an id that stays the same.
type teller struct {
	store     *store.DB
	holder    string
	metrics   *metrics
	log       *slog.Logger
	receivers map[string]*poster
	// every is how often it looks, waits how long after each failure, the last one
	// again and again, refused the same of a notice that the receiver does not take,
	// tryFor until when it tries.
	every          time.Duration
	waits, refused []time.Duration
	tryFor         time.Duration
	telling        sync.Mutex
	busy           map[string]bool      // receivers that are being told
	until          map[string]time.Time // receivers that have asked to be left alone
	leads          atomic.Bool
	finished       sync.WaitGroup
}

const (
	tellEvery = time.Second
	// tellTTL is after what time another replica tells them.
	tellTTL = time.Minute
	// countOwedEvery is after how many rounds what is owed is counted.
	countOwedEvery = 10
	// tellAtOnce is how many notices are read for a receiver at a time, tellBeside of
	// how many contacts it is told at the same time.
	tellAtOnce = 100
	tellBeside = 8
	// longestAlone is how long a receiver may ask to be left alone.
	longestAlone = time.Hour
)

func newTeller(db *store.DB, holder string, receivers []config.Notify, m *metrics, log *slog.Logger) *teller {
	t := &teller{
		store: db, holder: holder, metrics: m, log: log, receivers: map[string]*poster{}, busy: map[string]bool{}, until: map[string]time.Time{},
		every: tellEvery, waits: []time.Duration{time.Second, 30 * time.Second, time.Minute},
		refused: []time.Duration{time.Second, 30 * time.Second, time.Hour}, tryFor: 24 * time.Hour,
	}
	for _, r := range receivers {
		if r.Name != "" {
			t.receivers[r.Name] = &poster{settings: r, client: clientFor(r.Private)}
		}
	}
	return t
}

// run tells the receivers until ctx ends, each in its own time.
func (t *teller) run(ctx context.Context) error {
	defer t.finished.Wait()
	lease, leads := int64(0), false
	for n := 0; ; n++ {
		due, err := t.store.ReceiversDue(ctx)
		if err == nil && len(due) > 0 {
			var number int64
			var mine bool
			// One that fails, as at the end, leaves the lease as it was.
			if number, mine, err = t.store.Acquire(ctx, store.RuleNotices, t.holder, false, tellTTL); err == nil {
				lease, leads = number, mine
			}
		}
		if err != nil && ctx.Err() == nil {
			t.log.Warn("cannot look for what rules say", "error", err)
		}
		t.leads.Store(err == nil && leads)
		if err == nil && leads {
			for _, name := range due {
				t.start(ctx, name)
			}
		}
		if n%countOwedEvery == 0 {
			t.count(ctx)
		}
		if !pause(ctx, t.every) {
			if leads {
				t.finished.Wait()
				_ = t.store.Release(context.WithoutCancel(ctx), store.RuleNotices, lease) // else it runs out
			}
			return nil
		}
	}
}

// start begins to tell a receiver, unless that is under way.
func (t *teller) start(ctx context.Context, name string) {
	t.telling.Lock()
	defer t.telling.Unlock()
	if t.busy[name] || time.Now().Before(t.until[name]) {
		return
	}
	t.busy[name] = true
	t.finished.Go(func() {
		defer func() {
			t.telling.Lock()
			defer t.telling.Unlock()
			delete(t.busy, name)
		}()
		if err := t.tell(ctx, name); err != nil && ctx.Err() == nil {
			t.log.Warn("cannot note what a receiver was told; it may be told again", "receiver", name, "error", err)
		}
	})
}

// tell tells a receiver what it is owed, until it cannot be told.
func (t *teller) tell(ctx context.Context, name string) error {
	for {
		notices, err := t.store.NoticesDue(ctx, name, tellAtOnce)
		if err != nil || len(notices) == 0 {
			return err
		}
		r := page{teller: t}
		// The first goes alone: who cannot be told is not called many times over.
		r.tell(ctx, notices[:1])
		r.tellAll(ctx, notices[1:])
		if r.err != nil || r.over || len(notices) < tellAtOnce || !t.leads.Load() {
			return r.err
		}
	}
}

// page is one of what a receiver is told. It is over with the first failure
// that is the receiver's, and not a notice's.
type page struct {
	*teller
	mu   sync.Mutex
	over bool
	err  error
}

// tellAll tells several contacts' notices at a time, each contact's in order.
func (r *page) tellAll(ctx context.Context, notices []directory.Notice) {
	byContact := map[int64][]directory.Notice{}
	var contacts []int64
	for _, n := range notices {
		id := n.Message.ContactID
		if byContact[id] == nil {
			contacts = append(contacts, id)
		}
		byContact[id] = append(byContact[id], n)
	}
	var all sync.WaitGroup
	free := make(chan struct{}, tellBeside)
	for _, id := range contacts {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			r.tell(ctx, byContact[id])
		})
	}
	all.Wait()
}

// tell tells notices in order.
func (r *page) tell(ctx context.Context, notices []directory.Notice) {
	for _, n := range notices {
		r.mu.Lock()
		over := r.over
		r.mu.Unlock()
		if over || ctx.Err() != nil {
			return
		}
		sent := r.send(ctx, n)
		if ctx.Err() != nil && sent != nil {
			return
		}
		// Also while the program stops: it has been told, or not.
		err := r.settle(context.WithoutCancel(ctx), n, sent)
		r.mu.Lock()
		if r.over = r.over || err != nil || sent != nil && !isRefusal(sent); err != nil {
			r.err = err
		}
		r.mu.Unlock()
	}
}

// isRefusal reports whether a receiver does not take this notice, and may well take
// others.
func isRefusal(err error) bool {
	a, ok := errors.AsType[*answered](err)
	return ok && a.status < 500 && a.status != http.StatusRequestTimeout && a.status != http.StatusTooManyRequests
}

func (t *teller) send(ctx context.Context, n directory.Notice) error {
	p := t.receivers[n.Receiver]
	if p == nil {
		return errors.New("there is no receiver of this name under notify in the configuration")
	}
	return p.send(ctx, n.ID, n.Message, forSlack.Replace(n.Message.Text))
}

// forSlack takes the meaning out of what could address somebody or make a link:
// much of a rule's text comes from outside.
var forSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b")

// settle notes what became of a notice.
func (t *teller) settle(ctx context.Context, n directory.Notice, sent error) error {
	outcome := func(word string) { t.metrics.noticed.WithLabelValues(n.Receiver, word).Inc() }
	switch now := time.Now(); {
	case sent == nil:
		outcome("told")
		return t.store.NoticeOver(ctx, n.ID)
	case now.Sub(n.CreatedAt) >= t.tryFor:
		outcome("given_up")
		t.log.Error("a receiver could not be told what a rule says, and is not told any more", "receiver", n.Receiver, "rule", n.Message.Rule,
			"contact", n.Message.ContactID, "notice", n.ID, "attempts", n.Attempts+1, "error", sent)
		return t.store.NoticeOver(ctx, n.ID)
	default:
		outcome("failed")
		waits := t.waits
		if isRefusal(sent) {
			waits = t.refused
		}
		wait := waits[min(n.Attempts, len(waits)-1)]
		if a, ok := errors.AsType[*answered](sent); ok && a.retryAfter > 0 {
			alone := min(a.retryAfter, longestAlone)
			wait = max(wait, alone)
			t.telling.Lock()
			t.until[n.Receiver] = now.Add(alone)
			t.telling.Unlock()
		}
		t.log.Warn("cannot tell a receiver what a rule says; trying again", "receiver", n.Receiver, "rule", n.Message.Rule,
			"notice", n.ID, "attempt", n.Attempts+1, "pause", wait.String(), "error", sent)
		return t.store.NoticeAgain(ctx, n.ID, now.Add(wait))
	}
}

func (t *teller) count(ctx context.Context) {
	owed, err := t.store.NoticesOwed(ctx)
	if err != nil {
		return
	}
	t.metrics.noticesOwed.Reset()
	for name, n := range owed {
		t.metrics.noticesOwed.WithLabelValues(name).Set(float64(n))
	}
}
