package whatsappsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Inbound is something a WhatsApp user does.
type Inbound struct {
	From         string     `json:"from"`
	Name         string     `json:"name"`
	Text         string     `json:"text"`
	UserID       string     `json:"user_id"`
	ParentUserID string     `json:"parent_user_id"`
	Username     string     `json:"username"`
	Phone        Visibility `json:"phone"`
	// Type is a message type, or one of the events user_changed_number,
	// user_changed_user_id, user_id_update, user_preferences, echo, call,
	// user_actions and errors. Any other word travels as it is. Defaults to
	// text.
	Type string `json:"type"`
	// Media is the id of a file made before, which the message carries; Text
	// is its caption then, and Type follows from the file.
	Media string `json:"media"`
	// Content replaces the object named like the type.
	Content  json.RawMessage `json:"content"`
	Context  json.RawMessage `json:"context"`
	Referral json.RawMessage `json:"referral"`
	GroupID  string          `json:"group_id"`
	ID       string          `json:"id"`
	// Timestamp is sent as given, string or number. Defaults to now.
	Timestamp any `json:"timestamp"`
	// Count repeats the event with an id of its own each time.
	Count int `json:"count"`
	// Raw is a whole webhook body, sent as it is, or a bare message object:
	// one with a type and neither object nor entry.
	Raw json.RawMessage `json:"raw"`
	// Signature is wrong, missing or modified (the body changed after
	// signing). Only for raw bodies.
	Signature string `json:"signature"`
	// Method of the request. Defaults to POST. Only for raw bodies.
	Method string `json:"method"`
}

// Receipt says what became of an Inbound on the first attempt.
type Receipt struct {
	// Status is what the callback answered; of several, the first that is not
	// 200. It is 0 if there was no answer.
	Status int      `json:"status"`
	WAMID  string   `json:"wamid"`
	WAMIDs []string `json:"wamids,omitempty"`
	Error  string   `json:"error,omitempty"`
}

// Receive lets a user act and returns when the first attempt of every webhook
// has an answer. Retries go on afterwards.
func (s *Server) Receive(ctx context.Context, in Inbound) (Receipt, error) {
	var deliveries []*delivery
	var wamids []string
	if len(in.Raw) > 0 && string(in.Raw) != "null" {
		d, ids, err := s.raw(in)
		if err != nil {
			return Receipt{}, err
		}
		deliveries, wamids = append(deliveries, d), ids
	} else {
		if in.From == "" && in.UserID == "" && in.Type != "user_actions" && in.Type != "errors" {
			return Receipt{}, errors.New("say who writes, as from or user_id, or give a raw body")
		}
		if in.Media != "" {
			m := s.find(in.Media)
			if m == nil {
				return Receipt{}, fmt.Errorf("media %q is not one of the last seven days", in.Media)
			}
			in.Type = cmp.Or(in.Type, kindOf(m.mime))
			if !slices.Contains(mediaKinds, in.Type) {
				return Receipt{}, fmt.Errorf("a message of type %q carries no file", in.Type)
			}
		}
		for i := range max(in.Count, 1) {
			if i > 0 {
				in.ID = ""
			}
			u, wamid := s.event(in)
			s.observe(s.document([]update{u}))
			deliveries, wamids = append(deliveries, s.publish(u)), append(wamids, wamid)
		}
	}

	r := Receipt{Status: 200}
	if len(wamids) > 0 {
		r.WAMID = wamids[0]
	}
	if len(wamids) > 1 {
		r.WAMIDs = wamids
	}
	for _, d := range deliveries {
		status, err := d.wait(ctx)
		if status != 200 && r.Status == 200 {
			r.Status = status
			if err != nil {
				r.Error = err.Error()
			}
		}
	}
	return r, nil
}

// Deliver sends a whole webhook body with Meta's escapes, signature and
// retries, and returns the answer to the first attempt.
func (s *Server) Deliver(ctx context.Context, body json.RawMessage) (status int, err error) {
	r, err := s.Receive(ctx, Inbound{Raw: body})
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r.Status, err
}

