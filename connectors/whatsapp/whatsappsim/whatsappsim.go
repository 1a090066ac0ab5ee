// Package whatsappsim simulates the WhatsApp Cloud API: it answers Graph calls
// and emits signed webhooks as Meta does.
package whatsappsim

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// Options describe the simulated number, its app and how Meta behaves. The
// zero value is a working number at the documented limits.
type Options struct {
	// AppSecret signs webhooks. It is neither the access token nor the verify token.
	AppSecret string
	// VerifyToken is what the handshake presents to the callback.
	VerifyToken string
	// Token is a system user's token with both WhatsApp permissions.
	Token         string
	AppID         string
	PhoneNumberID string
	// DisplayPhone is the business number, with or without punctuation.
	DisplayPhone string
	VerifiedName string
	WABAID       string
	// GraphVersion is the version of calls without one, and the one that
	// decides whether statuses carry a conversation. Defaults to v24.0.
	GraphVersion string
	// BaseURL is where the simulator listens. With it, media in webhooks carry
	// a url, as they do since November 2025.
	BaseURL string

	// Clock dates events. Pauses and delays always use the runtime's timers,
	// which a testing/synctest bubble makes fake. Defaults to time.Now. What is
	// added to it through the control plane concerns dates only.
	Clock func() time.Time
	// Seed makes shuffling and duplication repeatable. Defaults to 1.
	Seed uint64
	// Client posts webhooks. Redirects must not be followed. Defaults to a
	// client whose pool is as wide as Concurrency.
	Client *http.Client

	// Compress divides every pause of the retry schedule, and its seven days.
	// Defaults to 1.
	Compress float64
	// Timeout is how long the receiver may take. Defaults to 5 s; Meta
	// publishes no figure.
	Timeout time.Duration
	// Concurrency bounds the posts in flight. Defaults to 128.
	Concurrency int
	// Batch is the largest number of updates in one post, up to 1000.
	// Defaults to 1: every update travels alone.
	Batch int
	// BatchWait is how long a batch gathers. Defaults to 50 ms.
	BatchWait time.Duration
	// Shuffle and Duplicate are probabilities per webhook.
	Shuffle, Duplicate float64
	// WideEscapes also escapes / < % and @, as older Graph wording lists.
	WideEscapes bool
	// Fields are the webhook fields subscribed at app level. Nil means all.
	Fields []string
	// Unsubscribed starts with the app absent from the WABA's
	// subscribed_apps: nothing arrives until it is posted there.
	Unsubscribed bool

	// Delays of a message's statuses, counted from its acceptance.
	Delays Delays
	// StatusContacts adds contacts to status webhooks.
	StatusContacts bool

	// LatencyMin and LatencyMax bound the service time of each Graph call.
	LatencyMin, LatencyMax time.Duration
	// Unlimited switches every quota off.
	Unlimited bool
	// Throughput is the number's messages per second, in and out together.
	// Defaults to 80.
	Throughput int
	// MessagingLimit is the number of unique people who can be written to
	// outside their window in 24 hours. Defaults to no limit.
	MessagingLimit int
	// ManagementPerHour defaults to 5000. It is 200 at most while the number is
	// not registered.
	ManagementPerHour int

	// Templates is the WABA's catalogue. Nil means DefaultTemplates.
	Templates []Template
	// ReviewAfter is how long a new template stays PENDING. Defaults to 1 s.
	ReviewAfter time.Duration
	// TestRecipients, when not nil, makes this a test number which may write
	// to these phones only, of which five count.
	TestRecipients []string
	// RestrictedCountries are dialling codes that answer 130497. Nil means
	// Iran, North Korea, Cuba and Syria.
	RestrictedCountries []string
	// PrependCountry puts the business number's country code in front of a
	// recipient written without +, which Meta says it may do.
	PrependCountry bool
	// RefuseOutsideWindow refuses free-form messages outside the customer
	// service window at once. By default they are accepted and then fail
	// with 131047 by webhook.
	RefuseOutsideWindow bool
	// ReactionsOpenNothing leaves the window as it is when a user reacts to a
	// message. By default a reaction opens it, as any message does.
	ReactionsOpenNothing bool

	// Media are the forms of what is told of a file.
	Media MediaForms
	// Codes are the answers that Meta does not document.
	Codes Codes
}

