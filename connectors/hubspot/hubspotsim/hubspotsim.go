// Package hubspotsim simulates the part of HubSpot's API that keeps contacts and conversations.
package hubspotsim

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// Options of a Server. The zero value is an account without a token, at the
// documented limits and without index lag.
type Options struct {
	// Token is the private app's or service key's token; it has every scope.
	Token string
	// Tokens are further static tokens and the scopes which each was granted.
	Tokens map[string][]string
	// ClientID, ClientSecret and RefreshToken are what /oauth/…/token accepts.
	ClientID, ClientSecret, RefreshToken string
	// RotateRefreshToken gives a new refresh token with every refresh.
	RotateRefreshToken bool
	// PortalID is the account's number. Defaults to 62515.
	PortalID int64
	// AppID is the integration's number. Defaults to 54321.
	AppID int64

	// Quota is "documented" or "off". Defaults to "documented".
	Quota string
	// Limits are the account's figures. Defaults to the free tier's.
	Limits Limits
	// RetryAfter makes 429 carry that header, which the vendor was not seen to do.
	RetryAfter bool
	// Location decides when the account's day begins. Defaults to UTC.
	Location *time.Location

	// Lag makes the search index run behind by LagTime and up to half as much
	// again. LagTime defaults to 5 s.
	Lag     bool
	LagTime time.Duration
	// LatencyMin and LatencyMax bound the service time of each call.
	LatencyMin, LatencyMax time.Duration
	// Clock defaults to time.Now.
	Clock func() time.Time
	// Seed makes chance repeatable. Defaults to 1.
	Seed uint64

	// WebhookURL is the app's target URL; ClientSecret signs what is sent there.
	// See SetWebhookURL.
	WebhookURL string

	// CustomCommunicationProperties is "allowed" or "refused". Defaults to
	// "allowed": no documentation says which it is.
	CustomCommunicationProperties string
	// CommunicationAttachments is "allowed" or "refused": whether messages have
	// the property hs_attachment_ids. Defaults to "allowed"; the guides have it
	// for notes, calls, emails, meetings and tasks and do not list it for messages.
	CommunicationAttachments string
	// EmailUpsertWithTraceIDs lets an upsert by email carry trace ids. HubSpot:
	// the guide on objects excludes it, and accounts were seen to refuse it.
	EmailUpsertWithTraceIDs bool
	// KeepPropertiesOnCapitalEmail switches off the loss of all other
	// properties when an upsert by an email with capitals creates a contact.
	KeepPropertiesOnCapitalEmail bool
	// SparseUpsertEcho answers upserts of contacts with calculated properties only.
	SparseUpsertEcho bool
	// SilentNoOp answers 200 with nothing in it to a batch without inputs.
	SilentNoOp bool
	// RequireName refuses contacts without email, firstname and lastname. The
	// guides contradict each other.
	RequireName bool
	// Rules are an administrator's, enforced from version 2026-09 on.
	Rules Rules

	// Knobs may be changed later, see SetKnobs.
	Knobs
}

// Rules are what an administrator made required.
type Rules struct {
	// OnCreate lists contact properties which every new contact needs.
	OnCreate    []string
	Conditional []Conditional
}

// Conditional requires properties of contacts in which another has a value.
type Conditional struct {
	Property, Value string
	Requires        []string
}

// Server is one simulated account, an http.Handler for HubSpot's own paths
// and for the control plane under /_sim/.
type Server struct {
	opts    Options
	faults  *faults.Injector
	handler http.Handler
	post    *courier

	// Clock is the account's time.
	simcrm.Clock

	// mu guards all that follows. The faults and the courier have locks of
	// their own, taken last.
	mu    sync.Mutex
	knobs Knobs
	rand  *rand.Rand
	// stores are by type id, such as "0-1".
	stores map[string]*store
	tasks  simcrm.Tally[*record]
	owners []owner
	tokens map[string]*token
	// refreshToken is the one valid now.
	refreshToken string
	quota        quota
	index        simcrm.Index[*record, *state]
	webhookURL   string
	// outbox is what the call under way has changed.
	outbox []event
	// latest and another are the newest event ids of two different contacts.
	latest, another numbered
	// subscriptions are the numbers of those that have sent something.
	subscriptions map[string]int64
	uploads       fileStore
	// blocked are email addresses, in lower case, that may never come back.
	blocked   map[string]bool
	writes    int64
	throttled int64
	seeded    int
}

// New returns an account with HubSpot's default properties, a few owners and
// no records.
func New(o Options) *Server {
	if o.PortalID == 0 {
		o.PortalID = 62515
	}
	if o.AppID == 0 {
		o.AppID = 54321
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.LagTime == 0 {
		o.LagTime = 5 * time.Second
	}
	o.Limits = o.Limits.orDefault()
	s := &Server{
		Clock: simcrm.Clock{Start: o.Clock},
		opts:  o, rand: rand.New(rand.NewPCG(o.Seed, 7)), webhookURL: o.WebhookURL, refreshToken: o.RefreshToken,
		tokens: map[string]*token{}, owners: defaultOwners(), quota: quota{apps: map[string]*app{}},
		knobs: o.orDefault(), subscriptions: map[string]int64{}, blocked: map[string]bool{},
	}
	s.post = s.newCourier()
	s.post.set(s.webhookURL, s.knobs)
	s.stores = map[string]*store{
		contactType:       newStore(contactType, "contact", "contacts", 101, contactProperties()),
		communicationType: newStore(communicationType, "communication", "communications", 5000000001, communicationProperties()),
		taskType:          newStore(taskType, "task", "tasks", 8000000001, taskProperties()),
	}
	if o.CommunicationAttachments == "refused" {
		delete(s.stores[communicationType].props, attachmentIDs)
	}
	s.uploads.nextID = 122_692_044_000
	s.index.Show = (*record).show
	s.grantStatic()
	s.faults = faults.New(faults.Options{
		Now: s.Now, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax, Seed: o.Seed, Outage: s.outage,
	})
	s.handler = s.faults.Wrap(http.HandlerFunc(s.route))
	return s
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends what the server does by itself, lets go of answers held back and
// drops webhooks not yet delivered. It may be called once.
func (s *Server) Close() {
	s.faults.Close()
	s.post.close()
}

// Faults is where faults are asked for in Go.
func (s *Server) Faults() *faults.Injector { return s.faults }

// SetWebhookURL changes the app's target URL. Without one nothing is sent, nor
// kept for later.
func (s *Server) SetWebhookURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhookURL = url
	s.post.set(url, s.knobs)
}

// Advance moves the account's time forward, and with it the webhooks that wait
// for another attempt.
func (s *Server) Advance(d time.Duration) {
	s.Clock.Advance(d)
	s.post.wake()
}

// now is kept in milliseconds, as HubSpot keeps it.
