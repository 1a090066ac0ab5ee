package app

import (
	"context"
	"maps"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/bitrix24"
	"crmsync/connectors/guard"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/whatsapp"
	"crmsync/connectors/zoho"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// account is one configured account with the parts that serve it.
type account struct {
	name     string
	settings config.Account
	receiver connectors.Receiver
	worker   *deliver.Worker
	guard    *guard.Guard
	limiter  *guard.Limiter
	// paused is who has paused it, nil if nobody has.
	paused atomic.Pointer[store.Pause]
	// succeeded is when something was last brought about there.
	succeeded atomic.Pointer[time.Time]
	// subscriber is nil for an account without webhooks, and for WhatsApp's,
	// which are set up by hand.
	subscriber *subscriber
	syncing    syncing
	// stop ends the account's worker, and running waits for that.
	stop    context.CancelFunc
	running sync.WaitGroup
}

func (a *App) newAccount(c config.Account) *account {
	built := &account{name: c.Name, settings: c, stop: func() {}}
	if c.Kind == "whatsapp" {
		built.receiver = whatsapp.NewReceiver(c.AppSecrets(), c.VerifyToken.Reveal())
		return built
	}
	connector, limiter := a.connector(c, func() bool { return built.worker.Holds() })
	built.limiter = limiter
	built.guard = guard.New(connector, guard.Options{Limiter: limiter, OnChange: func(open bool) {
		if open {
			a.log.Error("the account is in trouble; deliveries to it wait", "account", c.Name, "why", built.guard.Trouble())
		} else {
			a.log.Info("the account works again", "account", c.Name)
		}
	}})
	built.worker = &deliver.Worker{
		Account: c.Name, Kind: c.Kind, Connector: built.guard, Wait: func(ctx context.Context, full bool) error {
			if err := a.cpu.wait(ctx); err != nil {
				return err
			}
			return built.guard.Wait(ctx, full)
		},
		Mapping: func() *mapping.Mapping { return a.now.Load().mapping }, Fetch: a.fetch, FileEvery: fileEvery(c, connector.Limits()),
		Store: ownStore{a.store, func() []string { return a.now.Load().notFeeding(c.Name) }}, Bury: a.broker.Bury, Publish: a.broker.PublishFacts, Listed: a.listed(c.Name), Brake: &built.syncing.brake,
		Retry:  deliver.RetryPolicy{Delays: a.config.Retry.Pauses(), SettleWithin: a.config.Retry.SettleWithin.Duration()},
		Holder: a.holder, CreateFields: c.CreateFields, Region: a.config.DefaultRegion,
		Observer: observer{a.metrics, built}, Log: a.log.With("account", c.Name),
	}
	address := a.config.WebhookAddress(c.Name)
	if built.receiver = a.receiver(c, address); built.receiver != nil {
		built.subscriber = &subscriber{
			vendor:       built.guard,
			subscription: connectors.Subscription{Address: address, Token: webhookToken(c)},
			working:      func() bool { ready, _ := built.worker.State(); return ready },
			renewed:      func(until time.Time) { a.metrics.renewBy.WithLabelValues(c.Name).Set(float64(until.Unix())) },
			log:          a.log.With("account", c.Name),
		}
	}
	return built
}

// connector speaks to the account; the limiter paces its calls, which are not
// made unless holds says that this replica is the one that works for it.
func (a *App) connector(c config.Account, holds func() bool) (connectors.Connector, *guard.Limiter) {
	limiter := a.limiter(c)
	region, timeout, observe := a.config.DefaultRegion, c.Timeout.Duration(), a.observeCalls(c.Name)
	switch c.Kind {
	case config.Zoho:
		return zoho.New(zoho.Options{
			AccountsURL: c.AccountsURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RefreshToken: c.RefreshToken.Reveal(),
			Kept: a.keptToken(c), Keep: a.keepToken(c),
			BaseURL: c.BaseURL, Region: region, Timeout: timeout, BatchTimeout: c.BatchTimeout.Duration(), Pace: fenced(limiter, holds), Fence: fence(holds), Observe: observe,
		}), limiter
	case config.Bitrix24:
		perSecond := float64(c.Quota.Requests) / c.Quota.Per.Duration().Seconds()
		o := bitrix24.Options{
			WebhookURL: c.WebhookURL.Reveal(), Region: region, Timeout: timeout, BatchTimeout: c.BatchTimeout.Duration(), Observe: observe,
			Pace: fenced(limiter, holds), Fence: fence(holds), Quota: limiter.Wait, PerSecond: perSecond,
		}
		if c.Installed() {
			o.BaseURL, o.TokenURL = c.BaseURL, c.TokenURL
			o.ClientID, o.ClientSecret, o.RefreshToken = c.ClientID, c.ClientSecret.Reveal(), c.RefreshToken.Reveal()
			o.LoadRefreshToken, o.SaveRefreshToken = a.refreshTokens(c)
		}
		client := bitrix24.New(o)
		a.renews(c.Name, client.Wait)
		return client, limiter
	case config.HubSpot:
		o := hubspot.Options{
			BaseURL: c.BaseURL, Token: hubspot.StaticToken(c.Token.Reveal()), APIVersion: c.APIVersion,
			Region: region, Timeout: timeout, BatchTimeout: c.BatchTimeout.Duration(), Pace: fenced(limiter, holds), Fence: fence(holds),
			Observe: observe, Granted: limiter.Learn,
		}
		if c.Installed() {
			app := hubspot.OAuth{
				BaseURL: c.BaseURL, APIVersion: c.APIVersion,
				ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RefreshToken: c.RefreshToken.Reveal(),
			}
			app.LoadRefreshToken, app.SaveRefreshToken = a.refreshTokens(c)
			tokens := hubspot.NewTokenSource(app)
			o.Token, o.Renew = tokens.Token, tokens.Renew
			a.renews(c.Name, tokens.Wait)
		}
		return hubspot.New(o), limiter
	}
	panic("there is no connector for accounts of kind " + c.Kind)
}

// paced is a limiter, and whose it is.
type paced struct {
	account config.Account
	limiter *guard.Limiter
}

// limiter is the quota of an account. While the configuration goes on meaning
// the same account with the same quota, what it has used of it counts, and what
// the vendor has said about it.
func (a *App) limiter(c config.Account) *guard.Limiter {
	a.limiting.Lock()
	defer a.limiting.Unlock()
	name := c.Name
	c.Timeout, c.BatchTimeout, c.CreateFields = 0, 0, false
	if had, ok := a.limiters[name]; ok && reflect.DeepEqual(had.account, c) {
		return had.limiter
	}
	limiter := guard.NewLimiter(c.Quota.Requests, c.Quota.Per.Duration())
	if c.Kind == config.Bitrix24 {
		// A leaky bucket: what drains in 25 seconds may come at once
		// (Bitrix24: limits).
		perSecond := float64(c.Quota.Requests) / c.Quota.Per.Duration().Seconds()
		limiter = guard.NewBucket(int(25*perSecond), perSecond)
	}
	if a.limiters == nil {
		a.limiters = map[string]paced{}
	}
	a.limiters[name] = paced{c, limiter}
	return limiter
}

// renews notes what is waited for before the database is closed, and before
// the account's tokens are somebody else's.
func (a *App) renews(account string, wait func(ctx context.Context)) {
	a.renewing.Lock()
	defer a.renewing.Unlock()
	if a.renewals == nil {
		a.renewals = map[string]func(ctx context.Context){}
	}
	a.renewals[account] = wait
}

// renewed waits until nothing is being done about an account's tokens any more.
func (a *App) renewed(ctx context.Context, account string) {
	a.renewing.Lock()
	wait := a.renewals[account]
	a.renewing.Unlock()
	if wait != nil {
		wait(ctx)
	}
	a.renewing.Lock()
	defer a.renewing.Unlock()
	if ctx.Err() == nil {
		delete(a.renewals, account)
	}
}

// fenced paces calls and lets none through once the account may be another
// replica's: one that was stopped and wakes up would make them a second time.
func fenced(limiter *guard.Limiter, holds func() bool) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := limiter.Pace(ctx); err != nil {
			return err
		}
		return fence(holds)()
	}
}

