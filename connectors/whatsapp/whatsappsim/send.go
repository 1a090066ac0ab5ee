package whatsappsim

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"crmsync/connectors/internal/faults"
)

// outgoing is an accepted message on its way to a person.
type outgoing struct {
	id       string
	to       Person
	bsuid    bool // addressed by user id
	group    string
	kind     string
	callback string
	category string // of the template, service otherwise
	free     bool   // not billable
	inWindow bool
	voice    bool
	broken   bool // its file is behind a link that leads nowhere
	version  string
}

// maxTestRecipients is how many phones Meta lets a test number write to.
const maxTestRecipients = 5

var (
	phoneShape = regexp.MustCompile(`^\+?[0-9][0-9 ()-]*$`)
	bsuidShape = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)
)

var sendable = []string{
	"text", "template", "image", "video", "audio", "document", "sticker",
	"location", "contacts", "interactive", "reaction",
}

// postMessage accepts a message, or marks an inbound one as read. Cloud API
// guide: 200 means accepted, not delivered, and there is no idempotency key:
// the same request twice is two messages.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	switch product, ok := doc["messaging_product"]; {
	case !ok:
		return nil, refuse(s.opt.Codes.NoProduct, "The parameter messaging_product is required.")
	case product != "whatsapp":
		return nil, refuse(100, "Param messaging_product must be one of {WHATSAPP}")
	}
	if doc["status"] != nil {
		return s.markRead(doc)
	}

	m := outgoing{kind: text(doc, "type"), category: "service", version: w.Header().Get("facebook-api-version")}
	if m.kind == "" {
		m.kind = "text"
	}
	input, warnings, f := s.recipient(doc, &m)
	if f != nil {
		return nil, f
	}
	shown, f := s.checkContent(doc, &m)
	if f != nil {
		return nil, f
	}
	if fault, hit := s.faults.Active(r, faults.Throttle); hit {
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
		return nil, refuse(130429, "Message failed to send because there were too many messages sent from this phone number in a short period of time")
	}
	if _, hit := s.faults.Rejects(string(encode(doc))); hit {
		return nil, refuse(131009, "Parameter value is not valid")
	}
	if f := s.admit(&m); f != nil {
		return nil, f
	}

	m.id = newWAMID(m.to.WaID, true)
	now := s.now()
	s.mu.Lock()
	s.stats.Writes++
	s.stats.Messages++
	s.messages.add(&Message{
		ID: m.id, WAMID: m.id, ContactID: orElse(m.to.UserID, m.to.WaID), Phone: m.to.WaID, Direction: "out",
		Type: m.kind, Text: shown, Status: "accepted", At: stamp(now), CommittedAt: stamp(now),
		Input: input, Callback: m.callback, Warnings: warnings,
	})
	s.mu.Unlock()
	s.begin(m)

	contact := map[string]any{"input": input}
	switch {
	case m.group != "":
	case m.bsuid:
		contact["user_id"] = input
		if m.to.Phone == PhoneShown && m.to.WaID != "" {
			contact["wa_id"] = m.to.WaID
		}
	default:
		contact["wa_id"] = m.to.WaID
	}
	message := map[string]any{"id": m.id}
	if m.kind == "template" {
		message["message_status"] = "accepted"
	}
	return map[string]any{
		"messaging_product": "whatsapp",
		"contacts":          []any{contact},
		"messages":          []any{message},
	}, nil
}

