// Package zohosim simulates the part of Zoho CRM's API that keeps contacts and conversations.
package zohosim

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// Options of a Server. The zero value is an organisation nobody can get a
// token for, at the documented limits and without index lag.
type Options struct {
	// ClientID, ClientSecret and RefreshToken are what /oauth/v2/token
	// accepts. The token it gives is an administrator's and has every scope.
	ClientID, ClientSecret, RefreshToken string
	// Grants are further refresh tokens of the same client.
	Grants map[string]Grant
	// BaseURL is the api_domain that goes with a token. Defaults to the
	// address which the token was asked for at.
	BaseURL string

	// ZGID is the organisation's number. Defaults to 60012345678.
	ZGID string
	// Edition is free, standard, professional, enterprise or ultimate.
	// Defaults to enterprise.
	Edition string
	// Users is how many licences were bought. Defaults to 20.
	Users int
	// Quota is "documented" or "off", which also lifts the limit on
	// refreshes. Defaults to "documented".
	Quota string
	// Limits are the organisation's figures. Defaults to the edition's.
	Limits Limits
	// TimeZone is that of every user. Defaults to +05:30.
	TimeZone *time.Location

	// Lag makes the search index run behind by LagTime and up to half as much
	// again. LagTime defaults to 2 s.
	Lag     bool
	LagTime time.Duration
	// LatencyMin and LatencyMax bound the service time of each call.
	LatencyMin, LatencyMax time.Duration
	// Clock defaults to time.Now.
	Clock func() time.Time
	// Seed makes chance repeatable. Defaults to 1.
	Seed uint64

	// Knobs may be changed later, see SetKnobs.
	Knobs
}

// Grant is what a user agreed to when a refresh token was made.
type Grant struct {
	// Scopes are what was consented to; nil is everything.
	Scopes []string
	// Standard makes it the token of a user who is no administrator.
	Standard bool
}

// Server is one simulated organisation, an http.Handler for Zoho's token
// endpoint, for the CRM's own paths and for the control plane under /_sim/.
type Server struct {
	opts   Options
	faults *faults.Injector
	inner  http.Handler
	post   *courier

	// Clock is the organisation's time.
	simcrm.Clock

	// mu guards all that follows. The faults and the courier have locks of
	// their own, taken last.
	mu      sync.Mutex
	knobs   Knobs
	rand    *rand.Rand
	nextID  int64
	modules map[string]*module
	// order is that in which modules are listed.
	order    []*module
	users    []*user
	tokens   map[string]*token
	grants   map[string]*grant
	quota    quota
	index    simcrm.Index[*record, *state]
	channels map[string]*channel
	// outbox is what the call under way has changed.
	outbox []change
	// wamids finds live records by the WhatsApp message they log.
	wamids  map[string][]*record
	tasks   simcrm.Tally[*record]
	doubles int
	logged  int
	count   counters
	// attached are the files of records, the oldest first.
	attached map[*record][]*attachment
	byCall   map[string]int64
	seeded   int
	// lastRows is what COQL answered last, for page_repeat.
	lastRows []obj
}

// counters are those of Stats that have no other place.
type counters struct{ writes, throttled, refreshes, credits, workflows, notices int64 }

// firstID makes ids of 19 digits, which no float64 can hold.
const firstID = 5725767000000411001

// New returns an organisation with Zoho's standard modules, a few users and
// no records.
func New(o Options) *Server {
	if o.Edition == "" {
		o.Edition = "enterprise"
	}
	if o.ZGID == "" {
		o.ZGID = "60012345678"
	}
	if o.Users == 0 {
		o.Users = 20
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.TimeZone == nil {
		o.TimeZone = time.FixedZone("Asia/Kolkata", 5*60*60+30*60)
	}
	if o.LagTime == 0 {
		o.LagTime = 2 * time.Second
	}
	o.Limits = o.Limits.orDefault(o.Edition, o.Users)
	s := &Server{
		Clock: simcrm.Clock{Start: o.Clock},
		opts:  o, knobs: o.orDefault(), rand: rand.New(rand.NewPCG(o.Seed, 11)), nextID: firstID,
		modules: map[string]*module{}, users: defaultUsers(), tokens: map[string]*token{}, grants: map[string]*grant{},
		channels: map[string]*channel{}, wamids: map[string][]*record{}, byCall: map[string]int64{},
		attached: map[*record][]*attachment{},
	}
	s.index.Show = (*record).show
	s.post = newCourier()
	s.grant()
	s.standardModules()
	s.faults = faults.New(faults.Options{
		Now: s.Now, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax, Seed: o.Seed, Outage: s.outage,
	})
	s.inner = s.faults.Wrap(http.HandlerFunc(s.route))
	return s
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.arrive(w, r) }

// Close ends what the server does by itself, lets go of answers held back and
// drops notices not yet delivered. It may be called once.
func (s *Server) Close() {
	s.faults.Close()
	s.post.close()
}

// Faults is where faults are asked for in Go.
func (s *Server) Faults() *faults.Injector { return s.faults }

// newID needs s.mu.
func (s *Server) newID() int64 {
	s.nextID += 1 + s.rand.Int64N(7)
	return s.nextID
}
