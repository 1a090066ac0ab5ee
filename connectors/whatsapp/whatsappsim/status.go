package whatsappsim

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// begin starts the life of an accepted message: sent, delivered, read, by
// webhook. Cloud API guide: the order is not guaranteed, read may come without
// delivered, and a message whose time to live ends gets no further status.
func (s *Server) begin(m outgoing) {
	d := s.opt.Delays
	sent, delivered, read := d.Sent, d.Delivered, d.Read
	const never = -1

	if code := s.doom(m); code != 0 {
		s.plan(sent, func() { s.fail(m, code) })
		return
	}
	switch m.to.Fate {
	case FateUnread:
		read = never
	case FateReadOnly:
		delivered = never
	case FateDeliveredFirst:
		sent, delivered = delivered, sent
	case FateSilent, FateFailsLater:
		delivered, read = never, never
		if m.to.Fate == FateFailsLater {
			s.plan(d.Delivered, func() { s.fail(m, 131026) })
		}
	case FateEarly:
		ctx, cancel := context.WithTimeout(s.ctx, s.opt.Timeout)
		_, _ = s.status(m, "sent").wait(ctx)
		cancel()
		sent = never
	}
	s.plan(sent, func() { s.status(m, "sent") })
	s.plan(delivered, func() { s.status(m, "delivered") })
	s.plan(read, func() { s.status(m, "read") })
	if m.voice {
		s.plan(d.Played, func() { s.status(m, "played") })
	}
}

func (s *Server) plan(delay time.Duration, f func()) {
	if delay >= 0 {
		s.after(delay, f)
	}
}

// doom returns why an accepted message will fail, 0 if it will not.
func (s *Server) doom(m outgoing) int {
	marketing := m.category == "marketing"
	switch {
	case m.to.Fate == FateNotOnWhatsApp, m.to.Fate == FateUnreachable:
		return 131026
	case m.to.Fate == FateMedia, m.broken:
		return 131053
	case marketing && (m.to.stopped || m.to.Fate == FateStopped):
		return 131050
	case marketing && m.to.Fate == FateExperiment:
		return 130472
	case marketing && (m.to.Fate == FateCapped || american(m.to.WaID)):
		// Marketing to US numbers is not delivered since April 2025.
		return 131049
	case m.kind != "template" && !m.inWindow:
		return 131047
	}
	return 0
}

// american says whether a number is of the United States. Canada and the
// Caribbean share +1, by area code; the commonest of theirs are left out.
var notAmerican = regexp.MustCompile(`^1(204|226|236|242|246|250|264|268|284|289|306|340|343|345|365|403|416|418|431|437|438|441|450|473|506|514|519|548|579|581|587|604|613|639|647|649|664|705|709|721|758|767|778|780|782|784|787|807|809|819|825|829|849|867|868|869|873|876|902|905|939)`)

func american(waID string) bool {
	return len(waID) == 11 && strings.HasPrefix(waID, "1") && !notAmerican.MatchString(waID)
}

func (s *Server) status(m outgoing, word string) *delivery {
	now := s.now()
	st := m.event(word, now)
	// Pricing is on sent and on exactly one of delivered and read.
	if word == "sent" || word == "delivered" || word == "read" && (m.to.Fate == FateReadOnly || s.opt.Delays.Delivered < 0) {
		kind := "regular"
		if m.free {
			kind = "free_customer_service"
		}
		if m.freeEntry(now) {
			kind = "free_entry_point"
		}
		st["pricing"] = map[string]any{"billable": !m.free, "pricing_model": "PMP", "type": kind, "category": m.category}
	}
	// From v24.0 on the conversation is left out except in a free entry point
	// window; before that its id is unique per message.
	if old := major(m.version) <= 23; old || m.freeEntry(now) {
		origin := m.category
		expires := now.Add(window)
		if m.freeEntry(now) {
			origin, expires = "referral_conversion", m.to.freeEntryUntil
		}
		c := map[string]any{"id": digest(m.id), "origin": map[string]any{"type": origin}}
		if word == "sent" {
			c["expiration_timestamp"] = strconv.FormatInt(expires.Unix(), 10)
		}
		st["conversation"] = c
	}
	if m.group == "" {
		if phone, ok := m.to.Phone.phone(m.to.WaID); ok {
			st["recipient_id"] = phone
		}
		set := func(key, id string) {
			if id != "" {
				st[key] = id
			}
		}
		set("recipient_user_id", m.to.UserID)
		set("recipient_parent_user_id", m.to.ParentUserID)
	} else {
		st["recipient_id"], st["recipient_type"] = m.group, "group"
	}
	return s.publishStatus(m, word, st, s.opt.StatusContacts)
}

