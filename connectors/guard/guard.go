// Package guard puts a circuit breaker and a rate limit around any connector.
package guard

import (
	"cmp"
	"context"
	"sync"
	"time"

	"crmsync/connectors"
)

// Options say how patient a guard is.
type Options struct {
	// Failures is how many calls in a row have to fail before the breaker
	// opens.
	//
	// Defaults to 3. A call that is not authorised opens it at once.
	Failures int

	// Probe is how far apart the calls begin that an open breaker lets
	// through to see.
	//
	// Defaults to 5 seconds.
	Probe time.Duration

	// Limiter is the account's quota, which also paces the connector's HTTP
	// requests; nil is no limit.
	Limiter *Limiter

	// OnChange is told when the breaker opens, and when a probe has closed
	// it again. Calls of it do not overlap, and it makes none to the
	// connector itself; [Guard.Open] is fine.
	OnChange func(open bool)
}

// A Guard is a connector that stops asking when there is no point in it.
//
// While the breaker is open its methods return at once with failures of class
// Unavailable. Only calls that fail as a whole for the account's sake count:
// a record that is refused, a quota that is used up and a caller who has lost
// interest say nothing about whether the account works.
type Guard struct {
	connector connectors.Connector
	breaker   *breaker
	limiter   *Limiter

	mu sync.Mutex
	// resumed is closed when the account is resumed; nil while it is not
	// paused.
	resumed chan struct{}
	// trouble is why the breaker opened, or why the last probe failed.
	trouble *connectors.Error
	// failed is when a call last failed. One that had begun by then may have
	// shared its request, and does not count again.
	failed time.Time
	// done is closed and replaced when a call has ended.
	done chan struct{}

	telling  sync.Mutex
	told     bool
	onChange func(open bool)
}

var _ connectors.Connector = (*Guard)(nil)

// New returns a guard around the connector of an account.
func New(c connectors.Connector, o Options) *Guard {
	return &Guard{
		connector: c,
		breaker:   newBreaker(max(cmp.Or(o.Failures, 3), 1), cmp.Or(o.Probe, 5*time.Second)),
		limiter:   o.Limiter,
		done:      make(chan struct{}),
		onChange:  o.OnChange,
	}
}

// Identity passes on, unless the breaker is open.
func (g *Guard) Identity(ctx context.Context) ([]string, error) {
	return ask(ctx, g, func() ([]string, error) { return g.connector.Identity(ctx) })
}

// Setup passes on, unless the breaker is open.
func (g *Guard) Setup(ctx context.Context, fields []connectors.Field, fix bool) ([]connectors.Finding, error) {
	return ask(ctx, g, func() ([]connectors.Finding, error) { return g.connector.Setup(ctx, fields, fix) })
}

// WriteContacts passes on, unless the breaker is open.
func (g *Guard) WriteContacts(ctx context.Context, changes []connectors.ContactChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.WriteContacts, failure)
}

// FindMessages passes on, unless the breaker is open.
func (g *Guard) FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.FindMessages, failure)
}

// CreateMessages passes on, unless the breaker is open.
func (g *Guard) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.CreateMessages, failure)
}

// UpdateMessages passes on, unless the breaker is open.
func (g *Guard) UpdateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.UpdateMessages, failure)
}

// AttachFile passes on, unless the breaker is open. Its failure does not open
// it, and it is never the probe: what is wrong with a file, or with files, says
// little about messages.
func (g *Guard) AttachFile(ctx context.Context, f connectors.FileChange) (r connectors.Result) {
	if g.Open() {
		return connectors.Result{Err: g.unavailable()}
	}
	open := g.aside(ctx, func() *connectors.Error {
		r = g.connector.AttachFile(ctx, f)
		return r.Err
	})
	if open != nil {
		r = connectors.Result{Err: open}
	}
	return r
}

// MergeContacts passes on, unless the breaker is open.
func (g *Guard) MergeContacts(ctx context.Context, keep, other string) connectors.Result {
	merge := func(ctx context.Context, others []string) []connectors.Result {
		return []connectors.Result{g.connector.MergeContacts(ctx, keep, others[0])}
	}
	return pass(ctx, g, []string{other}, merge, failure)[0]
}

// EraseContacts passes on, unless the breaker is open.
func (g *Guard) EraseContacts(ctx context.Context, ids []string) []connectors.Result {
	return pass(ctx, g, ids, g.connector.EraseContacts, failure)
}

// EraseMessages passes on, unless the breaker is open.
func (g *Guard) EraseMessages(ctx context.Context, ids []string) []connectors.Result {
	return pass(ctx, g, ids, g.connector.EraseMessages, failure)
}

