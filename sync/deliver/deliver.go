// Package deliver brings one account into agreement with the directory.
package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// Store keeps leases and links; see the methods of the same names in package
// store. Methods with a lease store nothing once the lease has another number.
type Store interface {
	Acquire(ctx context.Context, account, holder string, takeOver bool, ttl time.Duration) (lease int64, ok bool, err error)
	Release(ctx context.Context, account string, lease int64) error
	Identify(ctx context.Context, lease int64, is directory.Account) (other *directory.Account, err error)

	Due(ctx context.Context, account string, limit int) ([]directory.Entity, error)
	// DueLater returns what can wait for everything else.
	DueLater(ctx context.Context, account string, limit int) ([]directory.Entity, error)
	DueFiles(ctx context.Context, account string, except []string, limit int) ([]int64, error)
	WaitingFor(ctx context.Context, account string, contactIDs []int64) ([]directory.Entity, error)
	Load(ctx context.Context, account string, kind directory.EntityKind, ids []int64) ([]directory.Work, error)

	Doubt(ctx context.Context, account string, lease int64, list []directory.Entity) error
	// Remap makes contacts pending again, to be looked at later.
	Remap(ctx context.Context, account string, contactIDs []int64) (n int64, err error)
	Settle(ctx context.Context, account string, lease int64, outcomes []directory.Outcome) (still []directory.Entity, err error)
	// EndWait lets those be loaded who were put off until the account's contacts
	// have been listed.
	EndWait(ctx context.Context, account string) error
	Holders(ctx context.Context, account string, recordIDs []string) (map[string][]int64, error)
	Sending(ctx context.Context, account string, lease int64, sent map[int64]map[string][]string) error
	Forget(ctx context.Context, account string, lease int64, e directory.Entity, recordID string) error
	Reopen(ctx context.Context, account string, limit, files int) ([]directory.Entity, error)
	Delivered(ctx context.Context, letterIDs []string) error
	Dropped(ctx context.Context, letterID, reason string) error

	Pulls(ctx context.Context, account string, limit int) ([]directory.Pull, error)
	Pulled(ctx context.Context, pulls []directory.Pull) error
	PullLater(ctx context.Context, pulls []directory.Pull, after time.Duration) error
	Shadows(ctx context.Context, account string, records []string) (map[string]directory.Link, error)
	CountRecords(ctx context.Context, account string) (int64, error)
	SeenDuplicates(ctx context.Context, account string, records []string) (map[string]string, error)

	NextMerge(ctx context.Context, account string, lease int64) (*directory.Merge, error)
	BeginMerge(ctx context.Context, lease int64, holder string, m directory.Merge, pause time.Duration) (ok bool, err error)
	EndMerge(ctx context.Context, m directory.Merge, recordID string) error
	ReadBeforeMerge(ctx context.Context, m directory.Merge, pause time.Duration) error
	RefuseMerge(ctx context.Context, lease int64, m directory.Merge, why string, all bool) error
}

