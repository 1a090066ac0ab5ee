// Package app builds every part from a configuration, starts them in order and
// stops them in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
	"crmsync/sync/stream"
)

// stopWithin is how long a graceful stop may take in all.
const stopWithin = 10 * time.Second

// App is a worker, built and not yet started.
type App struct {
	// config is the one that it was started with; see inForce.
	config   *config.Config
	log      *slog.Logger
	metrics  *metrics
	loads    *loadMeter
	cpu      cpu
	store    *store.DB
	notifier *notifier
	teller   *teller
	broker   *stream.Broker
	now      atomic.Pointer[inForce]
	recorder record.Recorder
	listener net.Listener
	// source is where the configuration can be read again, nil if it cannot;
	// rejected is why what is there is not in force, nil if it is.
	source   *Source
	rejected atomic.Pointer[string]
	// limiters are the accounts' quotas, which outlive a change of the
	// configuration.
	limiting sync.Mutex
	limiters map[string]paced
	// start runs a part of the worker for as long as that runs.
	start func(what string, run func(ctx context.Context) error)
	// renewals wait, by account, for what is being done about tokens, which
	// needs the database.
	renewing sync.Mutex
	renewals map[string]func(ctx context.Context)
	// endBy is when the program is to be over, zero as long as it is not asked
	// to stop.
	endBy  time.Time
	unlock func()
	// holder names the data directory among replicas.
	holder   string
	stopping atomic.Bool
	// feedsNoted is the configuration of which the database knows which
	// accounts feed which.
	feedsNoted *inForce
	control    control
}

// New builds a worker. It opens the database, the broker and the address to
// listen on; whatever is wrong with them is an error now.
func New(ctx context.Context, c *config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{config: c, log: log, metrics: newMetrics(), unlock: func() {}}
	defer func() {
		if err != nil {
			a.close(ctx)
		}
	}()
	compiled, text, err := readMapping(c)
	if err != nil {
		return a, err
	}
	holder, unlock, err := lockData(c.DataDir, 2*time.Second)
	if err != nil {
		return a, err
	}
	a.unlock, a.holder = unlock, holder
	if a.store, err = OpenStore(ctx, c); err != nil {
		return a, err
	}
	a.loads = newLoadMeter(a.metrics.registry, holder, a.refusesQuota)
	a.notifier = newNotifier(a.store, holder, c.Notify, log)
	a.teller = newTeller(a.store, holder, c.Notify, a.metrics, log)
	if a.broker, err = openBroker(ctx, c, log); err != nil {
		return a, err
	}
	if err = CheckJobs(c); err != nil {
		return a, err
	}
	if err = a.countEvents(ctx); err != nil {
		return a, err
	}
	if err = a.keepMapping(ctx, c, compiled, text); err != nil {
		return a, err
	}
	fed, err := a.store.Fed(ctx)
	if err != nil {
		return a, err
	}
	first := a.enforce(c, compiled, nil)
	first.former = formerly(fed, c.Accounts)
	a.now.Store(first)
	a.recorder = record.Recorder{
		Store:     a.store,
		DeliverTo: func(account string) []string { return a.now.Load().deliverTo(account) },
		Mapping:   func() *mapping.Mapping { return a.now.Load().mapping },
		Region:    c.DefaultRegion,
		Words: func() record.Words {
			consent := a.now.Load().config.Consent
			return record.Words{Stop: consent.StopWords, Start: consent.StartWords}
		},
		WantsFiles: func(account string) bool { return a.now.Load().config.WantsFiles(account) },
	}
	if a.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return a, fmt.Errorf("listen: %w", err)
	}
	a.control, err = openControl(c.DataDir, a.Address())
	return a, err
}

// LoadMapping compiles the mapping that a configuration names. It has fields
// for every account that is delivered to; it may have more accounts.
func LoadMapping(c *config.Config) (*mapping.Mapping, error) {
	compiled, _, err := readMapping(c)
	return compiled, err
}

// readMapping is LoadMapping, and returns the text too.
func readMapping(c *config.Config) (*mapping.Mapping, []byte, error) {
	// What is no file, such as a pipe, would hold a reload up for ever.
	if is, err := os.Stat(c.Mapping); err == nil && !is.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("read the mapping: %s is no file", c.Mapping)
	}
	text, err := readUpTo(c.Mapping, mapping.MaxSize+1)
	if err != nil {
		return nil, nil, fmt.Errorf("read the mapping: %w", err)
	}
	compiled, err := compileMapping(c, c.Mapping, text)
	return compiled, text, err
}