// Delays say when each status follows the acceptance of a message. A negative
// delay means that the status never comes.
type Delays struct {
	Sent, Delivered, Read, Played time.Duration
}

// Codes choose between error codes which are all reported from the field.
type Codes struct {
	NoToken        int // 190 (default) or 104
	InvalidTo      int // 131009 (default) or 100
	UnknownRead    int // 100 (default) or 131009
	UnknownRoute   int // 2500 (default) or 100
	UnknownObject  int // in management calls: 803 (default) or 100
	NoProduct      int // 100 (default) or 131008
	TemplateText   int // 132018 (default), 132000 or 100
	MessagingLimit int // 131048 (default) or 130429
	Usage          int // 80007 (default), the account's, or 4, the app's
	UsageHTTP      int // 400 (default) or 429
}

// Server is the simulated Cloud API with one number of one WABA. It serves
// Graph paths and, under /_sim/, its control plane.
type Server struct {
	opt     Options
	clock   simcrm.Clock
	faults  *faults.Injector
	handler http.Handler
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	slots   chan struct{}

	mu        sync.Mutex
	closed    bool
	timers    map[*time.Timer]struct{}
	rng       *rand.Rand
	apps      []App
	overrides struct{ waba, number callback }
	joined    bool // the app is in subscribed_apps
	tokens    map[string]Token
	people    map[string]*Person // by wa_id and by user id
	met       []*Person          // each once
	messages  messageLog
	templates []*Template
	media     map[string]*medium
	mediaIDs  []string // oldest first
	number    numberState
	limits    limits
	batch     batch
	hooks     hookLog
	stats     Stats
}