// A Worker brings one account into agreement. It alone, of all replicas,
// writes to the account: see [Worker.Run].
type Worker struct {
	Account string
	// Kind is the account's vendor, as the configuration calls it.
	Kind      string
	Connector interface {
		connectors.Writer
		connectors.Merger
		connectors.Eraser
		connectors.Tasker
		ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading
	}
	// Wait returns when the account may be called: its breaker is not open
	// and, unless the call is full, there is quota for which it would have to
	// wait, so that it fills meanwhile.
	Wait func(ctx context.Context, full bool) error
	// Mapping returns the mapping in force.
	Mapping func() *mapping.Mapping
	// Region is that of numbers without a country code (ISO 3166).
	Region string
	// Fetch downloads the file of a message that came to a business number of
	// a WhatsApp account.
	Fetch func(ctx context.Context, from, businessNumber string, m connectors.Media) ([]byte, *connectors.Error)
	// FileEvery is how far apart files begin, so that they leave the account's
	// quota to messages; 0 is as fast as they come.
	FileEvery time.Duration
	Store     Store
	Retry     RetryPolicy
	// Triggers returns what has become out of agreement, waiting a second or
	// two for the first. They are hints: what is owed is in the store.
	Triggers func(ctx context.Context) ([]directory.Trigger, error)
	// Publish stores what was seen in the account as facts, durably.
	Publish func(ctx context.Context, facts []directory.Fact) error
	// Brake counts what the account loses.
	Brake *Brake
	// Listed reports whether all contacts of the account have been seen once:
	// before, nobody can say who is missing there. Nil is always.
	Listed func(ctx context.Context) bool
	// Bury publishes dead letters durably.
	Bury func(ctx context.Context, letters []deadletter.Letter) error
	// Holder names this program's data directory among replicas.
	Holder string
	// CreateFields lets the worker create the fields that the account lacks.
	CreateFields bool
	Observer     Observer
	Log          *slog.Logger

	lease int64
	// asked is when the lease was last asked for with success.
	asked atomic.Pointer[time.Time]
	lanes
	// dueFiles is how many files wait: of those that the last look has found and
	// those that were let in since.
	dueFiles atomic.Int64
	// readyForTasks says that the account was set up for tasks.
	readyForTasks bool
	// putOff is since when contacts wait for a merge of whom nobody has reported
	// anything, by id.
	putOff sync.Map
	// keepsDoubles says that the account has been seen to merge no records.
	keepsDoubles bool

	stateLock sync.Mutex
	ready     bool
	problem   string
}

// Observer is told what happens, for metrics.
type Observer interface {
	// Delivery: an entity's delivery ended in an outcome.
	Delivery(account string, kind directory.EntityKind, outcome string)
	// EndToEnd: an account shows what a webhook reported that long ago.
	EndToEnd(account string, d time.Duration)
	// Batch: one call carried so many records.
	Batch(account string, records int)
}

// StandingBy is the problem of a worker whose account another one works for.
const StandingBy = "another replica works for this account"

const (
	leaseTTL     = 3 * time.Second
	scanEvery    = time.Second
	scanLimit    = 5000
	laterCalls   = 10
	reopenEvery  = 250 * time.Millisecond
	reopenTurn   = 5 * time.Second
	setupEvery   = 10 * time.Second
	finishWithin = 8 * time.Second
)

// Run works for the account until ctx ends. It waits for the lease, makes sure
// that this is the account whose records are known, checks its fields, then
// delivers. What is in flight when ctx ends is finished first, for at most eight
// seconds.
func (w *Worker) Run(ctx context.Context) error {
	for first := true; ; first = false {
		asked := time.Now()
		lease, ok, err := w.Store.Acquire(ctx, w.Account, w.Holder, first, leaseTTL)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			w.Log.Warn("cannot ask for the lease", "error", err)
		case ok:
			w.lease = lease
			w.asked.Store(&asked)
			w.work(ctx)
		default:
			w.setState(false, StandingBy)
		}
		if !sleep(ctx, leaseTTL/10) { // a standby takes over this soon after the lease has run out
			return nil
		}
	}
}

// work delivers for as long as the lease holds.
func (w *Worker) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { w.keepLease(ctx, cancel) })
	w.Log.Info("working for the account", "lease", w.lease)
	if w.setup(ctx) {
		w.lanes = w.newLanes()
		w.setState(true, "")
		for _, l := range w.all() {
			running.Go(func() { l.run(ctx) })
		}
		running.Go(func() { newFiling(w).run(ctx) })
		running.Go(func() { w.scan(ctx) })
		running.Go(func() { w.reopen(ctx) })
		running.Go(func() { w.pull(ctx) })
		running.Go(func() { w.merge(ctx) })
		w.follow(ctx)
	}
	running.Wait()
	if err := w.Store.Release(context.WithoutCancel(ctx), w.Account, w.lease); err != nil {
		w.Log.Warn("cannot release the lease", "error", err)
	}
}

