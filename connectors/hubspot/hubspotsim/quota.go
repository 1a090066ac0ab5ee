package hubspotsim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
)

// Limits are an account's figures. Zero fields take the free tier's.
// HubSpot: usage guidelines.
type Limits struct {
	// TenSeconds bounds the calls of one static token in any ten seconds.
	TenSeconds int
	// OAuthTenSeconds is the same for OAuth tokens together.
	OAuthTenSeconds int
	// Daily bounds the calls of all static tokens until midnight.
	Daily int
	// SearchSecond bounds the account's searches in any second.
	SearchSecond int
	// AssociationsTenSeconds and AssociationsDaily bound the association
	// endpoints, which the first figure leaves out.
	AssociationsTenSeconds, AssociationsDaily int
}

func (l Limits) orDefault() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.TenSeconds, 100},
		{&l.OAuthTenSeconds, 110},
		{&l.Daily, 250000},
		{&l.SearchSecond, 5},
		{&l.AssociationsTenSeconds, 100},
		{&l.AssociationsDaily, 500000},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// Professional are the limits of the professional tier.
func Professional() Limits {
	return Limits{TenSeconds: 190, Daily: 625000, AssociationsTenSeconds: 150}
}

// quota is what has been used.
type quota struct {
	apps         map[string]*app
	search       window
	associations window
	day          time.Time
	daily, links int
}

type app struct{ calls window }

// window is a rolling one: the calls accepted in the last span.
type window struct{ at []time.Time }

// room reports how many more calls fit.
func (w *window) room(now time.Time, span time.Duration, limit int) int {
	old := 0
	for old < len(w.at) && now.Sub(w.at[old]) >= span {
		old++
	}
	w.at = w.at[old:]
	return limit - len(w.at)
}

func (w *window) spend(now time.Time) { w.at = append(w.at, now) }

// spend takes a call from the quota, or says which limit is reached. A
// refused call uses up nothing.
func (s *Server) spend(w http.ResponseWriter, c *call) *refusal {
	f, throttle := s.faults.Active(c.Request, faults.Throttle)
	s.mu.Lock()
	defer s.mu.Unlock()
	var refused *refusal
	switch {
	case throttle && c.searches():
		refused = s.secondly()
	case throttle:
		refused = s.tenSecondly()
	case s.opts.Quota == "off":
	case c.associates():
		refused = s.spendAssociation()
	default:
		refused = s.spendCall(w.Header(), c)
	}
	if refused == nil {
		return nil
	}
	s.throttled++
	switch {
	case f.RetryAfter != "":
		refused.header = http.Header{"Retry-After": {f.RetryAfter}}
	case s.opts.RetryAfter:
		refused.header = http.Header{"Retry-After": {"10"}}
	}
	return refused
}

func (c *call) searches() bool {
	return c.family == "objects" && len(c.rest) == 2 && c.rest[1] == "search"
}

func (c *call) associates() bool {
	return c.family == "associations" || c.family == "objects" && len(c.rest) > 2 && c.rest[2] == "associations"
}

// spendCall is for all but association calls. HubSpot: searches are left out
// of the ten-second window, and their answers carry none of the headers.
func (s *Server) spendCall(h http.Header, c *call) *refusal {
	now, limits := s.Now(), s.opts.Limits
	s.turnDay(now)
	a := s.quota.apps[c.token.name]
	if a == nil {
		a = &app{}
		s.quota.apps[c.token.name] = a
	}
	limit := limits.TenSeconds
	if c.token.oauth {
		limit = limits.OAuthTenSeconds
	}
	room := a.calls.room(now, 10*time.Second, limit)
	var refused *refusal
	switch {
	case !c.token.oauth && s.quota.daily >= limits.Daily:
		refused = s.dailyLimit()
	case c.searches() && s.quota.search.room(now, time.Second, limits.SearchSecond) <= 0:
		refused = s.secondly()
	case !c.searches() && room <= 0:
		refused = s.tenSecondly()
	}
	if refused == nil {
		if !c.token.oauth {
			s.quota.daily++
		}
		if c.searches() {
			s.quota.search.spend(now)
		} else {
			a.calls.spend(now)
			room--
		}
	}
	if c.searches() {
		return refused
	}
	second := 0
	for n := len(a.calls.at) - 1; n >= 0 && now.Sub(a.calls.at[n]) < time.Second; n-- {
		second++
	}
	set := func(name string, value int) { h.Set("X-HubSpot-RateLimit-"+name, strconv.Itoa(max(value, 0))) }
	set("Max", limit)
	set("Remaining", room)
	set("Interval-Milliseconds", 10000)
	set("Secondly", limit/10)
	set("Secondly-Remaining", limit/10-second)
	if !c.token.oauth {
		set("Daily", limits.Daily)
		set("Daily-Remaining", limits.Daily-s.quota.daily)
	}
	return refused
}

func (s *Server) spendAssociation() *refusal {
	now, limits := s.Now(), s.opts.Limits
	s.turnDay(now)
	switch {
	case s.quota.links >= limits.AssociationsDaily:
		return s.dailyLimit()
	case s.quota.associations.room(now, 10*time.Second, limits.AssociationsTenSeconds) <= 0:
		return s.tenSecondly()
	}
	s.quota.links++
	s.quota.associations.spend(now)
	return nil
}

// turnDay starts the counters anew at the account's midnight.
func (s *Server) turnDay(now time.Time) {
	y, m, d := now.In(s.opts.Location).Date()
	if today := time.Date(y, m, d, 0, 0, 0, 0, s.opts.Location); !today.Equal(s.quota.day) {
		s.quota.day, s.quota.daily, s.quota.links = today, 0, 0
	}
}

func (s *Server) rate(policy, group string) *refusal {
	r := refuse(http.StatusTooManyRequests, "", "You have reached your %s limit.", strings.ToLower(policy))
	r.ErrorType, r.PolicyName = "RATE_LIMIT", policy
	if group != "" {
		r.GroupName = fmt.Sprintf("publicapi:%s:%d:%d", group, s.opts.PortalID, s.opts.AppID)
	}
	return r
}

func (s *Server) tenSecondly() *refusal {
	return s.rate("TEN_SECONDLY_ROLLING", "private_app-api-calls-ten-secondly")
}

// secondly is worded in either of the two ways seen, by chance.
func (s *Server) secondly() *refusal {
	if s.rand.IntN(2) == 0 {
		return refuse(http.StatusTooManyRequests, "RATE_LIMITS", "You have reached your secondly limit.")
	}
	return s.rate("SECONDLY", "crm:search:oauth")
}

func (s *Server) dailyLimit() *refusal {
	r := s.rate("DAILY", "")
	r.RequestID = fmt.Sprintf("%016x", s.rand.Uint64())
	return r
}
