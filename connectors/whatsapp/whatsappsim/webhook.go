package whatsappsim

import (
	"encoding/json"
	"strings"
	"time"
)

const (
	fieldMessages    = "messages"
	fieldPreferences = "user_preferences"
	fieldEchoes      = "smb_message_echoes"
	fieldUserID      = "user_id_update"
	fieldTemplate    = "message_template_status_update"
	fieldCategory    = "template_category_update"
	fieldCalls       = "calls"
)

// update is one change of a webhook: a field and its value.
type update struct {
	field string
	value map[string]any
}

// value returns what every value of a WhatsApp user's event begins with.
func (s *Server) value() map[string]any {
	return map[string]any{
		"messaging_product": "whatsapp",
		"metadata": map[string]any{
			"display_phone_number": digits(s.opt.DisplayPhone),
			"phone_number_id":      s.opt.PhoneNumberID,
		},
	}
}

// timed says whether entry.time comes with a field. Cloud API guide: account,
// template, phone and security fields have it, messages and the coexistence
// fields do not.
func timed(field string) bool {
	switch field {
	case fieldMessages, fieldPreferences, fieldEchoes, fieldUserID, fieldCalls, "history", "smb_app_state_sync":
		return false
	}
	return true
}

// document wraps updates in the envelope. Several updates are spread over
// several values, changes and entries, because a receiver can rely on neither
// of the three being single.
func (s *Server) document(updates []update) []byte {
	const perValue, perEntry = 3, 10
	type change struct {
		Value map[string]any `json:"value"`
		Field string         `json:"field"`
	}
	type entry struct {
		ID      string   `json:"id"`
		Time    int64    `json:"time,omitempty"`
		Changes []change `json:"changes"`
	}
	var entries []entry
	merged := 0
	for _, u := range updates {
		var time int64
		if timed(u.field) {
			time = s.now().Unix()
		}
		last := len(entries) - 1
		if last < 0 || len(entries[last].Changes) == perEntry || entries[last].Time != time {
			entries = append(entries, entry{ID: s.opt.WABAID, Time: time})
			last++
			merged = perValue
		}
		e := &entries[last]
		if n := len(e.Changes); n > 0 && merged < perValue && mergeable(e.Changes[n-1].Field, u.field) {
			e.Changes[n-1].Value = merge(e.Changes[n-1].Value, u.value)
			merged++
			continue
		}
		e.Changes = append(e.Changes, change{Value: u.value, Field: u.field})
		merged = 1
	}
	return Escape(encode(map[string]any{"object": "whatsapp_business_account", "entry": entries}), s.opt.WideEscapes)
}

func mergeable(a, b string) bool { return a == fieldMessages && b == fieldMessages }

// merge joins the lists of two values of the same number.
func merge(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		x, isList := out[k].([]any)
		y, alsoList := v.([]any)
		if isList && alsoList {
			out[k] = append(x[:len(x):len(x)], y...)
			continue
		}
		out[k] = v
	}
	return out
}

// batch gathers updates which go to the same receivers.
type batch struct {
	open map[string]*openBatch
}

type openBatch struct {
	delivery *delivery
	updates  []update
	size     int
}

// publish sends an update, alone or with the batch that is gathering.
func (s *Server) publish(u update) *delivery {
	targets := s.targets(u.field)
	if s.opt.Batch <= 1 {
		d := newDelivery(targets, nil)
		s.emit(d, s.document([]update{u}))
		return d
	}

	var urls []string
	for _, t := range targets {
		urls = append(urls, t.url)
	}
	key := strings.Join(urls, "\n")
	size := len(Escape(encode(u.value), s.opt.WideEscapes)) + 200 // and its share of the envelope

	s.mu.Lock()
	var full []*openBatch
	b := s.batch.open[key]
	if b != nil && b.size+size > maxBody {
		full = append(full, b)
		b = nil
	}
	if b == nil {
		b = &openBatch{delivery: newDelivery(targets, nil)}
		if s.batch.open == nil {
			s.batch.open = map[string]*openBatch{}
		}
		s.batch.open[key] = b
		defer s.after(s.opt.BatchWait, func() { s.flush(key, b) })
	}
	b.updates = append(b.updates, u)
	b.size += size
	if len(b.updates) >= s.opt.Batch {
		full = append(full, b)
		delete(s.batch.open, key)
	}
	s.mu.Unlock()
	for _, f := range full {
		s.emit(f.delivery, s.document(f.updates))
	}
	return b.delivery
}