// SetupTasks passes on, unless the breaker is open.
func (g *Guard) SetupTasks(ctx context.Context, fix bool) ([]connectors.Finding, error) {
	return ask(ctx, g, func() ([]connectors.Finding, error) { return g.connector.SetupTasks(ctx, fix) })
}

// FindTasks passes on, unless the breaker is open.
func (g *Guard) FindTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.FindTasks, failure)
}

// CreateTasks passes on, unless the breaker is open.
func (g *Guard) CreateTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return pass(ctx, g, changes, g.connector.CreateTasks, failure)
}

// EraseTasks passes on, unless the breaker is open.
func (g *Guard) EraseTasks(ctx context.Context, ids []string) []connectors.Result {
	return pass(ctx, g, ids, g.connector.EraseTasks, failure)
}

// Limits are the connector's.
func (g *Guard) Limits() connectors.Limits { return g.connector.Limits() }

// Describe passes on, unless the breaker is open.
func (g *Guard) Describe(ctx context.Context) ([]connectors.FieldInfo, error) {
	return ask(ctx, g, func() ([]connectors.FieldInfo, error) { return g.connector.Describe(ctx) })
}

// ReadContacts passes on, unless the breaker is open.
func (g *Guard) ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading {
	read := func(ctx context.Context, ids []string) []connectors.Reading {
		return g.connector.ReadContacts(ctx, ids, fields)
	}
	return pass(ctx, g, ids, read, func(r *connectors.Reading) **connectors.Error { return &r.Err })
}

// ListContacts passes on, unless the breaker is open.
func (g *Guard) ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error) {
	return ask(ctx, g, func() (connectors.Page, error) { return g.connector.ListContacts(ctx, q) })
}

// ListDeleted passes on, unless the breaker is open.
func (g *Guard) ListDeleted(ctx context.Context, since time.Time, cursor string) (connectors.DeletedPage, error) {
	return ask(ctx, g, func() (connectors.DeletedPage, error) { return g.connector.ListDeleted(ctx, since, cursor) })
}

// ListUsers passes on, unless the breaker is open.
func (g *Guard) ListUsers(ctx context.Context) ([]connectors.User, error) {
	return ask(ctx, g, func() ([]connectors.User, error) { return g.connector.ListUsers(ctx) })
}

// Subscribe passes on, unless the breaker is open. Its failure does not open
// it: a token may do for everything else.
func (g *Guard) Subscribe(ctx context.Context, s connectors.Subscription) (renewBy time.Time, err error) {
	open := g.aside(ctx, func() *connectors.Error {
		renewBy, err = g.connector.Subscribe(ctx, s)
		return connectors.AsError(err)
	})
	if open != nil {
		return renewBy, open
	}
	return renewBy, err
}

// Open reports whether the breaker is open. It stays so while probes are under
// way and until one has succeeded.
func (g *Guard) Open() bool { return g.breaker.open() }

// Trouble is why the breaker is open, nil while it is not.
func (g *Guard) Trouble() *connectors.Error {
	if !g.Open() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trouble
}

// Pause holds the account's calls back, or lets them go on. A call that is
// under way ends as it would; those that begin are failures of class
// Unavailable, and say nothing about the account.
func (g *Guard) Pause(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case on && g.resumed == nil:
		g.resumed = make(chan struct{})
	case !on && g.resumed != nil:
		close(g.resumed)
		g.resumed = nil
	}
}

// paused returns what is closed when the account is resumed, nil while it is
// not paused.
func (g *Guard) paused() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.resumed
}

// Wait blocks until the account is not paused, a call would be let through
// and, unless the call is full already, the quota has room for a request; it
// takes neither. Batches form while it waits. It returns ctx's error when that
// comes first.
func (g *Guard) Wait(ctx context.Context, full bool) error {
	for {
		g.mu.Lock()
		done, resumed := g.done, g.resumed
		g.mu.Unlock()

		if resumed != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-resumed:
			}
			continue
		}
		if d := g.breaker.myTurn(); d > 0 {
			// Somebody's probe may be under way, and work.
			if err := await(ctx, done, d); err != nil {
				return err
			}
			continue
		}
		if g.limiter == nil || full {
			return ctx.Err()
		}
		switch waited, err := g.limiter.Wait(ctx); {
		case err != nil:
			return err
		case !waited:
			return nil
		}
		// The breaker may have opened meanwhile, or somebody paused.
	}
}

// wake makes those who wait look again: a probe may have worked.
func (g *Guard) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.done)
	g.done = make(chan struct{})
}

// tell passes a change on, outside the breaker's lock.
func (g *Guard) tell() {
	if g.onChange == nil {
		return
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	if open := g.Open(); open != g.told {
		g.told = open
		g.onChange(open)
	}
}

// await returns after d, or when done is closed; nil is never.
func await(ctx context.Context, done <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
	case <-t.C:
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error { return await(ctx, nil, d) }