// fence says that the account may be another replica's by now.
func fence(holds func() bool) func() error {
	return func() error {
		if !holds() {
			return &connectors.Error{Class: connectors.Unavailable, Reason: "another replica may be working for this account", RetryAfter: time.Second}
		}
		return nil
	}
}

func (a *App) observeCalls(name string) func(status int, took time.Duration) {
	return func(status int, took time.Duration) {
		outcome := "no answer"
		if status != 0 {
			outcome = strconv.Itoa(status)
		}
		a.metrics.calls.WithLabelValues(name, outcome).Inc()
		a.metrics.callSeconds.WithLabelValues(name).Observe(took.Seconds())
	}
}

// gauges keeps the gauges up to date: what the database counts every five
// seconds, what is at hand every second.
func (a *App) gauges(ctx context.Context) error {
	shown := map[string]bool{}
	for n := 0; ; n++ {
		gone := maps.Clone(shown)
		for _, account := range a.now.Load().accounts {
			if account.guard != nil {
				a.metrics.breakerOpen.WithLabelValues(account.name).Set(map[bool]float64{true: 1}[account.guard.Open()])
				a.metrics.quotaUse.WithLabelValues(account.name).Set(account.limiter.Used())
				a.metrics.paused.WithLabelValues(account.name).Set(map[bool]float64{true: 1}[account.paused.Load() != nil])
				shown[account.name] = true
				delete(gone, account.name)
			}
		}
		if n%5 == 0 {
			a.countAll(ctx)
		}
		for name := range gone {
			for _, gauge := range []*prometheus.GaugeVec{a.metrics.breakerOpen, a.metrics.quotaUse, a.metrics.paused, a.metrics.backlog} {
				gauge.DeleteLabelValues(name)
			}
		}
		if !pause(ctx, time.Second) {
			return nil
		}
	}
}

