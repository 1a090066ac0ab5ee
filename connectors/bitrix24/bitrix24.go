// Package bitrix24 speaks to one Bitrix24 portal.
package bitrix24

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// Options say which portal and how to reach it: through an inbound webhook
// (WebhookURL), or as an OAuth application (all of the others up to
// SaveRefreshToken).
type Options struct {
	// WebhookURL is the address of an inbound webhook, such as
	// https://example.bitrix24.com/rest/7/secret/. It is a secret.
	WebhookURL string

	// BaseURL is the portal's own address, such as https://example.bitrix24.com.
	BaseURL string
	// ClientID and ClientSecret are the application's.
	ClientID, ClientSecret string
	// RefreshToken is that of the installation.
	RefreshToken string
	// TokenURL is where tokens are refreshed: the oauth/token/ of the
	// server_endpoint that came with the installation.
	//
	// Defaults to https://oauth.bitrix.info/oauth/token/.
	TokenURL string
	// LoadRefreshToken returns the refresh token that was stored last, by
	// whoever works for the portal; empty if none was. It is asked before each
	// refresh. Nil is the one that this client has.
	LoadRefreshToken func(ctx context.Context) (string, error)
	// SaveRefreshToken stores a new refresh token. Each can be used once, so
	// nothing that came with it is used before it is stored.
	SaveRefreshToken func(ctx context.Context, token string) error

	// Region is the ISO country of phone numbers that people have entered
	// without a country code; empty if such numbers say nothing.
	Region string

	// Pace blocks until the quota allows one more request; nil is no limit.
	// Bitrix24 counts per portal and source address: 2 requests a second with
	// a burst of 50 (5 and 250 with Enterprise), a batch being one.
	Pace func(ctx context.Context) error

	// Quota blocks until Pace would not, and reports whether that took any
	// time; nil if that cannot be known. Who waits for it elsewhere gets into
	// the same request.
	Quota func(ctx context.Context) (waited bool, err error)

	// PerSecond is how many requests a second the quota allows in the long
	// run, of which Pace also lets a burst pass. Requests that are not full
	// keep to it, so that the burst is left for when there is much to do; 0
	// sends everything at once.
	PerSecond float64

	// Timeout is how long one call may take, BatchTimeout one that carries
	// up to 50 commands, which Bitrix24 executes one after the other.
	//
	// Default to 3.5 and 20 seconds.
	Timeout      time.Duration
	BatchTimeout time.Duration

	// Fence says why nothing may be sent any more, as a *connectors.Error; nil
	// is never. It is asked until the last part of a request has left.
	Fence func() error

	// Observe is told of every HTTP request, with status 0 when there was no
	// complete answer.
	Observe func(status int, took time.Duration)

	// HTTP makes the calls; nil is a client of its own.
	HTTP *http.Client
}

const (
	// perBatch is how many commands a batch takes, and perPage how many rows
	// a page of any list has (Bitrix24: batch; features of list methods).
	perBatch = 50
	// perLook is how many contacts are looked for in about one request, before
	// they are added 50 to a request: in smaller portions the looking would
	// cost as many requests as the adding.
	perLook = 200
	perPage = 50

	// lookAfter is how long a create whose answer was lost is waited for.
	lookAfter = 5 * time.Second
)

// Client is one Bitrix24 portal.
type Client struct {
	rest         rest.Client
	batchTimeout time.Duration
	region       string
	budget       budget
	pipe         *pipe
	claims       claims
	stride       stride
	// home is the address that the configuration gives the portal, up to where
	// method names begin.
	home string
	// tokens is nil with an inbound webhook.
	tokens *tokens
	// rewriting is held by whoever reads a comment of several messages to
	// write it again.
	rewriting chan struct{}
	// learning is held by whoever reads or extends the portal's fields.
	learning chan struct{}

	mu sync.Mutex
	// base is what method names are appended to. A renamed portal changes it.
	base   string
	schema *schema
	staff  *staff
	// doubts are the keys of contacts whose creation may still be going on.
	doubts map[string]time.Time
}

var _ connectors.Connector = (*Client)(nil)