// readUpTo reads a file, or its beginning.
func readUpTo(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// compileMapping compiles the text of a mapping, by a name for findings, for the
// accounts of a configuration.
func compileMapping(c *config.Config, name string, text []byte) (*mapping.Mapping, error) {
	compiled, err := mapping.Compile(name, text)
	if err != nil {
		return nil, err
	}
	var missing config.Findings
	for _, account := range c.Accounts {
		if account.Kind != config.WhatsApp && len(compiled.Lines(account.Name)) == 0 {
			missing = append(missing, config.Finding{File: name, Problem: fmt.Sprintf(
				"there are no fields for account %[1]s; list them under accounts: %[1]s: contact:", account.Name)})
		}
	}
	if missing = append(missing, unknownReceivers(c, compiled)...); len(missing) > 0 {
		return nil, missing
	}
	return compiled, nil
}

// OpenStore opens the database that a configuration names.
func OpenStore(ctx context.Context, c *config.Config) (*store.DB, error) {
	var db *store.DB
	var err error
	if url := c.Database.URL.Reveal(); url != "" {
		db, err = store.OpenPostgres(ctx, url)
	} else {
		db, err = store.OpenSQLite(ctx, c.DataDir)
	}
	if err != nil {
		return nil, err
	}
	db.SettleWithin = c.Retry.SettleWithin.Duration()
	return db, nil
}

// hasStore reports whether there is a database to open. PostgreSQL says for
// itself.
func hasStore(c *config.Config) bool {
	if c.Database.URL.Reveal() != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(c.DataDir, "crmsync.db"))
	return !errors.Is(err, fs.ErrNotExist)
}

// streams is where the embedded broker keeps its files.
func streams(c *config.Config) string { return filepath.Join(c.DataDir, "streams") }

func openBroker(ctx context.Context, c *config.Config, log *slog.Logger) (*stream.Broker, error) {
	o, err := brokerOptions(c, log)
	if err != nil {
		return nil, err
	}
	if len(c.NATS.URLs) > 0 {
		log.Warn("the broker is external: what it acknowledges is on disk only if its servers have sync_interval: always, which cannot be asked")
	}
	return stream.Open(ctx, o)
}

func brokerOptions(c *config.Config, log *slog.Logger) (stream.Options, error) {
	tls, err := c.NATS.TLS.Config()
	return stream.Options{
		Dir:  streams(c),
		URLs: c.NATS.URLs, CredentialsFile: c.NATS.CredentialsFile, Token: c.NATS.Token.Reveal(), TLS: tls,
		MaxBytes: int64(c.NATS.MaxBytes), Replicas: c.NATS.Replicas,
		Log: log,
	}, err
}

// Address is where the worker listens, as host:port.
func (a *App) Address() string { return a.listener.Addr().String() }

