package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	// again and again, for is until when it tries.
	every    time.Duration
	waits    []time.Duration
	tryFor   time.Duration
	telling  sync.Mutex
	busy     map[string]bool // receivers that are being told
	finished sync.WaitGroup
}

const (
	tellEvery = time.Second
	// tellTTL is after what time another replica tells them.
	tellTTL = time.Minute
	// countOwedEvery is after how many rounds what is owed is counted.
	countOwedEvery = 10
	// tellAtOnce is how many notices a receiver is told in a row.
	tellAtOnce = 50
)

func newTeller(db *store.DB, holder string, receivers []config.Notify, m *metrics, log *slog.Logger) *teller {
	t := &teller{
		store: db, holder: holder, metrics: m, log: log, receivers: map[string]*poster{}, busy: map[string]bool{},
		every: tellEvery, waits: []time.Duration{time.Second, 30 * time.Second, time.Minute}, tryFor: 24 * time.Hour,
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
			lease, leads, err = t.store.Acquire(ctx, store.RuleNotices, t.holder, false, tellTTL)
		}
		if err != nil && ctx.Err() == nil {
			t.log.Warn("cannot look for what rules say", "error", err)
		}
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
	if t.busy[name] {
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

// tell tells a receiver what it is owed, until one call fails.
func (t *teller) tell(ctx context.Context, name string) error {
	notices, err := t.store.NoticesDue(ctx, name, tellAtOnce)
	if err != nil {
		return err
	}
	for _, n := range notices {
		sent := t.send(ctx, n)
		if ctx.Err() != nil && sent != nil {
			return nil
		}
		// Also while the program stops: it has been told, or not.
		if err := t.settle(context.WithoutCancel(ctx), n, sent); err != nil || sent != nil {
			return err
		}
	}
	return nil
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
		wait := t.waits[min(n.Attempts, len(t.waits)-1)]
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