// raw sends a document that somebody else made. It ignores field
// subscriptions: whoever writes the whole body wants it delivered.
func (s *Server) raw(in Inbound) (*delivery, []string, error) {
	doc := object(in.Raw)
	if doc == nil {
		return nil, nil, errors.New("raw is not a JSON object")
	}
	body := Escape(in.Raw, s.opt.WideEscapes)
	_, hasObject := doc["object"]
	_, hasEntry := doc["entry"]
	if text(doc, "type") != "" && !hasObject && !hasEntry {
		value := s.value()
		value["messages"] = []any{in.Raw}
		if c := s.contactOf(doc, in.Name); len(c) > 0 {
			value["contacts"] = []any{c}
		}
		body = s.document([]update{{fieldMessages, value}})
	}
	wamids := s.observe(body)

	d := newDelivery(s.route(firstField(doc)), nil)
	d.method = in.Method
	switch in.Signature {
	case "":
	case "missing":
		d.sign = func(string, []byte) string { return "" }
	case "wrong":
		d.sign = func(secret string, body []byte) string { return Sign(secret+"x", body) }
	case "modified":
		signed := body
		body = append(body[:len(body):len(body)], ' ')
		d.sign = func(secret string, _ []byte) string { return Sign(secret, signed) }
	default:
		return nil, nil, fmt.Errorf("signature is wrong, missing or modified, not %q", in.Signature)
	}
	s.emit(d, body)
	return d, wamids, nil
}

// firstField is the field of the first change, which decides whether an
// override applies.
func firstField(doc any) string {
	for _, e := range list(doc, "entry") {
		for _, c := range list(e, "changes") {
			return text(c, "field")
		}
	}
	return fieldMessages
}

// contactOf makes the contact for a bare message from the message's own ids
// and from what is known of the person.
func (s *Server) contactOf(m map[string]any, name string) map[string]any {
	p := Person{WaID: text(m, "from"), UserID: text(m, "from_user_id"), Name: name}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.lookup(p.WaID, p.UserID); known != nil {
		set(&p.Username, known.Username)
		if name == "" {
			p.Name = known.Name
		}
	}
	return p.contact()
}

// event builds the webhook of what the user did.
func (s *Server) event(in Inbound) (update, string) {
	if in.Type == "" {
		in.Type = "text"
	}
	p := Person{
		WaID: digits(in.From), Name: in.Name, UserID: in.UserID,
		ParentUserID: in.ParentUserID, Username: in.Username, Phone: in.Phone,
	}
	if p.UserID == "" {
		// Since April 2026 every user has one, with or without a username.
		p.UserID = userID(p.WaID)
	}
	if p.WaID == "" && p.Phone == PhoneShown {
		p.Phone = PhoneAbsent
	}
	s.mu.Lock()
	if known := s.lookup(p.WaID, p.UserID); known != nil {
		if p.Name == "" {
			p.Name = known.Name
		}
		if p.Username == "" {
			p.Username = known.Username
		}
		if p.Phone == PhoneShown {
			p.Phone = known.Phone
		}
		p.stopped = known.stopped
	}
	s.mu.Unlock()
	if in.ID == "" {
		in.ID = newWAMID(p.WaID, false)
	}
	if in.Type == "call" {
		in.ID = "wacid." + strings.TrimPrefix(in.ID, "wamid.")
	}
	if in.Timestamp == nil {
		in.Timestamp = strconv.FormatInt(s.now().Unix(), 10)
	}
	if !isOtherField(in.Type) {
		return s.message(in, p), in.ID
	}
	return s.other(in, p), in.ID
}

func (s *Server) message(in Inbound, p Person) update {
	m := map[string]any{"id": in.ID, "timestamp": in.Timestamp, "type": in.Type}
	if phone, ok := p.Phone.phone(p.WaID); ok {
		m["from"] = phone
	}
	if p.UserID != "" {
		m["from_user_id"] = p.UserID
	}
	if p.ParentUserID != "" {
		m["from_parent_user_id"] = p.ParentUserID
	}
	value := s.value()
	switch in.Type {
	case "user_changed_number", "user_changed_user_id", "system":
		m["type"] = "system"
		m["system"] = s.system(in, p)
	default:
		value["contacts"] = []any{p.contact()}
		for key, v := range s.content(in, p) {
			m[key] = v
		}
	}
	if len(in.Content) > 0 {
		m[text(m, "type")] = in.Content
	}
	if len(in.Context) > 0 {
		m["context"] = in.Context
	}
	if len(in.Referral) > 0 {
		m["referral"] = in.Referral
	}
	if in.GroupID != "" {
		m["group_id"] = in.GroupID
	}
	value["messages"] = []any{m}
	return update{fieldMessages, value}
}

