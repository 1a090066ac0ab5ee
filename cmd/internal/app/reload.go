package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/intake"
	"crmsync/sync/store"
)

// inForce is what can change while the worker runs: the accounts and the
// mapping. It is replaced as a whole and not changed.
type inForce struct {
	config   *config.Config
	mapping  *mapping.Mapping
	accounts []*account
	media    map[string]*whatsapp.Client
	intake   *intake.Handler
	// former are the CRM accounts that WhatsApp accounts fed which are gone:
	// some of what they have sent may still have to be recorded, and what they
	// have sent stays none of the business of others.
	former map[string][]string
}

// deliverTo are the accounts that an account feeds, or did.
func (f *inForce) deliverTo(name string) []string {
	fed, gone := f.former[name]
	if !gone {
		return f.config.DeliverTo(name)
	}
	return slices.DeleteFunc(slices.Clone(fed), func(crm string) bool {
		return !slices.ContainsFunc(f.config.Accounts, func(a config.Account) bool { return a.Name == crm })
	})
}

// notFeeding are the accounts, gone ones too, whose conversations are none of a
// CRM account's business.
func (f *inForce) notFeeding(crm string) []string {
	names := f.config.NotFeeding(crm)
	for name, fed := range f.former {
		if !slices.Contains(fed, crm) {
			names = append(names, name)
		}
	}
	return names
}

// formerly leaves those out that an account list has.
func formerly(fed map[string][]string, accounts []config.Account) map[string][]string {
	former := map[string][]string{}
	for name, crms := range fed {
		if !slices.ContainsFunc(accounts, func(a config.Account) bool { return a.Name == name }) {
			former[name] = crms
		}
	}
	return former
}

// enforce builds what a configuration asks for; kept are the accounts, by
// name, that go on as they are.
func (a *App) enforce(c *config.Config, m *mapping.Mapping, kept map[string]*account) *inForce {
	next := &inForce{config: c, mapping: m, media: a.mediaClients(c.Accounts)}
	a.metrics.mappingInfo.Reset()
	a.metrics.mappingInfo.WithLabelValues(m.Revision()).Set(1)
	receivers := map[string]connectors.Receiver{}
	var silent []string
	for _, settings := range c.Accounts {
		built := kept[settings.Name]
		if built == nil {
			built = a.newAccount(settings)
		}
		next.accounts = append(next.accounts, built)
		if built.receiver != nil {
			receivers[settings.Name] = built.receiver
		} else if c.PublicURL == "" && kept[settings.Name] == nil {
			silent = append(silent, settings.Name)
		}
	}
	if len(silent) > 0 {
		a.log.Info("public_url is not set: these accounts have no webhooks", "accounts", silent)
	}
	next.intake = &intake.Handler{Receivers: receivers, Publish: a.broker.PublishFacts, Observer: a.metrics, Log: a.log}
	return next
}

// launch starts an account's worker.
func (a *App) launch(ctx context.Context, account *account) error {
	if account.worker == nil {
		return nil
	}
	next, err := a.broker.Triggers(ctx, account.name)
	if err != nil {
		return err
	}
	account.worker.Triggers = next
	stopped, stop := context.WithCancel(context.WithoutCancel(ctx))
	account.stop = stop
	run := func(what string, run func(ctx context.Context) error) {
		account.running.Add(1)
		a.start(what+" "+account.name, func(ctx context.Context) error {
			defer account.running.Done()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(stopped, cancel)()
			return run(ctx)
		})
	}
	scheduler, err := a.jobsOf(account)
	if err != nil {
		return err
	}
	run("deliver to", account.worker.Run)
	run("do the jobs of", scheduler.Run)
	if account.subscriber != nil {
		run("subscribe to", account.subscriber.run)
	}
	return nil
}

// A Source is where a configuration can be read again.
type Source struct {
	file  string
	load  func() (*config.Config, error)
	asked <-chan os.Signal
	// mapping is the file that the configuration last named as such, valid or
	// not; seen is what both files were when they were last read.
	mapping, seen string
}