// keepLease prolongs the lease and stops the work when it is lost.
func (w *Worker) keepLease(ctx context.Context, lost context.CancelFunc) {
	prolonged := time.Now()
	for sleep(ctx, leaseTTL/3) {
		asked := time.Now()
		lease, ok, err := w.Store.Acquire(ctx, w.Account, w.Holder, false, leaseTTL)
		if err == nil && ok && lease == w.lease {
			prolonged = time.Now()
			w.asked.Store(&asked)
			continue
		}
		if err != nil && time.Since(prolonged) < leaseTTL {
			continue
		}
		if ctx.Err() == nil {
			w.Log.Warn("lost the lease of the account", "lease", w.lease)
		}
		lost()
		return
	}
}

// Holds reports whether the lease is held for a while yet, by this machine's
// clock alone. A worker that was stopped and wakes up has calls at hand that
// another replica has made meanwhile: who makes a call asks just before.
func (w *Worker) Holds() bool {
	asked := w.asked.Load()
	return asked != nil && time.Since(*asked) < leaseTTL-leaseTTL/6
}

// setup asks the account which one it is and for its fields, until it is the
// one whose records are known and has what is needed. Another one is not even
// asked for fields: it might get new ones.
func (w *Worker) setup(ctx context.Context) bool {
	var is directory.Account
	for {
		if w.Wait(ctx, false) != nil {
			return false
		}
		problem, pause := w.identify(ctx, &is)
		if problem == "" {
			problem, pause = w.setUp(ctx)
		}
		if ctx.Err() != nil {
			return false
		}
		if problem == "" {
			return true
		}
		w.setState(false, problem)
		w.Log.Error("the account cannot be used yet; deliveries wait", "problem", problem)
		if !sleep(ctx, pause) {
			return false
		}
	}
}

// identify makes sure that this is the account whose records are known. The
// problem is why it is not, or why that is not certain, and pause when to look
// again. is remembers what the account has said of itself.
func (w *Worker) identify(ctx context.Context, is *directory.Account) (problem string, pause time.Duration) {
	if len(is.Names) == 0 {
		said, findings, err := WhichAccount(ctx, w.Connector, w.Account, w.Kind)
		if err != nil {
			return connectors.AsError(err).Error(), time.Second // Wait sees to the rest
		}
		w.note(findings)
		*is = said
	}
	other, err := w.Store.Identify(ctx, w.lease, *is)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			w.Log.Warn("cannot look which account this was", "error", err)
		}
		return "the database does not answer which account this was", time.Second
	case other != nil:
		return is.InsteadOf(*other), setupEvery
	}
	return "", 0
}

// setUp sees to the account's fields.
func (w *Worker) setUp(ctx context.Context) (problem string, pause time.Duration) {
	m := w.Mapping()
	findings, err := SetUp(ctx, w.Connector, m, w.Account, w.CreateFields)
	if err != nil {
		return connectors.AsError(err).Error(), time.Second // Wait sees to the rest
	}
	w.readyForTasks = m.Tasks(w.Account)
	w.note(findings)
	for _, f := range findings {
		if f.Fatal {
			return f.Problem, setupEvery
		}
	}
	return "", 0
}

// SetUp compares an account with what the mapping needs of it, and with fix creates
// what is missing; see [connectors.Writer]. Tasks are seen to where a rule makes some.
func SetUp(ctx context.Context, c interface {
	connectors.Writer
	connectors.Tasker
}, m *mapping.Mapping, account string, fix bool,
) ([]connectors.Finding, error) {
	findings, err := c.Setup(ctx, FieldsOf(m, account), fix)
	if err != nil || !m.Tasks(account) {
		return findings, err
	}
	more, err := c.SetupTasks(ctx, fix)
	return append(findings, more...), err
}