func (a *App) countAll(ctx context.Context) {
	links, err := a.store.CountLinks(ctx)
	if err == nil {
		a.metrics.links.Reset()
		delivered := map[string]bool{}
		for _, account := range a.now.Load().accounts {
			if account.worker != nil {
				delivered[account.name] = true
				a.metrics.backlog.WithLabelValues(account.name).Set(0)
			}
		}
		for _, c := range links {
			a.metrics.links.WithLabelValues(c.Account, string(c.State)).Set(float64(c.N))
			if c.State == "pending" && delivered[c.Account] {
				a.metrics.backlog.WithLabelValues(c.Account).Set(float64(c.N))
			}
		}
	}
	letters, err := a.store.CountLetters(ctx)
	if err == nil {
		a.metrics.letters.Reset()
		a.metrics.overdue.Reset()
		for _, c := range letters {
			a.metrics.letters.WithLabelValues(c.Account, c.Class).Set(float64(c.N))
			a.metrics.overdue.WithLabelValues(c.Account, c.Class).Set(float64(c.Overdue))
		}
	}
}

// ownStore leaves out of contacts what is none of an account's business: the
// conversations on WhatsApp accounts that do not feed it.
type ownStore struct {
	*store.DB
	foreign func() []string
}

func (s ownStore) Load(ctx context.Context, account string, kind directory.EntityKind, ids []int64) ([]directory.Work, error) {
	work, err := s.DB.Load(ctx, account, kind, ids)
	return s.own(ctx, kind, work, err)
}

// InAgreement leaves it out when mappings are compared.
func (s ownStore) InAgreement(ctx context.Context, account string, after int64, limit int) ([]directory.Work, error) {
	work, err := s.DB.InAgreement(ctx, account, after, limit)
	return s.own(ctx, directory.ContactEntity, work, err)
}

// Sample leaves it out of a sample too.
func (s ownStore) Sample(ctx context.Context, account string, kind directory.EntityKind, n int) ([]directory.Work, error) {
	work, err := s.DB.Sample(ctx, account, kind, n)
	return s.own(ctx, kind, work, err)
}

func (s ownStore) own(ctx context.Context, kind directory.EntityKind, work []directory.Work, err error) ([]directory.Work, error) {
	foreign := s.foreign()
	if err != nil || len(work) == 0 || len(foreign) == 0 || kind != directory.ContactEntity {
		return work, err
	}
	ids := make([]int64, len(work))
	for i := range work {
		ids[i] = work[i].Link.Entity.ID
	}
	talks, err := s.ConversationsWithout(ctx, foreign, ids)
	if err != nil {
		return nil, err
	}
	for i := range work {
		work[i].Contact = work[i].Contact.Without(foreign, talks[work[i].Contact.ID])
	}
	return work, nil
}
