package zohosim

import (
	"net/http"
	"strconv"
	"time"

	"crmsync/connectors/internal/faults"
)

// Limits are an organisation's figures. Zero fields take the edition's.
// Zoho: API limits.
type Limits struct {
	// Credits bound what may be spent in any 24 hours.
	Credits int
	// Concurrency bounds calls at the same time, Heavy those of them that
	// search, query, sort or write more than ten records.
	Concurrency, Heavy int
}

func (l Limits) orDefault(edition string, users int) Limits {
	base, each, most, together := 50000, 1000, 5000000, 20
	switch edition {
	case "free":
		base, each, most, together = 5000, 0, 5000, 5
	case "standard", "starter":
		each, most, together = 250, 100000, 10
	case "professional":
		each, most, together = 500, 3000000, 15
	case "ultimate":
		each, most, together = 2000, 1<<40, 25
	}
	if l.Credits == 0 {
		l.Credits = min(base+each*users, most)
	}
	if l.Concurrency == 0 {
		l.Concurrency = together
	}
	if l.Heavy == 0 {
		l.Heavy = 10
	}
	return l
}

// quota is what is in use.
type quota struct {
	// spent are the credits of the last 24 hours, second by second.
	spent []spending
	total int
	calls int
	heavy int
}

type spending struct {
	at      time.Time
	credits int
}

const day = 24 * time.Hour

// heavy reports whether a call counts against the smaller pool.
func (c *call) heavy(method string) bool {
	switch {
	case c.is("coql"), c.is("*/search"):
		return true
	case method == http.MethodGet:
		return len(c.path) == 1 && (c.q.Has("sort_by") || c.q.Has("cvid"))
	case method == http.MethodPost && (len(c.path) == 1 || c.is("*/upsert")), method == http.MethodPut && len(c.path) == 1:
		return c.path[0] != "settings" && c.rows > 10
	}
	return false
}

// enter takes a call's slots and returns what gives them back. A call that
// finds none is let in to be told so.
func (s *Server) enter(c *call, method string) func() {
	if s.opts.Quota == "off" {
		return func() {}
	}
	heavy := 0
	if c.heavy(method) {
		heavy = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quota.calls >= s.opts.Limits.Concurrency || s.quota.heavy+heavy > s.opts.Limits.Heavy {
		c.crowded = true
		return func() {}
	}
	s.quota.calls++
	s.quota.heavy += heavy
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.quota.calls--
		s.quota.heavy -= heavy
	}
}

// cost is what a call takes of the day's credits.
func (c *call) cost() int {
	tens := max((c.rows+9)/10, 1)
	switch {
	case c.is("coql"):
		switch {
		case c.query == nil || c.query.limit <= 200:
			return 1
		case c.query.limit <= 1000:
			return 2
		}
		return 3
	case c.is("*/deleted") && c.Method == http.MethodGet:
		return 2
	case c.is("settings/fields") && c.Method == http.MethodPost:
		return 10 * max(c.settingRows("fields"), 1)
	case c.is("settings/modules") && c.Method == http.MethodPost:
		return 500
	case c.path[0] == "settings" || c.path[0] == "actions":
		return 1
	case len(c.path) == 1 && c.Method == http.MethodGet && c.q.Has("cvid"):
		return 3
	case len(c.path) == 1 && (c.Method == http.MethodPost || c.Method == http.MethodPut), c.is("*/upsert"):
		return tens
	case c.is("*/actions/add_tags"), c.is("*/actions/remove_tags"):
		return max((c.rows+49)/50, 1)
	}
	return 1
}

func (c *call) settingRows(key string) int {
	var body map[string][]any
	_ = c.decode(&body)
	return len(body[key])
}

// spend takes a call's credits, or says that there are none. A refused call
// costs nothing.
func (s *Server) spend(h http.Header, c *call) *refusal {
	f, throttle := s.faults.Active(c.Request, faults.Throttle)
	s.mu.Lock()
	defer s.mu.Unlock()
	now, cost := s.Now(), c.cost()
	q := &s.quota
	for len(q.spent) > 0 && now.Sub(q.spent[0].at) >= day {
		q.total -= q.spent[0].credits
		q.spent = q.spent[1:]
	}
	off := s.opts.Quota == "off"
	if throttle || c.crowded || !off && q.total+cost > s.opts.Limits.Credits {
		s.count.throttled++
		refused := refuse(http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "too many requests. please try again after some time", nil)
		if f.RetryAfter != "" {
			refused.header = http.Header{"Retry-After": {f.RetryAfter}}
		}
		if !off {
			s.remaining(h)
		}
		return refused
	}
	s.count.credits += int64(cost)
	if off {
		return nil
	}
	q.total += cost
	if second := now.Truncate(time.Second); len(q.spent) > 0 && q.spent[len(q.spent)-1].at.Equal(second) {
		q.spent[len(q.spent)-1].credits += cost
	} else {
		q.spent = append(q.spent, spending{second, cost})
	}
	s.remaining(h)
	return nil
}

// remaining is told only once half of the credits are used.
func (s *Server) remaining(h http.Header) {
	if 2*s.quota.total >= s.opts.Limits.Credits {
		h.Set("X-Api-Credits-Remaining", strconv.Itoa(s.opts.Limits.Credits-s.quota.total))
	}
}

// worded gives a 429 the body that the knob says.
func (s *Server) worded(r *refusal) any {
	if r.status != http.StatusTooManyRequests {
		return r
	}
	switch s.Knobs().ThrottleBody {
	case "numeric":
		return obj{
			"code": 429, "error": "TOO_MANY_REQUESTS", "details": []any{},
			"error_info": "Many requests fired than the allowed limit for the past 24 hours.",
		}
	case "spec":
		return refuse(r.status, "RATE_LIMIT_EXCEEDED", r.Message, nil)
	}
	return r
}

// Limits are the organisation's figures as they are in force.
func (s *Server) Limits() Limits { return s.opts.Limits }
