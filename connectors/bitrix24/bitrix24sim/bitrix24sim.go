// Package bitrix24sim simulates the part of Bitrix24's REST API that keeps contacts and conversations.
package bitrix24sim

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// Options of a Server. The zero value is a portal nobody can get into, at
// the documented limits.
type Options struct {
	// UserID and Secret are those of an inbound webhook. UserID defaults to 7.
	UserID int64
	Secret string
	// Scopes are what the webhook and the application were granted. Defaults
	// to all there are.
	Scopes []string
	// Domain is the portal's. Defaults to "acme.bitrix24.com".
	Domain string
	// MemberID and ApplicationToken are sent along with events. MemberID
	// defaults to 32 hexadecimal digits.
	MemberID, ApplicationToken string
	// ClientID, ClientSecret and RefreshToken are what /oauth/token/ accepts.
	ClientID, ClientSecret, RefreshToken string
	// EventURL receives the events of an outgoing webhook on contacts.
	EventURL string

	// Quota is "documented" or "off". Defaults to "documented".
	Quota string
	// Limits are the portal's figures. Defaults to those of the cloud.
	Limits Limits
	// OperatingCost is the operating time of a command. Defaults to 8 ms.
	OperatingCost time.Duration
	// LatencyMin and LatencyMax bound the service time of each call.
	LatencyMin, LatencyMax time.Duration
	// Clock defaults to time.Now.
	Clock func() time.Time
	// Seed makes chance repeatable. Defaults to 1.
	Seed uint64
	// Offset is the portal's time zone. Defaults to +03:00.
	Offset *time.Location
	// LegacyStatuses answers with the statuses of before August 2026, such as
	// 403 to wrong credentials.
	LegacyStatuses bool

	Knobs
}

// Server is one simulated portal, an http.Handler for Bitrix24's own paths,
// the authorization server's, and the control plane under /_sim/.
type Server struct {
	opts    Options
	faults  *faults.Injector
	handler http.Handler
	post    *courier

	// Clock is the portal's time.
	simcrm.Clock

	// mu guards all that follows. The faults and the courier have locks of
	// their own, taken last.
	mu     sync.Mutex
	knobs  Knobs
	quota  quota
	people store
	// outbox is what the call under way has changed.
	outbox                  []change
	sent                    int64
	seeded                  int
	tokens                  tokens
	activities              activities
	tasks                   tasks
	offline                 []offlineRow
	nextOffline             int64
	bindings                []binding
	timeline                timeline
	drive                   drive
	log                     log
	userFields              []*field
	byName, byItem          map[string]*field
	nextUserField, nextEnum int64
	// lastPage is what a list answered last, for page_repeat.
	lastPage  []any
	rand      *rand.Rand
	writes    int64
	throttled int64
}

// New returns a portal with a few users and no contacts.
func New(o Options) *Server {
	if o.UserID == 0 {
		o.UserID = 7
	}
	if o.Domain == "" {
		o.Domain = "acme.bitrix24.com"
	}
	if o.MemberID == "" {
		o.MemberID = "0123456789abcdef0123456789abcdef"
	}
	if o.OperatingCost == 0 {
		o.OperatingCost = 8 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Offset == nil {
		o.Offset = time.FixedZone("", 3*60*60)
	}
	if o.Scopes == nil {
		o.Scopes = allScopes
	}
	o.Limits = o.Limits.orDefault()
	s := &Server{
		Clock: simcrm.Clock{Start: o.Clock},
		opts:  o, knobs: o.Knobs, rand: rand.New(rand.NewPCG(o.Seed, 13)), post: newCourier(),
		quota: quota{buckets: map[string]*bucket{}, operating: map[string]*budget{}},
	}
	s.nextEnum = 100
	s.people = newStore()
	s.timeline = timeline{byID: map[int64]*comment{}, byOwner: map[int64][]*comment{}, nextID: 5000}
	s.activities = activities{byID: map[int64]*activity{}, byOwner: map[int64][]*activity{}, byOrigin: map[string][]*activity{}, nextID: 7000}
	s.tasks = tasks{byID: map[int64]*task{}, nextID: 9_000_000}
	s.tokens = tokens{access: map[string]grant{}, refresh: o.RefreshToken, refreshEnd: s.Now().Add(refreshLife)}
	s.log = log{all: map[int64]*message{}, byWAMID: map[string][]*message{}}
	s.nameFields()
	s.faults = faults.New(faults.Options{
		Now: s.Now, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax, Seed: o.Seed, Outage: s.outage,
	})
	s.handler = s.faults.Wrap(http.HandlerFunc(s.route))
	return s
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends what the server does by itself, lets go of answers held back and
// drops events not yet delivered. It may be called once.
func (s *Server) Close() {
	s.faults.Close()
	s.post.close()
}

// Faults is where faults are asked for in Go.
func (s *Server) Faults() *faults.Injector { return s.faults }

// SetEventURL changes where the outgoing webhook leads.
func (s *Server) SetEventURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.EventURL = url
}