func (s *Server) markRead(doc map[string]any) (any, *failure) {
	if doc["status"] != "read" {
		return nil, refuse(100, "status must be read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages.byID[text(doc, "message_id")]
	if m == nil || m.Direction != "in" {
		return nil, refuse(s.opt.Codes.UnknownRead, "message_id is not a message received by this number")
	}
	m.Read = true
	return success(), nil
}

// recipient resolves to or recipient, of which the phone wins.
func (s *Server) recipient(doc map[string]any, m *outgoing) (input string, warnings []string, f *failure) {
	to, byUser := text(doc, "to"), text(doc, "recipient")
	switch {
	case to == "" && byUser == "":
		return "", nil, refuse(131008, "The parameter to is required.")
	case text(doc, "recipient_type") == "group":
		m.group = to
		m.to = Person{WaID: to}
		return to, nil, nil
	case to == "":
		if !bsuidShape.MatchString(byUser) {
			return "", nil, refuse(s.opt.Codes.InvalidTo, "Parameter recipient is not a user id")
		}
		m.bsuid = true
		s.meet("", byUser, func(p *Person) { m.to = *p })
		return byUser, nil, nil
	}

	number := digits(to)
	if !phoneShape.MatchString(to) || len(number) < 7 || len(number) > 15 {
		return "", nil, refuse(s.opt.Codes.InvalidTo, "Parameter to is not a valid phone number")
	}
	if !strings.HasPrefix(to, "+") {
		warnings = append(warnings, "to without +: the country code of the business number may be put in front")
		if s.opt.PrependCountry {
			number = countryCode(digits(s.opt.DisplayPhone)) + number
		}
	}
	if number == digits(s.opt.DisplayPhone) {
		return "", nil, refuse(131021, "Recipient cannot be sender")
	}
	if s.opt.TestRecipients != nil && !slices.ContainsFunc(s.opt.TestRecipients, func(p string) bool { return digits(p) == number }) {
		return "", nil, refuse(131030, "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.")
	}
	id := canonical(number)
	s.mu.Lock()
	if p := s.people[number]; p != nil && p.WaID != "" {
		id = p.WaID
	}
	s.mu.Unlock()
	s.meet(id, "", func(p *Person) {
		if p.UserID == "" {
			p.UserID = userID(id)
		}
		m.to = *p
	})
	return to, warnings, nil
}

// countryCode is the dialling code of a number, for the countries that the
// simulator has people in.
func countryCode(number string) string {
	for _, code := range []string{"1", "7", "39", "33", "34", "41", "43", "44", "49", "52", "54", "55", "91"} {
		if strings.HasPrefix(number, code) {
			return code
		}
	}
	return number[:min(2, len(number))]
}

// checkContent validates what is sent and returns its readable text.
func (s *Server) checkContent(doc map[string]any, m *outgoing) (string, *failure) {
	if !slices.Contains(sendable, m.kind) {
		return "", refuse(100, "Param type must be one of {%s}", strings.ToUpper(strings.Join(sendable, ", ")))
	}
	content, ok := doc[m.kind]
	if !ok || content == nil {
		return "", refuse(131008, "The parameter %s is required.", m.kind)
	}
	shown := text(content, "caption")
	if m.kind == "text" {
		raw, there := field(content, "body").(string)
		switch n := utf8.RuneCountInString(raw); {
		case field(content, "body") == nil:
			return "", refuse(131008, "The parameter text['body'] is required.")
		case !there || n == 0 || n > 4096:
			return "", refuse(s.opt.Codes.InvalidTo, "Param text['body'] must be a string of 1 to 4096 characters.")
		}
		shown = raw
	}
	if raw, there := doc["biz_opaque_callback_data"]; there {
		m.callback, ok = raw.(string)
		if !ok || utf8.RuneCountInString(m.callback) > 512 {
			return "", refuse(100, "Param biz_opaque_callback_data must be at most 512 characters long.")
		}
	}
	m.broken = leadsNowhere(content)
	if voice, _ := field(content, "voice").(bool); voice {
		m.voice = m.kind == "audio"
	}
	if m.kind == "template" {
		return s.checkTemplate(content, m)
	}
	return shown, nil
}

// leadsNowhere says that the link of a file has a host which never exists: one
// under .invalid, by RFC 2606. Other links are not followed.
func leadsNowhere(file any) bool {
	u, err := url.Parse(text(file, "link"))
	return err == nil && strings.HasSuffix(u.Hostname(), ".invalid")
}

// admit applies the state of the number, restricted countries and quotas.
func (s *Server) admit(m *outgoing) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case !s.number.registered:
		return refuse(133010, "The phone number is not registered")
	case s.number.locked:
		return refuse(131031, "Business Account locked")
	case now.Before(s.number.upgradingTill):
		return refuse(131057, "The throughput of this number is being upgraded")
	}
	for _, code := range s.opt.RestrictedCountries {
		if m.group == "" && strings.HasPrefix(m.to.WaID, code) {
			return refuse(130497, "Messages to this country are restricted")
		}
	}
	key := orElse(m.to.WaID, m.to.UserID)
	if !s.opt.Unlimited {
		if f := s.limits.outbound(key, now); f != nil {
			return f
		}
	}
	m.inWindow = m.group != "" || now.Sub(m.to.lastMessage) < window
	if !m.inWindow && !s.opt.Unlimited && !s.limits.newRecipient(key, s.opt.MessagingLimit, now) {
		return refuse(s.opt.Codes.MessagingLimit, "The messaging limit of this business portfolio is reached")
	}
	if !m.inWindow && m.kind != "template" && s.opt.RefuseOutsideWindow {
		return refuse(131047, "More than 24 hours have passed since the recipient last replied to the sender number.")
	}
	m.free = m.kind != "template" || m.inWindow && m.category == "utility" || now.Before(m.to.freeEntryUntil)
	return nil
}

// freeEntry says whether the person came by an ad less than 72 hours ago.
func (m outgoing) freeEntry(now time.Time) bool { return now.Before(m.to.freeEntryUntil) }