// NewSource returns the source of a configuration that has just been loaded
// from a file. The file is watched, and the mapping that it names; asked says
// that somebody wants them to be read now.
func NewSource(file string, c *config.Config, load func() (*config.Config, error), asked <-chan os.Signal) *Source {
	return &Source{file, load, asked, c.Mapping, stamps(file, c.Mapping)}
}

// watchEvery is how often files are looked at. A change counts when it is there
// the next time too: nobody is at work on the file any more.
const watchEvery = 500 * time.Millisecond

// Follow makes the worker read its configuration again when that changes or
// somebody asks for it. It is called before [App.Run].
func (a *App) Follow(s *Source) { a.source = s }

// stamps tell versions of files apart.
func stamps(files ...string) string {
	var b strings.Builder
	for _, name := range files {
		if f, err := os.Stat(name); err == nil {
			fmt.Fprintln(&b, name, f.ModTime().UnixNano(), f.Size())
		}
	}
	return b.String()
}

func (a *App) followConfiguration(ctx context.Context) error {
	s := a.source
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	before := s.seen
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-s.asked:
			asked = true
		case <-ticker.C:
		}
		now := stamps(s.file, s.mapping)
		settled := now == before
		before = now
		if !asked && (!settled || now == s.seen) {
			continue
		}
		a.reload(ctx)
	}
}

// reload reads the configuration again and brings about what has changed. What
// is not valid changes nothing.
func (a *App) reload(ctx context.Context) {
	s := a.source
	// As the files are before they are read: what changes while the reload
	// waits for a worker to end counts the next time.
	s.seen = stamps(s.file)
	c, err := s.load()
	if err == nil {
		s.mapping = c.Mapping
	}
	s.seen += stamps(s.mapping)
	if err == nil && len(c.Placeholders) > 0 {
		err = c.Placeholders
	}
	var compiled *mapping.Mapping
	var text []byte
	if err == nil {
		compiled, text, err = readMapping(c)
	}
	if err != nil {
		a.reject(err)
		return
	}
	a.metrics.rejected.Set(0)
	for _, note := range c.Notes {
		a.log.Warn("odd configuration", "where", note.File, "problem", note.Problem)
	}
	var later *string
	if keys := a.fixed(c); len(keys) > 0 {
		a.log.Warn("some of what has changed in the configuration takes effect at the next start", "keys", keys)
		why := "ok; changes of " + strings.Join(keys, ", ") + " take effect at the next start"
		later = &why
	}
	waiting := "a change waits for calls in flight to end"
	a.rejected.Store(&waiting)
	// What may have been in force is known, also after a crash.
	if !a.untilDone(ctx, "keep the mapping", func(ctx context.Context) error { return a.keepMapping(ctx, c, compiled, text) }) {
		return
	}
	a.bringAbout(ctx, c, compiled)
	a.rejected.Store(later)
}

// reject says that what is on disk is not valid, and where.
func (a *App) reject(err error) {
	problems := strings.Split(err.Error(), "\n")
	revision := a.now.Load().mapping.Revision()
	a.log.Error("the configuration on disk is not valid; the one before stays in force",
		"problems", problems, "findings", len(problems), "mapping_revision", revision)
	why := "what is on disk is not valid and not in force; the log says what is wrong"
	if first := firstFinding(err); first != "" {
		why += ": " + first
		if n := len(problems); n > 1 {
			why += fmt.Sprintf(" is the first of %d findings", n)
		} else {
			why += " is the only finding"
		}
	}
	a.rejected.Store(&why)
	a.metrics.rejected.Set(1)
}

// firstFinding says where the first finding is, empty if err holds none. What it
// is may quote the document, and whoever asks a health check need not know that.
func firstFinding(err error) string {
	var file string
	var line, column int
	if found, ok := errors.AsType[mapping.Findings](err); ok && len(found) > 0 {
		file, line, column = found[0].File, found[0].Line, found[0].Column
	} else if found, ok := errors.AsType[config.Findings](err); ok && len(found) > 0 {
		file, line, column = found[0].File, found[0].Line, found[0].Column
	}
	switch {
	case file == "":
		return ""
	case line == 0:
		return filepath.Base(file)
	}
	return fmt.Sprintf("%s line %d column %d", filepath.Base(file), line, column)
}

