package bitrix24

import (
	"context"
	"slices"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

const (
	// inFlight is how many requests are under way at once, at most.
	inFlight = 4
	// gather is how long a request waits for the commands of others who have
	// become able to call at the same moment; regather how long after the
	// quota had to be waited for, as they have waited for it too.
	gather   = 15 * time.Millisecond
	regather = 150 * time.Millisecond
	// regard is how long the quota is waited for before it is asked whether
	// that will last.
	regard = time.Second
	// eager is how many requests may follow each other closely after a quiet
	// time; the next wait until they are full, or something urgent in them
	// has waited for as long as urgency, or something patient for as long as
	// patience.
	eager    = 4
	urgency  = 700 * time.Millisecond
	patience = 2 * time.Second
	// overdue is when what is patient gets a share of each request, however
	// much there is that is urgent.
	overdue = 30 * time.Second
	share   = 5
	// apartFor is how long callers get requests of their own after one that
	// they shared has failed: whoever it failed for is to be found.
	apartFor = 10 * time.Second
)

// A rank says what goes first.
type rank int

const (
	// leading is what others wait for, such as the messages of new people.
	leading rank = iota
	messages
	// patient can wait where quota is short.
	patient
)

// A pipe fills requests with the commands of all who call at the same time,
// because Bitrix24 counts requests and not commands. Each caller's commands
// are executed in their order. Messages and new people come first; what is
// patient takes the room that they leave.
type pipe struct {
	send func(ctx context.Context, cmds []*command, pace pacer) ([]outcome, *connectors.Error)
	pace pacer
	// quota blocks until pace would not, and reports whether that took time.
	quota func(ctx context.Context) (waited bool, err error)
	// perSecond is how many requests that are not full may leave in the long
	// run, less than the quota, so that full ones find room; 0 is any number.
	perSecond float64
	// news has room for one signal: something may leave that could not.
	news chan struct{}

	mu sync.Mutex
	// callers are those whose calls have not ended, in order of arrival.
	callers []*caller
	// busy are the subjects of commands under way.
	busy    map[string]bool
	flying  int
	working bool
	// quiet are the requests that may leave before they are full, as of a
	// time. Every request takes one if there is one.
	quiet   float64
	quietAt time.Time
	apart   time.Time
}

// A caller is one call of run.
type caller struct {
	cmds     []*command
	outcomes []outcome
	// next is the first command that was not sent, flight those under way.
	next   int
	flight *flight
	since  time.Time
	done   chan struct{}
	// ranks are those of the commands. One goes as early as any behind it.
	ranks []rank
}

// ranksOf are the ranks in which commands go that keep their order.
func ranksOf(cmds []*command) []rank {
	ranks, first := make([]rank, len(cmds)), patient
	for i, cmd := range slices.Backward(cmds) {
		first = min(first, cmd.rank)
		ranks[i] = first
	}
	return ranks
}

// A flight is one request.
type flight struct {
	// ctx ends when all whose commands it has have left.
	ctx    context.Context
	cancel context.CancelFunc
	parts  []part
	cmds   []*command
	// sent says that it may have reached Bitrix24, left that a caller has
	// left before it had.
	sent, left bool
	// shared says that it has commands of several callers.
	shared bool
}

// blamed reports whether a request may have failed for what somebody has sent.
func blamed(err *connectors.Error) bool {
	return err != nil && (err.Class == connectors.Transient || err.Class == connectors.UnknownOutcome)
}

// A part are the commands of one caller in a flight, which begin at one of its
// own.
type part struct {
	*caller
	from, to int
	at       int
}

func newPipe(c *Client, o Options) *pipe {
	return &pipe{
		send: c.send, pace: o.Pace, quota: o.Quota, perSecond: 0.7 * o.PerSecond,
		news: make(chan struct{}, 1), busy: map[string]bool{}, quiet: eager, quietAt: time.Now(),
	}
}

// run executes the commands. It returns early when ctx ends: what has not been
// sent by then is not, and nobody knows what became of the rest.
func (p *pipe) run(ctx context.Context, cmds []*command) []outcome {
	c := &caller{cmds: cmds, ranks: ranksOf(cmds), outcomes: make([]outcome, len(cmds)), since: time.Now(), done: make(chan struct{})}
	p.mu.Lock()
	p.callers = append(p.callers, c)
	if ctx.Err() != nil {
		p.mu.Unlock()
		p.leave(c)
		return c.outcomes
	}
	if !p.working {
		p.working = true
		go p.work(context.WithoutCancel(ctx))
	}
	p.mu.Unlock()
	p.signal()
	select {
	case <-c.done:
	case <-ctx.Done():
		p.leave(c)
	}
	return c.outcomes
}

// leave ends a call whose caller does not wait any longer.
func (p *pipe) leave(c *caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.ended() {
		return
	}
	for i := c.next; i < len(c.cmds); i++ {
		c.outcomes[i].err = cancelled(false)
	}
	c.next = len(c.cmds)
	if f := c.flight; f != nil {
		f.left = true
		for _, part := range f.parts {
			if part.caller == c {
				err := cancelled(f.sent)
				fail(c.outcomes[part.from:part.to], c.cmds[part.from:part.to], err)
			}
		}
		f.parts = slices.DeleteFunc(f.parts, func(part part) bool { return part.caller == c })
		if len(f.parts) == 0 {
			f.cancel()
		}
		c.flight = nil
	}
	p.end(c)
}

// cancelled is what is to be said of a creating command whose caller has left.
func cancelled(sent bool) *connectors.Error {
	e := &rest.Error{Kind: rest.Unsent, Reason: "cancelled before the call", Cancelled: true}
	if sent {
		e.Kind, e.Reason = rest.Lost, "cancelled during the call"
	}
	return unanswered(e, creating)
}

func (c *caller) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// end lets a caller go on whose commands have all been executed. It is called
// with mu held, and may be called again.
func (p *pipe) end(c *caller) {
	if c.next < len(c.cmds) || c.flight != nil || c.ended() {
		return
	}
	p.callers = slices.DeleteFunc(p.callers, func(other *caller) bool { return other == c })
	close(c.done)
}

func (p *pipe) signal() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// work sends requests until nobody waits.
func (p *pipe) work(ctx context.Context) {
	for {
		p.mu.Lock()
		if len(p.callers) == 0 {
			p.working = false
			p.mu.Unlock()
			return
		}
		wait := p.wait(time.Now())
		p.mu.Unlock()
		if wait > 0 {
			select {
			case <-p.news:
			case <-time.After(wait):
			}
			continue
		}
		if err := p.admitted(ctx); err != nil {
			p.refuse(rest.Failure(err, false))
			continue
		}
		// Whoever has come while the quota was waited for is in it too.
		if f := p.take(ctx); f != nil {
			go p.fly(f)
		}
	}
}

// admitted waits for the quota and takes a request's place in it.
func (p *pipe) admitted(ctx context.Context) error {
	if p.quota != nil {
		// What lasts longer is pace's to refuse.
		short, cancel := context.WithTimeout(ctx, regard)
		waited, err := p.quota(short)
		cancel()
		if err == nil && waited && !p.full() {
			time.Sleep(regather)
		}
	}
	if p.pace == nil {
		return nil
	}
	return p.pace(ctx)
}

// wait is how long it takes until the next request is to leave, should nothing
// happen before. It is called with mu held.
func (p *pipe) wait(now time.Time) time.Duration {
	const long = time.Minute
	urgent, all, first := p.waiting(now)
	switch {
	case all == 0, p.flying >= inFlight:
		return long
	case p.perSecond == 0, urgent >= perBatch:
		return 0
	}
	hold, tokens := urgency, p.quietNow(now)
	if urgent == 0 {
		hold, tokens = patience, tokens-1
	}
	if tokens >= 1 {
		return gather - now.Sub(first)
	}
	soon := time.Duration((1 - tokens) / p.perSecond * float64(time.Second))
	return max(min(hold-now.Sub(first), soon), gather-now.Sub(first))
}

func (p *pipe) quietNow(now time.Time) float64 {
	return min(p.quiet+now.Sub(p.quietAt).Seconds()*p.perSecond, eager)
}

// waiting counts the commands that could leave now, and tells when the first of
// them came, of those that are urgent if there are any. It is called with mu held.
func (p *pipe) waiting(now time.Time) (urgent, all int, first time.Time) {
	first = now
	behind := map[string]bool{}
	for _, c := range p.callers {
		n := p.ready(c, nil, behind, patient)
		if n == 0 {
			continue
		}
		all += n
		hasty, _ := slices.BinarySearch(c.ranks[c.next:c.next+n], patient)
		if hasty > 0 && urgent == 0 {
			first = now
		}
		urgent += hasty
		if (hasty > 0 || urgent == 0) && c.since.Before(first) {
			first = c.since
		}
	}
	return urgent, all, first
}

// ready is how many of a caller's commands of a rank or better may be sent in a
// flight that is being filled: none while others of it are under way, and none
// that would overtake one with the same subject, which is under way or behind. It
// adds the subjects of the rest to those behind.
func (p *pipe) ready(c *caller, f *flight, behind map[string]bool, most rank) int {
	cmds := c.cmds[c.next:]
	n := 0
	if c.flight == nil || c.flight == f {
		for n < len(cmds) && c.ranks[c.next+n] <= most && (cmds[n].subject == "" || !p.busy[cmds[n].subject] && !behind[cmds[n].subject]) {
			n++
		}
	}
	for _, cmd := range cmds[n:] {
		if cmd.subject != "" {
			behind[cmd.subject] = true
		}
	}
	return n
}

// full reports whether what is urgent fills a request.
func (p *pipe) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	urgent, _, _ := p.waiting(time.Now())
	return urgent >= perBatch
}