// Run works until ctx ends, then stops gracefully: webhooks are refused first,
// then what is in flight is finished. What is not, is found at the next start.
func (a *App) Run(ctx context.Context) error {
	defer a.close(ctx)
	useThreads()
	useMemory()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	failed := make(chan error, 8)
	var running sync.WaitGroup
	a.start = func(what string, run func(ctx context.Context) error) {
		running.Go(func() {
			if err := run(work); err != nil && work.Err() == nil {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	a.start("record", func(ctx context.Context) error { return a.broker.ConsumeFacts(ctx, a.record) })
	a.start("worklist", func(ctx context.Context) error { return a.broker.ConsumeLetters(ctx, a.putLetters) })
	a.start("notify", a.notifier.run)
	a.start("tell what rules say", a.teller.run)
	a.start("replay", a.replayFacts)
	a.start("gauges", a.gauges)
	a.start("cpu", a.watchCPU)
	server := a.server()
	err := a.begin(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // asked to stop before it had begun
	case err == nil:
		go func() {
			if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve: %w", err)
			}
		}()
		a.log.Info("ready", "listen", a.Address(), "accounts", len(a.now.Load().accounts), "mapping_revision", a.now.Load().mapping.Revision())
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	a.stopping.Store(true)
	a.log.Info("stopping")
	a.endBy = time.Now().Add(stopWithin)
	stopBy := a.endBy.Add(-time.Second)
	closing, cancel := context.WithDeadline(context.WithoutCancel(ctx), stopBy)
	defer cancel()
	if closeErr := server.Shutdown(closing); closeErr != nil {
		a.log.Warn("webhooks were cut off; their senders send them again", "error", closeErr)
	}
	stopWork()
	a.await(&running, time.Until(stopBy))
	a.lastReport(ctx)
	return err
}

// begin starts what there is for each account.
func (a *App) begin(ctx context.Context) error {
	if err := a.readPauses(ctx); err != nil {
		return err
	}
	a.start("pauses", a.followPauses)
	a.start("reports", a.sendReports)
	scheduler, err := a.ownJobs()
	if err != nil {
		return err
	}
	a.start("jobs", scheduler.Run)
	for _, account := range a.now.Load().accounts {
		if err := a.launch(ctx, account); err != nil {
			return err
		}
	}
	if a.source != nil {
		a.start("configuration", a.followConfiguration)
	}
	return nil
}

// await waits for the parts to end, at most for d.
func (a *App) await(running *sync.WaitGroup, d time.Duration) {
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
		a.log.Info("stopped")
	case <-time.After(d):
		a.log.Warn("stopped with calls in flight; they are looked into at the next start")
	}
}

// close releases what New opened.
func (a *App) close(ctx context.Context) {
	if a.listener != nil {
		a.listener.Close()
	}
	a.control.close()
	if a.broker != nil {
		a.broker.Close()
	}
	if a.endBy.IsZero() {
		a.endBy = time.Now().Add(stopWithin)
	}
	renewed, cancel := context.WithDeadline(context.WithoutCancel(ctx), a.endBy)
	defer cancel()
	a.renewing.Lock()
	defer a.renewing.Unlock()
	for _, wait := range a.renewals {
		wait(renewed)
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.log.Warn("cannot close the database", "error", err)
		}
	}
	a.unlock()
}

// record records a batch, for as long as that takes: while the database is
// away, facts wait in EVENTS. It returns false when the program stops.
func (a *App) record(ctx context.Context, facts []directory.Fact) bool {
	var result record.Result
	ok := a.untilDone(ctx, "record facts", func(ctx context.Context) (err error) {
		if err = a.noteFeeds(ctx); err != nil {
			return err
		}
		result, err = a.recorder.Record(ctx, facts)
		return err
	})
	if !ok {
		return false
	}
	a.broker.Trigger(result.Triggers)
	for _, f := range result.Recorded {
		a.metrics.recorded.WithLabelValues(f.Account, string(f.Kind)).Inc()
	}
	a.noteFired(result.Fired)
	if len(result.Malformed) == 0 {
		return true
	}
	return a.untilDone(ctx, "publish dead letters", func(ctx context.Context) error {
		return a.broker.Bury(ctx, a.lettersOf(result.Malformed))
	})
}

// lettersOf makes dead letters of facts that could not be read.
func (a *App) lettersOf(malformed []*directory.Fact) []deadletter.Letter {
	letters := make([]deadletter.Letter, len(malformed))
	for i, f := range malformed {
		letters[i] = deadletter.OfFact(f, a.now.Load().mapping.Revision(), time.Now(), a.config.Retry.SettleWithin.Duration())
		a.log.Error("part of a webhook cannot be read; a person must settle the dead letter",
			"account", f.Account, "reason", f.Reason, "letter", letters[i].ID)
	}
	return letters
}

func (a *App) putLetters(ctx context.Context, letters []deadletter.Letter) bool {
	return a.untilDone(ctx, "keep dead letters", func(ctx context.Context) error { return a.store.PutLetters(ctx, letters) })
}

// replayFacts reads parts of webhooks again for which somebody has asked so. What
// somebody wants tried again in an account that is gone is left open.
func (a *App) replayFacts(ctx context.Context) error {
	for pause(ctx, time.Second) {
		n, err := a.store.Recall(ctx, CRMs(a.now.Load().config))
		if err != nil && ctx.Err() == nil {
			a.log.Warn("cannot look for dead letters of accounts that are gone", "error", err)
		}
		if n > 0 {
			a.log.Warn("dead letters are not tried again and stay open: their accounts are not in the configuration", "letters", n)
		}
		replays, err := a.store.FactsToReplay(ctx, 100)
		if err != nil {
			a.log.Warn("cannot look for facts to replay", "error", err)
			continue
		}
		for _, r := range replays {
			if err := a.replayFact(ctx, r); err != nil {
				a.log.Warn("cannot replay a fact", "letter", r.LetterID, "error", err)
			}
		}
	}
	return nil
}

func (a *App) replayFact(ctx context.Context, r deadletter.FactReplay) error {
	var parts []connectors.Fact
	if fact, ok := record.Refused(r.Raw); ok {
		parts = append(parts, fact)
	} else if receiver := a.now.Load().intake.Receivers[r.Account]; receiver != nil {
		parts = receiver.Split(r.Raw)
	} else {
		parts = append(parts, connectors.Fact{Kind: connectors.KindMalformed, Reason: "the account is gone, or has no webhooks any more"})
	}
	var facts []directory.Fact
	var still *directory.Fact
	for _, f := range parts {
		fact := directory.Fact{ID: directory.FactID(r.Account, f.Key), Account: r.Account, ReceivedAt: r.ReceivedAt.UTC(), Fact: f}
		if f.Kind == connectors.KindMalformed && still == nil {
			still = &fact
			continue
		}
		facts = append(facts, fact) // another one that cannot be read gets a letter where it is recorded
	}
	if err := a.broker.PublishFacts(ctx, facts); err != nil {
		return err
	}
	if still != nil {
		letters := a.lettersOf([]*directory.Fact{still})
		letters[0].ID = r.LetterID // the same part, still unreadable
		return a.broker.Bury(ctx, letters)
	}
	return a.store.Delivered(ctx, []string{r.LetterID})
}

// untilDone repeats f until it succeeds or the program stops; it reports which.
func (a *App) untilDone(ctx context.Context, what string, f func(ctx context.Context) error) bool {
	for {
		err := f(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		a.log.Error("cannot "+what+"; trying again", "error", err)
		if !pause(ctx, time.Second) {
			return false
		}
	}
}

// pause waits and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var _ deliver.Store = (*store.DB)(nil)