// New returns a simulator. Webhooks are dropped until SetCallback.
func New(opt Options) *Server {
	opt.AppSecret = cmp.Or(opt.AppSecret, "simulated-app-secret")
	opt.VerifyToken = cmp.Or(opt.VerifyToken, "simulated-verify-token")
	opt.Token = cmp.Or(opt.Token, "simulated-whatsapp-token")
	opt.AppID = cmp.Or(opt.AppID, "700600500400300")
	opt.PhoneNumberID = cmp.Or(opt.PhoneNumberID, "200100300400500")
	opt.DisplayPhone = cmp.Or(opt.DisplayPhone, "+39 02 1234 5678")
	opt.VerifiedName = cmp.Or(opt.VerifiedName, "Bianchi Srl")
	opt.WABAID = cmp.Or(opt.WABAID, "102290129340398")
	opt.GraphVersion = cmp.Or(opt.GraphVersion, "v24.0")
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	opt.Seed = cmp.Or(opt.Seed, 1)
	opt.Compress = cmp.Or(opt.Compress, 1)
	opt.Timeout = cmp.Or(opt.Timeout, 5*time.Second)
	opt.Concurrency = cmp.Or(opt.Concurrency, 128)
	opt.Batch = min(max(opt.Batch, 1), maxUpdates)
	opt.BatchWait = cmp.Or(opt.BatchWait, 50*time.Millisecond)
	opt.Delays.Sent = cmp.Or(opt.Delays.Sent, 100*time.Millisecond)
	opt.Delays.Delivered = cmp.Or(opt.Delays.Delivered, 400*time.Millisecond)
	opt.Delays.Read = cmp.Or(opt.Delays.Read, 1500*time.Millisecond)
	opt.Delays.Played = cmp.Or(opt.Delays.Played, 2*time.Second)
	opt.Throughput = cmp.Or(opt.Throughput, 80)
	opt.ManagementPerHour = cmp.Or(opt.ManagementPerHour, 5000)
	opt.ReviewAfter = cmp.Or(opt.ReviewAfter, time.Second)
	if opt.Templates == nil {
		opt.Templates = DefaultTemplates()
	}
	if opt.RestrictedCountries == nil {
		opt.RestrictedCountries = []string{"98", "850", "53", "963"}
	}
	opt.TestRecipients = opt.TestRecipients[:min(maxTestRecipients, len(opt.TestRecipients))]
	opt.Media.WebhookSHA256 = cmp.Or(opt.Media.WebhookSHA256, "base64")
	opt.Media.AnswerSHA256 = cmp.Or(opt.Media.AnswerSHA256, "hex")
	opt.Codes.NoToken = cmp.Or(opt.Codes.NoToken, 190)
	opt.Codes.InvalidTo = cmp.Or(opt.Codes.InvalidTo, 131009)
	opt.Codes.UnknownRead = cmp.Or(opt.Codes.UnknownRead, 100)
	opt.Codes.UnknownRoute = cmp.Or(opt.Codes.UnknownRoute, 2500)
	opt.Codes.UnknownObject = cmp.Or(opt.Codes.UnknownObject, 803)
	opt.Codes.NoProduct = cmp.Or(opt.Codes.NoProduct, 100)
	opt.Codes.TemplateText = cmp.Or(opt.Codes.TemplateText, 132018)
	opt.Codes.MessagingLimit = cmp.Or(opt.Codes.MessagingLimit, 131048)
	opt.Codes.Usage = cmp.Or(opt.Codes.Usage, 80007)
	opt.Codes.UsageHTTP = cmp.Or(opt.Codes.UsageHTTP, http.StatusBadRequest)
	if opt.Client == nil {
		opt.Client = newClient(opt.Concurrency)
	}

	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		opt:    opt,
		clock:  simcrm.Clock{Start: opt.Clock},
		ctx:    ctx,
		cancel: cancel,
		slots:  make(chan struct{}, opt.Concurrency),
		timers: map[*time.Timer]struct{}{},
		rng:    rand.New(rand.NewPCG(opt.Seed, opt.Seed)),
		joined: !opt.Unsubscribed,
		tokens: map[string]Token{opt.Token: {
			Scopes: []string{scopeManagement, scopeMessaging},
			Issued: opt.Clock(),
		}},
		people: map[string]*Person{},
		media:  map[string]*medium{},
		number: numberState{registered: true, onboarded: opt.Clock()},
	}
	s.limits.init(opt)
	for _, t := range opt.Templates {
		s.addTemplate(t)
	}
	s.faults = faults.New(faults.Options{
		LatencyMin: opt.LatencyMin, LatencyMax: opt.LatencyMax, Seed: opt.Seed, Outage: s.outage, Codes: true,
		Without: []faults.Mode{faults.RefreshLost, faults.PageEmpty, faults.PageRepeat, faults.PageHalf},
	})
	s.handler = s.faults.Wrap(s.routes())
	return s
}

// ServeHTTP answers Graph calls and the control plane.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handler.ServeHTTP(w, r)
}

// Close drops what was not delivered yet, stops all timers and waits for the
// posts in flight.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for t := range s.timers {
		t.Stop()
	}
	clear(s.timers)
	s.mu.Unlock()
	s.cancel()
	s.faults.Close()
	s.running.Wait()
	s.opt.Client.CloseIdleConnections()
	return nil
}

// after runs f once in its own goroutine unless the server is closed first.
func (s *Server) after(d time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.mu.Lock()
		delete(s.timers, t)
		if s.closed {
			s.mu.Unlock()
			return
		}
		s.running.Add(1)
		s.mu.Unlock()
		defer s.running.Done()
		f()
	})
	s.timers[t] = struct{}{}
}

func (s *Server) now() time.Time { return s.clock.Now() }

// chance reports true with probability p.
func (s *Server) chance(p float64) bool {
	if p <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < p
}
