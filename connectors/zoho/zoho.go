// Package zoho speaks to one Zoho CRM organisation, version 8 of its API.
package zoho

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// Options say which organisation and how to reach it.
type Options struct {
	// AccountsURL is where tokens are issued: that of the data centre in
	// which the refresh token was made (Zoho: multi-dc).
	//
	// Defaults to https://accounts.zoho.com.
	AccountsURL string

	// ClientID, ClientSecret and RefreshToken are those of a registered
	// client (Zoho: access-refresh).
	ClientID     string
	ClientSecret string
	RefreshToken string

	// Kept is what Keep was last given, by this program or the one before it.
	// Zoho issues at most 10 access tokens in 10 minutes (Zoho:
	// token-validity), which a program that is restarted often would use up.
	Kept AccessToken
	// Keep stores an access token over restarts; nil does not.
	Keep func(AccessToken)

	// BaseURL is where the API is.
	//
	// Defaults to the api_domain that comes with every access token.
	BaseURL string

	// Region is the ISO country of phone numbers that people have entered
	// without a country code; empty if such numbers say nothing.
	Region string

	// Pace blocks until the quota allows one more call; nil is no limit.
	Pace func(ctx context.Context) error

	// PaceHeavy is asked as well, after Pace, by calls that Zoho counts as
	// heavy: queries, sorted lists, and writes of more than 10 records.
	PaceHeavy func(ctx context.Context) error

	// Concurrency is how many calls are under way at once. Zoho allows 5 in
	// the free edition and up to 25 in others, of those 10 heavy ones (Zoho:
	// api-limits).
	//
	// Defaults to 5.
	Concurrency int

	// Timeout is how long one call may take, BatchTimeout one that carries
	// up to 100 records.
	//
	// Default to 3.5 and 15 seconds.
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
	// perBatch is how many records Zoho takes in one call (Zoho:
	// upsert-records).
	perBatch = 100
	// lightBatch is how many it takes without counting the call as heavy.
	lightBatch = 10
	// maxHeavy is how many heavy calls it takes at once, in every edition
	// (Zoho: api-limits).
	maxHeavy = 10

	root = "/crm/v8/"
)

// Client is one Zoho CRM organisation.
type Client struct {
	rest         rest.Client
	tokens       *tokens
	base         string
	region       string
	batchTimeout time.Duration
	pace         func(ctx context.Context) error
	paceHeavy    func(ctx context.Context) error
	// slots has room for as many calls as may be under way, heavy for as many
	// heavy ones among them.
	slots, heavy chan struct{}

	learning sync.Mutex
	users    directory
	// shallow says that queries give no more than a page, unqueryable are the
	// fields that they do not take.
	shallow     atomic.Bool
	unqueryable sync.Map

	mu     sync.Mutex
	schema *schema
	// tasks is what our field of tasks is called, nil while nobody has asked.
	tasks *string
	// throttledSince is when Zoho first refused a call for its limits, with
	// none accepted since.
	throttledSince time.Time
}

var _ connectors.Connector = (*Client)(nil)

// New returns a client of the organisation. It makes no call.
func New(o Options) *Client {
	if o.AccountsURL == "" {
		o.AccountsURL = "https://accounts.zoho.com"
	}
	if o.BatchTimeout == 0 {
		o.BatchTimeout = 15 * time.Second
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 5
	}
	c := &Client{
		base:         strings.TrimRight(o.BaseURL, "/"),
		region:       o.Region,
		batchTimeout: o.BatchTimeout,
		pace:         o.Pace,
		paceHeavy:    o.PaceHeavy,
		slots:        make(chan struct{}, o.Concurrency),
		heavy:        make(chan struct{}, maxHeavy),
	}
	c.rest.HTTP = o.HTTP
	c.rest.Timeout = o.Timeout
	c.rest.Observe = o.Observe
	c.rest.Fence = o.Fence
	c.tokens = newTokens(o)
	return c
}

// Identity is the organisation's number. Asking for it takes a scope of its
// own, which a token may lack.
func (c *Client) Identity(ctx context.Context) ([]string, error) {
	a, err := c.do(ctx, call{method: http.MethodGet, path: "org"})
	silent := &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: "Zoho does not tell the organisation's number"}
	switch {
	case err == nil:
	case err.Code == scopeMismatch:
		silent.Reason = "the token lacks the scope ZohoCRM.org.READ"
		return nil, silent
	case untold(err):
		silent.Reason = err.Reason
		return nil, silent
	default:
		return nil, err
	}
	var org struct {
		ZGID value `json:"zgid"`
		ID   value `json:"id"`
		Type value `json:"type"`
	}
	if len(a.Org) != 1 || json.Unmarshal(a.Org[0], &org) != nil {
		return nil, silent
	}
	number := cmp.Or(id(org.ZGID), id(org.ID))
	if number == "" {
		return nil, silent
	}
	if org.Type == "sandbox" {
		// Whether it has a number of its own is not documented.
		number += "-sandbox"
	}
	return []string{number}, nil
}

// Setup compares the organisation with what crmsync needs and with fix creates
// what is missing. It may be repeated, also by several replicas at once.
func (c *Client) Setup(ctx context.Context, fields []connectors.Field, fix bool) ([]connectors.Finding, error) {
	s := setup{client: c, fix: fix, schema: &schema{read: time.Now()}}
	if err := s.contacts(ctx, fields); err != nil {
		return nil, err
	}
	if err := s.messages(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.schema = s.schema
	c.mu.Unlock()
	return s.findings, nil
}

// WriteContacts creates or updates one record per change. The order is that of
// who may hold a key: records that are known are written first, because that
// can free a key; then people are looked for by key and phone and written by
// id; what is left is upserted by key, which creates it at most once.
func (c *Client) WriteContacts(ctx context.Context, changes []connectors.ContactChange) []connectors.Result {
	w := writing{client: c, results: make([]connectors.Result, len(changes))}
	rows := w.rows(ctx, changes)

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
	again := w.updateMatched(ctx, found)
	found, rest := w.match(ctx, again, append(known, found...))
	w.update(ctx, found)

	w.upsert(ctx, append(open, rest...))
	w.tag(ctx, rows)
	return w.results
}

// FindMessages looks for messages by their unique field, or where the
// organisation has no such module in the contact's notes.
func (c *Client) FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).find)
}

// CreateMessages logs messages. In a module of their own that can be repeated,
// as notes not.
func (c *Client) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).create)
}

// UpdateMessages writes text and status of messages that were logged before.
func (c *Client) UpdateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	return c.eachMessage(ctx, changes, (*logging).update)
}

// Limits are those of Zoho's batches. In a module of their own messages have a
// key that Zoho itself keeps unique, so looking early is harmless.
func (c *Client) Limits() connectors.Limits {
	l := connectors.Limits{Contacts: perBatch, Messages: perBatch, MessageCalls: 3, LookAfter: 5 * time.Second}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schema != nil && c.schema.module != nil && (c.tasks == nil || *c.tasks != "") {
		l.LookAfter = time.Second
	}
	return l
}
