// Package hubspot speaks to one HubSpot account.
package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// Options say which account and how to reach it.
type Options struct {
	// BaseURL is where the API is.
	//
	// Defaults to https://api.hubapi.com.
	BaseURL string

	// Token returns the bearer token of a private app, a service key or an
	// OAuth installation. It is asked before every call. An error that is a
	// *[connectors.Error] keeps its class.
	Token func(ctx context.Context) (string, error)

	// Renew is told of a token that HubSpot has refused, and returns when
	// Token will return another: the call is repeated then, once. Nil is for
	// tokens that stay as they are. See [TokenSource].
	Renew func(ctx context.Context, refused string) error

	// APIVersion is a dated version of HubSpot's API, or "v3". Where the
	// account does not know one newer than [FallbackVersion], that one is
	// used instead.
	//
	// Defaults to [DefaultVersion].
	APIVersion string

	// Region is the ISO country of phone numbers that people have entered
	// without a country code; empty if such numbers say nothing.
	Region string

	// Pace blocks until the quota allows one more call; nil is no limit.
	Pace func(ctx context.Context) error

	// PaceSearch is the same for searches, which HubSpot counts apart: 5 per
	// second and account, outside the limit per ten seconds.
	//
	// Defaults to never more than 5 in any second.
	PaceSearch func(ctx context.Context) error

	// Timeout is how long one call may take, BatchTimeout one that carries
	// up to 100 records.
	//
	// Default to 3.5 and 10 seconds.
	Timeout      time.Duration
	BatchTimeout time.Duration

	// Fence says why nothing may be sent any more, as a *connectors.Error; nil
	// is never. It is asked until the last part of a request has left.
	Fence func() error

	// Observe is told of every HTTP request, with status 0 when there was no
	// complete answer.
	Observe func(status int, took time.Duration)

	// Granted is told how many requests HubSpot says it allows in any window
	// of a length, with every answer that says so; nil is nobody.
	Granted func(requests int, per time.Duration)

	// HTTP makes the calls; nil is a client of its own.
	HTTP *http.Client
}

// StaticToken is an [Options.Token] that never changes.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// perBatch is how many records HubSpot takes in one call (HubSpot: usage
// guidelines).
const perBatch = 100

// Client is one HubSpot account.
type Client struct {
	rest         rest.Client
	paths        paths
	version      version
	renew        func(ctx context.Context, refused string) error
	day          day
	granted      func(requests int, per time.Duration)
	region       string
	batchTimeout time.Duration
	paceSearch   func(ctx context.Context) error

	mu     sync.Mutex
	schema *schema
	// tasks says whether tasks have our property, nil while nobody has asked.
	tasks  *bool
	fields fields
	owners owners

	walks walks
	// editing has room for one who changes a property's options.
	editing chan struct{}
}

var _ connectors.Connector = (*Client)(nil)

// New returns a client of the account. It makes no call.
func New(o Options) *Client {
	if o.BaseURL == "" {
		o.BaseURL = "https://api.hubapi.com"
	}
	if o.APIVersion == "" {
		o.APIVersion = DefaultVersion
	}
	if o.BatchTimeout == 0 {
		o.BatchTimeout = 10 * time.Second
	}
	if o.PaceSearch == nil {
		// A burst of 1 and 3.5 more make less than 5 in any second, also
		// when they do not arrive as evenly as they are sent.
		o.PaceSearch = rate.NewLimiter(3.5, 1).Wait
	}
	c := &Client{
		paths:        pathsOf(o.APIVersion),
		version:      version{wanted: o.APIVersion},
		renew:        o.Renew,
		granted:      o.Granted,
		region:       o.Region,
		batchTimeout: o.BatchTimeout,
		paceSearch:   o.PaceSearch,
		editing:      make(chan struct{}, 1),
	}
	if o.Token == nil {
		o.Token = StaticToken("")
	}
	c.rest.Base = strings.TrimRight(o.BaseURL, "/")
	c.rest.HTTP = o.HTTP
	c.rest.Timeout = o.Timeout
	c.rest.Pace = o.Pace
	c.rest.Observe = o.Observe
	c.rest.Fence = o.Fence
	c.rest.Authorize = authorize(o.Token)
	return c
}

// Identity is the account's number, which every app may ask for.
func (c *Client) Identity(ctx context.Context) ([]string, error) {
	var said json.RawMessage
	err := c.call(ctx, apart, http.MethodGet, c.paths.account, nil, nil, &said)
	if err != nil && err.Status == http.StatusNotFound {
		err = c.call(ctx, apart, http.MethodGet, pathsOf("v3").account, nil, nil, &said)
	}
	var account struct {
		PortalID value `json:"portalId"`
	}
	switch {
	case err != nil && !untold(err):
		return nil, err
	case err != nil:
		return nil, &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: err.Reason}
	case json.Unmarshal(said, &account) != nil, !isID.MatchString(string(account.PortalID)):
		return nil, &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: "HubSpot does not tell the account's number"}
	}
	return []string{string(account.PortalID)}, nil
}

// Setup compares the account with what crmsync needs and with fix creates what
// is missing. It may be repeated, also by several replicas at once.
func (c *Client) Setup(ctx context.Context, fields []connectors.Field, fix bool) ([]connectors.Finding, error) {
	s := setup{client: c, fix: fix, schema: &schema{}}
	if err := s.contacts(ctx, fields); err != nil {
		return nil, err
	}
	if err := s.communications(ctx); err != nil {
		return nil, err
	}
	c.learnFields(s.fields)
	c.mu.Lock()
	c.schema = s.schema
	c.mu.Unlock()
	return s.findings, nil
}

// WriteContacts creates or updates one record per change. The order is that of
// who may hold a key: records that are known are written first, because that
// can free a key; then people are looked for by phone and written by id; what
// is left is upserted by key, which creates it at most once.
func (c *Client) WriteContacts(ctx context.Context, changes []connectors.ContactChange) []connectors.Result {
	w := writing{client: c, results: make([]connectors.Result, len(changes))}
	changes = slices.Clone(changes)
	w.assign(ctx, changes)
	w.label(ctx, changes)
	rows := w.rows(changes, c.dates())

	var known, open []*row
	for _, r := range rows {
		if r.id != "" {
			known = append(known, r)
		} else {
			open = append(open, r)
		}
	}
	w.update(ctx, known)

	found, open := w.match(ctx, open, known)
	// A record that was found by phone may turn out to be the wrong one,
	// since another has the key: that one is it then.
	open = append(open, w.updateMatched(ctx, found)...)

	found, open = w.name(ctx, open)
	w.update(ctx, found)
	w.upsert(ctx, open)
	w.missedLabels()
	return w.results
}

// FindMessages looks for messages by their unique property, or where the
// account has none by the last line of what the contact's timeline shows.
func (c *Client) FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).find)
}

// CreateMessages logs messages on the timelines of their contacts.
func (c *Client) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).create)
}

// UpdateMessages writes text and status of messages that were logged before.
func (c *Client) UpdateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).update)
}

// Limits are those of HubSpot's batches. Where a unique property tells messages
// apart HubSpot itself refuses the second of two, so looking early is harmless.
func (c *Client) Limits() connectors.Limits {
	l := connectors.Limits{Contacts: perBatch, Messages: perBatch, MessageCalls: 3, FileCalls: fileCalls, LookAfter: 5 * time.Second}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schema != nil && c.schema.key && (c.tasks == nil || *c.tasks) {
		l.LookAfter = time.Second
	}
	return l
}