// note logs what the account can do without.
func (w *Worker) note(findings []connectors.Finding) {
	for _, f := range findings {
		if !f.Fatal {
			w.Log.Info("the account differs from what is best", "object", f.Object, "field", f.Field, "problem", f.Problem)
		}
	}
}

// WhichAccount asks which of its vendor's accounts a name stands for. Where that
// is not told, the account has no names, and a finding says so.
func WhichAccount(ctx context.Context, c connectors.Writer, name, kind string) (directory.Account, []connectors.Finding, error) {
	is := directory.Account{Name: name, Kind: kind}
	var err error
	if is.Names, err = c.Identity(ctx); err == nil {
		return is, nil, nil
	}
	untold := connectors.AsError(err)
	if untold.Code != connectors.NotOffered {
		return is, nil, untold
	}
	return is, []connectors.Finding{{Problem: "which account this is cannot be asked (" + untold.Reason + "): " +
		"crmsync would not notice if the credentials became another account's"}}, nil
}

// FieldsOf are the account's fields that a mapping writes.
func FieldsOf(m *mapping.Mapping, account string) []connectors.Field {
	var fields []connectors.Field
	for _, l := range m.Lines(account) {
		if l.Written {
			f := connectors.Field{Name: l.To, Label: l.Theirs.Label, Type: connectors.FieldType(l.Theirs.Type), Options: l.Theirs.Options}
			if l.Theirs.Type == mapping.Decimal {
				f.Type = connectors.TypeNumber
			}
			fields = append(fields, f)
		}
	}
	return fields
}

// scan finds what is owed whatever became of its trigger, at once and then
// every second.
func (w *Worker) scan(ctx context.Context) {
	for {
		if err := w.takeDue(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("cannot look for what is due", "error", err)
		}
		if !sleep(ctx, scanEvery) {
			return
		}
	}
}

// takeDue takes in what is due, and of what can wait as much as goes out until
// the next look: what is new never stands behind a long list of it.
func (w *Worker) takeDue(ctx context.Context) error {
	due, err := w.Store.Due(ctx, w.Account, scanLimit)
	if err != nil {
		return err
	}
	w.enqueue(due)
	room := laterCalls*w.changes.limit - w.newcomers.queue.len() - w.changes.queue.len()
	if room <= 0 {
		return nil
	}
	later, err := w.Store.DueLater(ctx, w.Account, room)
	if err != nil {
		return err
	}
	for _, e := range later {
		if e.Kind == directory.ContactEntity {
			w.changes.have.note(e.ID, true) // past the newcomers
		}
	}
	w.enqueue(later)
	return nil
}

// reopen lets dead letters in that somebody wants tried again: as many as a call
// carries, less what waits or is in work already. So what is new never waits for
// a long list of them, and they go out as fast as the account takes them all the
// same. However busy the account is, a few get in every five seconds. Of files as
// many are let in as are looked for at once, less what is due already.
func (w *Worker) reopen(ctx context.Context) {
	limits := w.Connector.Limits()
	room := max(limits.Contacts, limits.Messages, 1)
	let := time.Now()
	for pause := reopenEvery; sleep(ctx, pause); {
		pause = reopenEvery
		free, files := max(0, room-w.underWay()), max(0, filesAtOnce-int(w.dueFiles.Load()))
		if free > 0 || time.Since(let) >= reopenTurn {
			free, let = max(free, room/10, 1), time.Now()
		}
		if free+files == 0 {
			continue
		}
		list, err := w.Store.Reopen(ctx, w.Account, free, files)
		if err != nil && ctx.Err() == nil {
			w.Log.Warn("cannot look for dead letters to try again", "error", err)
		}
		if len(list) > 0 {
			w.enqueue(list)
			pause = reopenEvery / 5
		}
		for _, e := range list {
			if e.Kind == directory.FileEntity {
				w.dueFiles.Add(1)
			}
		}
	}
}