// system describes a change of identity. Text is the new number, or the new
// user id. The value of a system message has no contacts.
func (s *Server) system(in Inbound, p Person) map[string]any {
	if in.Type == "user_changed_user_id" {
		return map[string]any{"type": in.Type, "body": "User changed", "user_id": in.Text, "wa_id": p.WaID}
	}
	return map[string]any{
		"type": "user_changed_number", "wa_id": digits(in.Text),
		"body": fmt.Sprintf("User %s changed from %s to %s", p.Name, p.WaID, digits(in.Text)),
	}
}

// content returns the keys that a message of this type has beside the common
// ones.
func (s *Server) content(in Inbound, p Person) map[string]any {
	own := func(v any) map[string]any { return map[string]any{in.Type: v} }
	// A reply points at the newest message the business wrote to the person.
	last := s.lastTo(p)
	reply := map[string]any{"from": digits(s.opt.DisplayPhone), "id": last}
	switch in.Type {
	case "text":
		return own(map[string]any{"body": in.Text})
	case "image", "video", "audio", "document", "sticker": // mediaKinds
		return own(s.inboundMedia(in.Type, in.Text, in.Media))
	case "location":
		return own(map[string]any{
			"latitude": 45.4642, "longitude": 9.19,
			"name": "Duomo di Milano", "address": "Piazza del Duomo, Milano", "url": "https://example.com/duomo",
		})
	case "contacts":
		return own([]any{map[string]any{
			"name":   map[string]any{"formatted_name": "Ufficio Bianchi", "first_name": "Ufficio", "last_name": "Bianchi"},
			"phones": []any{map[string]any{"phone": "+39 02 8765 4321", "type": "WORK"}},
			"emails": []any{map[string]any{"email": "ufficio@example.com", "type": "WORK"}},
			"org":    map[string]any{"company": "Bianchi Srl"},
		}})
	case "button":
		return map[string]any{
			"context": reply,
			"button":  map[string]any{"payload": orElse(in.Text, "CONFIRM"), "text": orElse(in.Text, "Confermo")},
		}
	case "interactive", "list_reply":
		return map[string]any{
			"type": "interactive", "context": reply,
			"interactive": map[string]any{"type": "list_reply", "list_reply": map[string]any{
				"id": "slot-2", "title": orElse(in.Text, "Martedì 10:00"), "description": "Consulenza di 30 minuti",
			}},
		}
	case "button_reply":
		return map[string]any{
			"type": "interactive", "context": reply,
			"interactive": map[string]any{"type": "button_reply", "button_reply": map[string]any{
				"id": "yes", "title": orElse(in.Text, "Sì"),
			}},
		}
	case "nfm_reply":
		return map[string]any{
			"type": "interactive", "context": reply,
			"interactive": map[string]any{"type": "nfm_reply", "nfm_reply": map[string]any{
				"name": "flow", "body": "Sent", "response_json": `{"flow_token":"t1","email":"g@example.com"}`,
			}},
		}
	case "call_permission_reply":
		return map[string]any{
			"type": "interactive", "context": reply,
			"interactive": map[string]any{"type": in.Type, in.Type: map[string]any{
				"response": "accept", "response_source": "user_action",
			}},
		}
	case "reaction":
		r := map[string]any{"message_id": last}
		if in.Text != "" { // a removed reaction has no emoji key
			r["emoji"] = in.Text
		}
		return own(r)
	case "order":
		return own(map[string]any{
			"catalog_id": "194836987003835", "text": in.Text,
			"product_items": []any{
				map[string]any{"product_retailer_id": "OLIO-1L", "quantity": 2, "item_price": 12.5, "currency": "EUR"},
				map[string]any{"product_retailer_id": "PASTA-500", "quantity": 6, "item_price": 1.8, "currency": "EUR"},
			},
		})
	case "edit":
		return own(map[string]any{
			"original_message_id": s.lastFrom(p),
			"message":             map[string]any{"type": "text", "text": map[string]any{"body": in.Text}},
		})
	case "revoke":
		return own(map[string]any{"original_message_id": s.lastFrom(p)})
	case "request_welcome":
		return nil
	case "unsupported", "unknown", "ephemeral":
		return map[string]any{
			"errors": []any{map[string]any{
				"code": 131051, "title": "Message type unknown", "message": "Message type unknown",
				"error_data": map[string]any{"details": "Message type is currently not supported."},
			}},
			in.Type: map[string]any{"type": orElse(in.Text, "poll_creation")},
		}
	}
	return own(map[string]any{"body": in.Text})
}