// take fills a request in the order of ranks, but for a share of it that is for
// what has been patient for long.
func (p *pipe) take(ctx context.Context) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &flight{}
	now := time.Now()
	alone := now.Before(p.apart)
	fill := func(room int, r rank, since time.Time) {
		behind := map[string]bool{}
		for _, c := range p.callers {
			if c.next >= len(c.cmds) || c.ranks[c.next] != r || c.since.After(since) {
				continue
			}
			n := min(room, perBatch-len(f.cmds), p.ready(c, f, behind, r))
			if n == 0 || alone && len(f.parts) > 0 {
				continue
			}
			f.parts = append(f.parts, part{c, c.next, c.next + n, len(f.cmds)})
			f.cmds = append(f.cmds, c.cmds[c.next:c.next+n]...)
			c.next, c.flight = c.next+n, f
			room -= n
		}
	}
	if !alone {
		fill(share, patient, now.Add(-overdue))
	}
	for r := range patient + 1 {
		fill(perBatch, r, now)
	}
	if len(f.cmds) == 0 {
		return nil
	}
	for _, cmd := range f.cmds {
		if cmd.subject != "" {
			p.busy[cmd.subject] = true
		}
	}
	p.quiet, p.quietAt = max(p.quietNow(now)-1, 0), now
	p.flying++
	f.shared = slices.ContainsFunc(f.parts, func(part part) bool { return part.caller != f.parts[0].caller })
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// fly sends a request and gives everybody what is theirs.
func (p *pipe) fly(f *flight) {
	defer f.cancel()
	outcomes, err := p.send(f.ctx, f.cmds, func(context.Context) error { return p.depart(f) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	for _, cmd := range f.cmds {
		delete(p.busy, cmd.subject)
	}
	for _, part := range f.parts {
		n := copy(part.outcomes[part.from:part.to], outcomes[part.at:])
		for i := part.from; f.shared && err != nil && i < part.from+n; i++ {
			if e := part.outcomes[i].err; e != nil {
				e.Shared = true
			}
		}
	}
	for _, part := range f.parts {
		part.flight = nil
		if err != nil && err.Class.AccountTrouble() {
			part.abandon(err)
		}
		p.end(part.caller)
	}
	if f.shared && blamed(err) {
		p.apart = time.Now().Add(apartFor)
	}
	p.signal()
}

// depart is asked just before a request is sent. One of whose callers has left
// is not: that caller may have begun to look for what it would write.
func (p *pipe) depart(f *flight) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.left {
		return &connectors.Error{Class: connectors.Transient, Reason: "another call in the same request was cancelled"}
	}
	f.sent = true
	return nil
}

// refuse gives all who wait the error of a quota that is used up.
func (p *pipe) refuse(err *connectors.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range slices.Clone(p.callers) {
		if c.flight == nil {
			c.abandon(err)
			p.end(c)
		}
	}
}

// abandon gives up what was not sent, for the account's sake.
func (c *caller) abandon(err *connectors.Error) {
	fail(c.outcomes[c.next:], c.cmds[c.next:], err)
	c.next = len(c.cmds)
}