// follow takes in triggers as they come. While more than a scan's worth waits
// they stay in the stream, where newer ones replace older ones.
func (w *Worker) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if w.waiting() > scanLimit {
			sleep(ctx, scanEvery)
			continue
		}
		triggers, err := w.Triggers(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.Warn("cannot fetch triggers; the database is scanned instead", "error", err)
			sleep(ctx, scanEvery)
		}
		due := make([]directory.Entity, len(triggers))
		for i := range triggers {
			due[i] = triggers[i].Entity
		}
		w.enqueue(due)
	}
}

func (w *Worker) enqueue(list []directory.Entity) {
	for _, e := range list {
		switch e.Kind {
		case directory.ContactEntity:
			if l := w.changes; l.queue.has(e.ID) || l.have.has(e.ID) {
				l.queue.add(e.ID)
			} else {
				w.newcomers.queue.add(e.ID)
			}
		case directory.MessageEntity:
			w.messages.queue.add(e.ID)
		case directory.TaskEntity:
			w.tasks.queue.add(e.ID)
		}
	}
}

// State says whether the worker is delivering, and if not, why.
func (w *Worker) State() (ready bool, problem string) {
	w.stateLock.Lock()
	defer w.stateLock.Unlock()
	return w.ready, w.problem
}

func (w *Worker) setState(ready bool, problem string) {
	w.stateLock.Lock()
	defer w.stateLock.Unlock()
	w.ready, w.problem = ready, problem
}

// settle stores what became of a batch and looks again at what changed
// meanwhile.
func (w *Worker) settle(ctx context.Context, batch []settled) error {
	outcomes := make([]directory.Outcome, len(batch))
	var letters []deadletter.Letter
	var healed []string
	for i, s := range batch {
		outcomes[i] = s.Outcome
		if s.letter != nil {
			letters = append(letters, *s.letter)
		}
		if s.wasTroubled && s.Link.State == directory.Agreed {
			healed = append(healed, deadletter.ForEntity(w.Account, s.Link.Entity))
		}
	}
	// The letter is published before the link says so: a crash in between
	// repeats the letter, which its ID makes harmless.
	if len(letters) > 0 {
		if err := w.Bury(ctx, letters); err != nil {
			return fmt.Errorf("publish dead letters: %w", err)
		}
	}
	still, err := w.Store.Settle(ctx, w.Account, w.lease, outcomes)
	if err != nil {
		return err
	}
	w.enqueue(still)
	if err := w.overtaken(ctx, batch); err != nil {
		return err
	}
	for _, s := range batch {
		w.Observer.Delivery(w.Account, s.Link.Entity.Kind, s.outcome)
		if s.Link.State == directory.Agreed && !s.since.IsZero() && s.Link.Entity.Kind != directory.FileEntity {
			w.Observer.EndToEnd(w.Account, time.Since(s.since))
		}
	}
	for _, s := range batch {
		if s.wasTroubled && s.Link.State == directory.Skipped {
			if err := w.Store.Dropped(ctx, deadletter.ForEntity(w.Account, s.Link.Entity), s.Link.Reason); err != nil {
				return err
			}
		}
	}
	return w.Store.Delivered(ctx, healed)
}

// overtaken owes contacts again that were written under a mapping which is not in
// force any more: whoever has compared all contacts with the new one meanwhile
// has passed by them.
func (w *Worker) overtaken(ctx context.Context, batch []settled) error {
	var ids []int64
	now := w.Mapping().Revision()
	for _, s := range batch {
		if s.Link.Entity.Kind == directory.ContactEntity && s.Link.State == directory.Agreed && s.mapping.Revision() != now {
			ids = append(ids, s.Link.Entity.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := w.Store.Remap(ctx, w.Account, ids)
	return err
}

// outlast returns a context for what is finished first when the program stops:
// it ends after d, or finishWithin after ctx.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	over := context.AfterFunc(ctx, func() { time.AfterFunc(finishWithin, cancel) })
	return longer, func() { over(); cancel() }
}

// sleep pauses and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