// isOtherField says that an event is no message.
func isOtherField(kind string) bool {
	switch kind {
	case "user_id_update", "user_preferences", "echo", "call", "user_actions", "errors":
		return true
	}
	return false
}

func (s *Server) other(in Inbound, p Person) update {
	value := s.value()
	seconds := unix(in.Timestamp, s.now()).Unix()
	ids := p.contact()
	delete(ids, "profile")
	switch in.Type {
	case "user_preferences":
		// Here the timestamp is an integer, unlike in messages.
		word := orElse(in.Text, "stop")
		pref := map[string]any{
			"detail": "User requested to " + word + " marketing messages", "category": "marketing_messages",
			"value": word, "timestamp": seconds,
		}
		for k, v := range ids {
			pref[k] = v
		}
		value["contacts"] = []any{p.contact()}
		value["user_preferences"] = []any{pref}
		return update{fieldPreferences, value}
	case "user_id_update":
		u := map[string]any{
			"detail": "User id changed", "timestamp": in.Timestamp,
			"user_id": map[string]any{"previous": p.UserID, "current": in.Text},
		}
		if phone, ok := p.Phone.phone(p.WaID); ok {
			u["wa_id"] = phone
		}
		value["user_id_update"] = []any{u}
		return update{fieldUserID, value}
	case "echo":
		// What a person wrote to the user in the WhatsApp Business app.
		value["message_echoes"] = []any{map[string]any{
			"from": digits(s.opt.DisplayPhone), "to": p.WaID, "to_user_id": p.UserID, "id": in.ID,
			"timestamp": in.Timestamp, "type": "text", "text": map[string]any{"body": in.Text},
		}}
		return update{fieldEchoes, value}
	case "call":
		c := map[string]any{
			"to": digits(s.opt.DisplayPhone), "id": in.ID, "timestamp": in.Timestamp,
			"event": "connect", "direction": "USER_INITIATED", "from_user_id": p.UserID,
			"session": map[string]any{"sdp_type": "offer", "sdp": "v=0"},
		}
		if phone, ok := p.Phone.phone(p.WaID); ok {
			c["from"] = phone
		}
		value["contacts"] = []any{p.contact()}
		value["calls"] = []any{c}
		return update{fieldCalls, value}
	case "user_actions":
		// Clicks on marketing messages come in the messages field without any user.
		value["user_actions"] = []any{map[string]any{
			"action_type": "marketing_messages_link_click", "timestamp": in.Timestamp,
			"marketing_messages_link_click_data": map[string]any{"tracking_token": "t-1"},
		}}
		return update{fieldMessages, value}
	default:
		value["errors"] = []any{map[string]any{
			"code": 130429, "title": "Rate limit hit", "message": "Rate limit hit",
			"error_data": map[string]any{"details": "Message failed to send because there were too many messages sent from this phone number in a short period of time"},
			"href":       "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
		}}
		return update{fieldMessages, value}
	}
}

// newWAMID makes a message id which looks like Meta's: the phone, a marker of
// the direction and random bytes in base64.
func newWAMID(phone string, out bool) string {
	if len(phone) > 20 {
		phone = phone[:20]
	}
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails
	direction := byte(0x12)
	if out {
		direction = 0x11
	}
	b := []byte{0x1c, 0x18, byte(len(phone))}
	b = append(b, phone...)
	b = append(b, 0x15, 0x02, 0x00, direction, 0x18, byte(2*len(random)))
	b = append(b, strings.ToUpper(hex.EncodeToString(random[:]))...)
	return "wamid." + base64.StdEncoding.EncodeToString(append(b, 0))
}

func orElse(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