// New returns a client of the portal. It makes no call.
func New(o Options) *Client {
	c := &Client{
		batchTimeout: cmp.Or(o.BatchTimeout, 20*time.Second),
		region:       o.Region,
		rewriting:    make(chan struct{}, 1),
		learning:     make(chan struct{}, 1),
		doubts:       map[string]time.Time{},
	}
	c.rest.HTTP = o.HTTP
	c.rest.Timeout = o.Timeout
	c.rest.Pace = o.Pace
	c.rest.Observe = o.Observe
	c.rest.Fence = o.Fence
	c.pipe = newPipe(c, o)
	if o.WebhookURL != "" {
		c.base = strings.TrimRight(o.WebhookURL, "/") + "/"
		c.home = c.base
		return c
	}
	c.base = strings.TrimSuffix(strings.TrimRight(o.BaseURL, "/"), "/rest") + "/rest/"
	c.home = c.base
	c.tokens = newTokens(o)
	return c
}

// Wait returns when no token is being refreshed, or with ctx: whoever ends the
// program before might lose the only refresh token that is good.
func (c *Client) Wait(ctx context.Context) {
	if c.tokens != nil {
		c.tokens.wait(ctx)
	}
}

// Identity is the portal's host, and beside it what stays when the portal is
// renamed: an application is told the portal's id, and of an inbound webhook
// everything behind the host stays, which is a secret, hence its digest.
func (c *Client) Identity(ctx context.Context) ([]string, error) {
	host, rest, _ := strings.Cut(c.home[strings.Index(c.home, "//")+2:], "/")
	names := []string{strings.ToLower(host)}
	if c.tokens == nil {
		return append(names, "webhook:"+connectors.Digest([]byte(rest))), nil
	}
	member, err := c.tokens.member(ctx)
	if err != nil {
		return nil, err
	}
	if isMember.MatchString(member) {
		names = append(names, "member:"+member)
	}
	return names, nil
}

var isMember = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)

// Setup compares the portal with what crmsync needs and with fix creates what
// is missing. It may be repeated, also by several replicas at once.
func (c *Client) Setup(ctx context.Context, fields []connectors.Field, fix bool) ([]connectors.Finding, error) {
	s := setup{client: c, fix: fix}
	if err := s.contacts(ctx, fields); err != nil {
		return nil, err
	}
	if err := s.scopes(ctx, fields); err != nil {
		return nil, err
	}
	if err := s.dates(ctx); err != nil {
		return nil, err
	}
	return s.findings, nil
}

// WriteContacts creates or updates one record per change. Nothing in Bitrix24
// is unique, so whoever has no record is looked for by key and by phone before
// anything is added.
//
// Requests per 50 changes: one for known records, the update of each; one more
// in front when phones or addresses are among the fields, because rows are
// addressed by ids that only the record tells (a cache of them would go stale
// when people edit). Two for new people: look-ups of both kinds, then the
// adds; one between when phones are known to somebody.
func (c *Client) WriteContacts(ctx context.Context, changes []connectors.ContactChange) []connectors.Result {
	w := writing{client: c, results: make([]connectors.Result, len(changes))}
	known, open := w.rows(ctx, changes)
	held, err := c.claims.take(ctx, names(known, open))
	if err != nil {
		w.failAll(known, open)
		return w.results
	}
	defer held.end()
	w.claim = held
	known = w.readKnown(ctx, known)

	// The updates go first, and in the same batch: one of them can free a
	// key that the look-ups behind it ask for.
	m := w.matching(open, known)
	m.look(ctx, w.updates(known, patient))
	found, rest := m.settle()
	w.client.run(ctx, append(w.updates(found, leading), w.adds(rest)...))
	return w.results
}

// FindMessages looks for messages: comments by their last line, activities by
// their origin.
func (c *Client) FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, carrier.find)
}

// CreateMessages writes messages on the timelines of their contacts: with an
// inbound webhook as comments, with an application as activities.
func (c *Client) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, carrier.create)
}

// UpdateMessages writes text and status of messages that were written before.
func (c *Client) UpdateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, carrier.update)
}

// Limits are those of Bitrix24's batches.
func (c *Client) Limits() connectors.Limits {
	return connectors.Limits{Contacts: perLook, Messages: 2 * perBatch, Calls: 8, MessageCalls: 8, LookAfter: lookAfter}
}
