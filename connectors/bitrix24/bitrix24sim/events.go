package bitrix24sim

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// change is what one record went through in the call under way.
type change struct {
	event string
	id    int64
	// by is the application which asked for it, user the person.
	app  bool
	user int64
	// connector is the source which the caller gave for the offline queue.
	connector string
}

// changed notes a change for those who listen. It needs s.mu, as flush does.
func (s *Server) changed(event string, id int64, c *call) {
	ch := change{event: event, id: id, user: s.opts.UserID}
	if c != nil {
		ch.app, ch.user = c.who.app, c.who.user
		v, _ := c.p.either("auth_connector")
		ch.connector = str(v)
	}
	s.outbox = append(s.outbox, ch)
	s.enqueue(ch)
}

// flush turns what was changed into events on their way.
func (s *Server) flush() []notice {
	changes := s.outbox
	s.outbox = nil
	var mail []notice
	for _, ch := range changes {
		if s.opts.EventURL != "" && strings.HasPrefix(ch.event, "ONCRMCONTACT") {
			mail = s.mail(mail, s.opts.EventURL, s.wire(ch, 12, nil))
		}
		for n, b := range s.bindings {
			if b.event == ch.event && !b.offline {
				mail = s.mail(mail, b.handler, s.wire(ch, 100+n, &b))
			}
		}
	}
	return mail
}

func (s *Server) mail(mail []notice, to, body string) []notice {
	if s.knobs.DropEvents > 0 && s.rand.Float64() < s.knobs.DropEvents {
		return mail
	}
	n := notice{url: to, body: body, due: time.Now().Add(time.Duration(s.knobs.EventDelayMS) * time.Millisecond)}
	n.swap = s.knobs.ReorderEvents && s.sent%2 == 0
	s.sent++
	mail = append(mail, n)
	if s.knobs.DuplicateEvents > 0 && s.rand.Float64() < s.knobs.DuplicateEvents {
		n.swap = false
		mail = append(mail, n)
	}
	return mail
}

// wire writes an event in the order in which they were seen to come: all
// strings, brackets in percents. An outgoing webhook has no tokens in auth.
// Bitrix24: events, safe event handlers.
func (s *Server) wire(ch change, handler int, bound *binding) string {
	var b strings.Builder
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value))
	}
	// The time is that of sending, not of the change.
	now := s.Now().Add(time.Duration(s.knobs.EventDelayMS) * time.Millisecond)
	add("event", ch.event)
	if bound != nil || !s.knobs.NoHandlerID {
		add("event_handler_id", strconv.Itoa(handler))
	}
	add("data[FIELDS][ID]", strconv.FormatInt(ch.id, 10))
	add("ts", strconv.FormatInt(now.Unix(), 10))
	if bound != nil {
		add("auth[access_token]", s.issue(bound.userOr(ch.user)))
		add("auth[expires]", strconv.FormatInt(now.Add(tokenLife).Unix(), 10))
		add("auth[expires_in]", strconv.Itoa(int(tokenLife.Seconds())))
		add("auth[scope]", strings.Join(s.opts.Scopes, ","))
	}
	add("auth[domain]", s.opts.Domain)
	server := "https://oauth.bitrix24.tech/rest/"
	client := "https://" + s.opts.Domain + "/rest/"
	if bound == nil {
		add("auth[client_endpoint]", client)
		add("auth[server_endpoint]", server)
	} else {
		add("auth[server_endpoint]", server)
		add("auth[status]", "L")
		add("auth[client_endpoint]", client)
	}
	add("auth[member_id]", s.opts.MemberID)
	if bound != nil {
		add("auth[user_id]", strconv.FormatInt(bound.userOr(ch.user), 10))
	}
	token := s.opts.ApplicationToken
	if s.knobs.WrongApplicationToken {
		token = "00000000000000000000000000000000"
	}
	add("auth[application_token]", token)
	return b.String()
}