// fail reports a message as failed. When it was addressed by phone there is
// neither a contact nor a user id.
func (s *Server) fail(m outgoing, code int) *delivery {
	st := m.event("failed", s.now())
	switch {
	case m.to.Fate == FateUnreachable:
	case m.bsuid:
		st["recipient_user_id"] = m.to.UserID
	default:
		st["recipient_id"] = m.to.WaID
	}
	st["errors"] = []any{map[string]any{
		"code": code, "title": title(code), "message": title(code),
		"error_data": map[string]any{"details": title(code)},
		"href":       "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
	}}
	return s.publishStatus(m, "failed", st, false)
}

// event is what every status has.
func (m outgoing) event(word string, at time.Time) map[string]any {
	st := map[string]any{"id": m.id, "status": word, "timestamp": strconv.FormatInt(at.Unix(), 10)}
	if m.callback != "" {
		st["biz_opaque_callback_data"] = m.callback
	}
	return st
}

func (s *Server) publishStatus(m outgoing, word string, st map[string]any, contacts bool) *delivery {
	s.mu.Lock()
	if known := s.messages.byID[m.id]; known != nil && rank(word) > rank(known.Status) {
		known.Status = word
	}
	s.mu.Unlock()
	value := s.value()
	value["statuses"] = []any{st}
	if contacts && m.group == "" {
		value["contacts"] = []any{m.to.contact()}
	}
	return s.publish(update{fieldMessages, value})
}

func rank(status string) int {
	switch status {
	case "sent":
		return 1
	case "delivered":
		return 2
	case "read":
		return 3
	case "played":
		return 4
	case "failed":
		return 5
	}
	return 0
}

// StatusEvent is a status that a test makes up.
type StatusEvent struct {
	WAMID  string `json:"wamid"`
	Status string `json:"status"`
	To     string `json:"to"`
	UserID string `json:"user_id"`
	// Code is the error of a failed status. Defaults to 131026.
	Code int `json:"code"`
	// Timestamp defaults to now.
	Timestamp any `json:"timestamp"`
	// Callback is biz_opaque_callback_data. Defaults to what the message was
	// sent with.
	Callback string `json:"biz_opaque_callback_data"`
}

// Status emits a status for any wamid, known or not, and returns the answer to
// the first attempt.
func (s *Server) Status(ctx context.Context, e StatusEvent) (int, error) {
	m := outgoing{id: e.WAMID, callback: e.Callback, category: "service", free: true, version: s.opt.GraphVersion}
	m.to = Person{WaID: digits(e.To), UserID: e.UserID}
	s.mu.Lock()
	if known := s.messages.byID[e.WAMID]; known != nil {
		set(&m.to.WaID, known.Phone)
		set(&m.callback, orElse(e.Callback, known.Callback))
	}
	s.mu.Unlock()
	st := m.event(e.Status, s.now())
	if e.Timestamp != nil {
		st["timestamp"] = e.Timestamp
	}
	if m.to.WaID != "" {
		st["recipient_id"] = m.to.WaID
	}
	if m.to.UserID != "" {
		st["recipient_user_id"] = m.to.UserID
	}
	if e.Status == "failed" {
		code := e.Code
		if code == 0 {
			code = 131026
		}
		st["errors"] = []any{map[string]any{"code": code, "title": title(code), "message": title(code)}}
	}
	return s.publishStatus(m, e.Status, st, false).wait(ctx)
}

// major is the number before the dot of a Graph version.
func major(version string) int {
	head, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, _ := strconv.Atoi(head)
	return n
}