// flush sends a batch whose time is up, unless it was full before.
func (s *Server) flush(key string, b *openBatch) {
	s.mu.Lock()
	mine := s.batch.open[key] == b
	if mine {
		delete(s.batch.open, key)
	}
	s.mu.Unlock()
	if mine {
		s.emit(b.delivery, s.document(b.updates))
	}
}

// observe learns from a webhook body what Meta would know: who the people are,
// which messages exist, when a customer service window opens, and who stopped
// marketing. It takes any document, however malformed.
func (s *Server) observe(body []byte) (wamids []string) {
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	for _, entry := range list(doc, "entry") {
		for _, change := range list(entry, "changes") {
			value := field(change, "value")
			for _, c := range list(value, "contacts") {
				s.meet(text(c, "wa_id"), text(c, "user_id"), func(p *Person) {
					set(&p.Name, text(field(c, "profile"), "name"))
					set(&p.Username, text(field(c, "profile"), "username"))
					set(&p.ParentUserID, text(c, "parent_user_id"))
				})
			}
			if name, _ := field(change, "field").(string); name == fieldMessages {
				for _, m := range list(value, "messages") {
					wamids = append(wamids, s.received(m))
				}
			}
			for _, c := range list(value, "calls") {
				if text(c, "direction") == "USER_INITIATED" {
					at := unix(field(c, "timestamp"), s.now())
					s.meet(text(c, "from"), text(c, "from_user_id"), func(p *Person) { p.wrote(at) })
				}
			}
			for _, p := range list(value, "user_preferences") {
				s.meet(text(p, "wa_id"), text(p, "user_id"), func(person *Person) {
					switch text(p, "value") {
					case "stop":
						person.stopped = true
					case "resume":
						person.stopped = false
					}
				})
			}
		}
	}
	return wamids
}

// received records an inbound message. Cloud API guide: every message of the
// user, and every call, opens the window for 24 hours, from the message's own
// time; a system message is not the user's.
func (s *Server) received(m any) (wamid string) {
	wamid = text(m, "id")
	kind := text(m, "type")
	at := unix(field(m, "timestamp"), s.now())
	from := text(m, "from")
	s.meet(from, text(m, "from_user_id"), func(p *Person) {
		if kind != "system" && (kind != "reaction" || !s.opt.ReactionsOpenNothing) {
			p.wrote(at)
		}
		if _, ok := field(m, "referral").(map[string]any); ok {
			p.freeEntryUntil = at.Add(72 * time.Hour)
		}
	})
	if kind == "system" {
		if now := text(field(m, "system"), "wa_id"); now != "" {
			s.meet(now, text(field(m, "system"), "user_id"), func(*Person) {})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opt.Unlimited {
		s.limits.inbound(s.now())
	}
	s.stats.Inbound++
	s.messages.add(&Message{
		ID: wamid, WAMID: wamid, ContactID: orElse(text(m, "from_user_id"), from), Phone: from, Direction: "in", Type: kind,
		Text: readable(m, kind), Status: "received", At: stamp(at), CommittedAt: stamp(s.now()),
	})
	return wamid
}

// readable is the text or caption of a message.
func readable(m any, kind string) string {
	content := field(m, kind)
	for _, key := range []string{"body", "caption", "text", "emoji"} {
		if t := text(content, key); t != "" {
			return t
		}
	}
	return ""
}