// keepMapping keeps the text of a mapping that is about to be in force.
func (a *App) keepMapping(ctx context.Context, c *config.Config, compiled *mapping.Mapping, text []byte) error {
	host, err := os.Hostname()
	if err != nil {
		host = a.holder
	}
	return a.store.KeepMapping(ctx, store.MappingEvent{
		Event: store.MappingInForce, Revision: compiled.Revision(), File: c.Mapping, Holder: a.holder, Who: host,
	}, text)
}

// fixed puts back what cannot change while the worker runs, and returns the
// keys that it would have changed.
func (a *App) fixed(c *config.Config) (keys []string) {
	now := reflect.ValueOf(a.config).Elem()
	next := reflect.ValueOf(c).Elem()
	for i := range now.NumField() {
		key, _, _ := strings.Cut(now.Type().Field(i).Tag.Get("yaml"), ",")
		if slices.Contains([]string{"accounts", "mapping", "-"}, key) || reflect.DeepEqual(now.Field(i).Interface(), next.Field(i).Interface()) {
			continue
		}
		keys = append(keys, key)
		next.Field(i).Set(now.Field(i))
	}
	return keys
}

// bringAbout ends what is gone or has changed, puts the configuration in force
// and starts what is new or has changed. Other accounts do not notice.
func (a *App) bringAbout(ctx context.Context, c *config.Config, compiled *mapping.Mapping) {
	was := a.now.Load()
	kept := map[string]*account{}
	var added, changed, removed []string
	var ending sync.WaitGroup
	for _, account := range was.accounts {
		name := account.name
		i := slices.IndexFunc(c.Accounts, func(s config.Account) bool { return s.Name == name })
		switch {
		case i < 0:
			removed = append(removed, name)
		case !reflect.DeepEqual(account.settings, c.Accounts[i]) || !reflect.DeepEqual(deliver.FieldsOf(was.mapping, name), deliver.FieldsOf(compiled, name)):
			changed = append(changed, name)
		default:
			kept[name] = account
			continue
		}
		account.stop()
		ending.Go(func() {
			account.running.Wait()
			a.renewed(ctx, name)
		})
	}
	for _, settings := range c.Accounts {
		if !slices.ContainsFunc(was.accounts, func(old *account) bool { return old.name == settings.Name }) {
			added = append(added, settings.Name)
		}
	}
	if len(added)+len(changed)+len(removed) == 0 && was.mapping.Revision() == compiled.Revision() {
		a.log.Info("the configuration has been read again; accounts and mapping are as before")
		return
	}
	// A worker that has ended has written its last, and stored the refresh
	// token that it may just have been given: the next one, and the next
	// mapping, begin after that.
	ending.Wait()
	if ctx.Err() != nil {
		return
	}
	next := a.enforce(c, compiled, kept)
	next.former = formerly(was.former, c.Accounts)
	for _, old := range was.accounts {
		if old.worker == nil && slices.Contains(removed, old.name) {
			next.former[old.name] = was.config.DeliverTo(old.name)
		}
	}
	for _, account := range next.accounts {
		for _, old := range was.accounts {
			if old.name == account.name && old != account {
				account.succeeded.Store(old.succeeded.Load())
			}
		}
	}
	a.now.Store(next)
	a.log.Info("the configuration is in force", "added", added, "changed", changed, "removed", removed, "mapping_revision", compiled.Revision())
	a.untilDone(ctx, "look which accounts are paused", a.readPauses)
	for _, account := range next.accounts {
		if kept[account.name] == nil {
			a.untilDone(ctx, "follow what is owed to "+account.name, func(ctx context.Context) error { return a.launch(ctx, account) })
		}
	}
}
