package whatsappsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// Cloud API guide: 200 management calls an hour, and 5000 for an account
	// with a registered number.
	unregisteredPerHour = 200
	// deletionTakes is how long a number that was deleted cannot be registered.
	deletionTakes = 5 * time.Minute
)

// numberState is what can be wrong with the number itself.
type numberState struct {
	registered    bool
	locked        bool
	upgradingTill time.Time
	pin           string
	attempts      []time.Time // of register and deregister, within 72 hours
	deleted       time.Time
	onboarded     time.Time
	synced        map[string]bool // what the WhatsApp Business app has been asked for
}

func (s *Server) numberFields() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := "CONNECTED"
	switch {
	case s.number.locked:
		status = "BANNED"
	case !s.number.registered:
		status = "DISCONNECTED"
	}
	tier := "TIER_UNLIMITED"
	if s.opt.MessagingLimit > 0 {
		tier = "TIER_" + strconv.Itoa(s.opt.MessagingLimit)
		if thousands, ok := strings.CutSuffix(tier, "000"); ok {
			tier = thousands + "K"
		}
	}
	level := "STANDARD"
	if s.opt.Throughput >= 1000 {
		level = "HIGH"
	}
	hook := map[string]any{}
	if len(s.apps) > 0 {
		hook["application"] = s.apps[0].URL
	}
	if u := s.overrides.waba.url; u != "" {
		hook["whatsapp_business_account"] = u
	}
	if u := s.overrides.number.url; u != "" {
		hook["phone_number"] = u
	}
	return map[string]any{
		"id":                       s.opt.PhoneNumberID,
		"display_phone_number":     s.opt.DisplayPhone,
		"verified_name":            s.opt.VerifiedName,
		"quality_rating":           "GREEN",
		"code_verification_status": "VERIFIED",
		"name_status":              "APPROVED",
		"status":                   status,
		"platform_type":            "CLOUD_API",
		"account_mode":             "LIVE",
		"throughput":               map[string]any{"level": level},
		"messaging_limit_tier":     tier,
		"whatsapp_business_manager_messaging_limit": tier,
		"webhook_configuration":                     hook,
	}
}

// selected keeps the fields that a request asks for, and the id.
func selected(all map[string]any, r *http.Request, byDefault ...string) map[string]any {
	names := byDefault
	if q := r.URL.Query().Get("fields"); q != "" {
		names = strings.Split(q, ",")
	}
	out := map[string]any{"id": all["id"]}
	for _, name := range names {
		if v, ok := all[strings.TrimSpace(name)]; ok {
			out[strings.TrimSpace(name)] = v
		}
	}
	return out
}

func (s *Server) getNumber(r *http.Request) (any, *failure) {
	return selected(s.numberFields(), r,
		"verified_name", "code_verification_status", "display_phone_number", "quality_rating", "platform_type", "throughput", "webhook_configuration"), nil
}

// postNumber sets the two-step PIN or the number's override callback.
func (s *Server) postNumber(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	if pin, ok := doc["pin"].(string); ok {
		if !validPIN(pin) {
			return nil, refuse(100, "pin must have 6 digits")
		}
		s.mu.Lock()
		s.number.pin = pin
		s.mu.Unlock()
	}
	if hook, ok := doc["webhook_configuration"].(map[string]any); ok {
		return s.override(r, hook, &s.overrides.number)
	}
	return success(), nil
}

// override stores a callback after its handshake; an empty one clears it.
func (s *Server) override(r *http.Request, doc map[string]any, to *callback) (any, *failure) {
	c := callback{text(doc, "override_callback_uri"), text(doc, "verify_token")}
	if len(c.url) > 200 {
		return nil, refuse(100, "override_callback_uri has more than 200 characters")
	}
	if c.url != "" {
		if err := s.handshake(r.Context(), c.url, c.verifyToken); err != nil {
			return nil, refuse(100, "The callback URL or verify token couldn't be validated: %s", err.Error())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = c
	return success(), nil
}

func validPIN(pin string) bool { return len(pin) == 6 && digits(pin) == pin }

// register follows the platform's limit of ten calls in 72 hours, which
// deregister shares.
func (s *Server) register(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	pin := text(doc, "pin")
	if text(doc, "messaging_product") != "whatsapp" || !validPIN(pin) {
		return nil, refuse(100, "messaging_product whatsapp and a pin of 6 digits are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.number.deleted) < deletionTakes {
		return nil, refuse(133015, "The phone number you are attempting to register was recently deleted, and deletion has not yet completed")
	}
	if f := s.countRegistration(); f != nil {
		return nil, f
	}
	if s.number.pin != "" && s.number.pin != pin {
		return nil, refuse(133005, "Two step verification PIN mismatch")
	}
	s.number.pin, s.number.registered = pin, true
	return success(), nil
}

func (s *Server) deregister(*http.Request) (any, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.countRegistration(); f != nil {
		return nil, f
	}
	s.number.registered = false
	return success(), nil
}

func (s *Server) countRegistration() *failure {
	now := s.now()
	var recent []time.Time
	for _, t := range s.number.attempts {
		if now.Sub(t) < 72*time.Hour {
			recent = append(recent, t)
		}
	}
	s.number.attempts = recent
	if len(recent) >= 10 {
		return refuse(133016, "More than 10 attempts in 72 hours")
	}
	s.number.attempts = append(s.number.attempts, now)
	return nil
}

func (s *Server) getSubscribedApps(*http.Request) (any, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := []any{}
	if s.joined {
		app := map[string]any{"whatsapp_business_api_data": map[string]any{
			"id": s.opt.AppID, "name": "crmsync", "link": "https://www.facebook.com/games/?app_id=" + s.opt.AppID,
		}}
		if u := s.overrides.waba.url; u != "" {
			app["override_callback_uri"] = u
		}
		data = append(data, app)
	}
	return map[string]any{"data": data}, nil
}

// postSubscribedApps joins the app and sets the WABA's override; with an empty
// body it clears the override.
func (s *Server) postSubscribedApps(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	answer, f := s.override(r, doc, &s.overrides.waba)
	if f != nil {
		return nil, f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = true
	return answer, nil
}

func (s *Server) deleteSubscribedApps(*http.Request) (any, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = false
	return success(), nil
}

func (s *Server) getPhoneNumbers(r *http.Request) (any, *failure) {
	n := selected(s.numberFields(), r, "verified_name", "code_verification_status", "display_phone_number", "quality_rating", "platform_type", "throughput")
	return page(r, []any{n}), nil
}

// page cuts a list by limit and after, or before. Cursors are opaque to
// clients; here they are a position.
func page(r *http.Request, all []any) any {
	q := r.URL.Query()
	start, _ := strconv.Atoi(q.Get("after"))
	start = min(max(start, 0), len(all))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit <= 0 {
		limit = 25
	}
	end := min(start+limit, len(all))
	if before, err := strconv.Atoi(q.Get("before")); err == nil {
		end = min(max(before, 0), len(all))
		start = max(end-limit, 0)
	}
	data := append([]any{}, all[start:end]...)
	if len(data) == 0 {
		return map[string]any{"data": data}
	}
	paging := map[string]any{"cursors": map[string]any{"before": strconv.Itoa(start), "after": strconv.Itoa(end)}}
	link := func(cursor string, at int) string {
		q.Del("before")
		q.Del("after")
		q.Set(cursor, strconv.Itoa(at))
		return "http://" + r.Host + r.URL.Path + "?" + q.Encode()
	}
	if start > 0 {
		paging["previous"] = link("before", start)
	}
	if end < len(all) {
		paging["next"] = link("after", end)
	}
	return map[string]any{"data": data, "paging": paging}
}

// usage counts a management call, reports the use in the answer's headers and
// refuses above the hourly limit.
func (s *Server) usage(w http.ResponseWriter) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.limits.management(s.now())
	limit := s.opt.ManagementPerHour
	if !s.number.registered {
		limit = min(limit, unregisteredPerHour)
	}
	percent := min(100, used*100/limit)
	h := w.Header()
	h.Set("x-app-usage", string(encode(map[string]int{"call_count": percent, "total_time": percent / 2, "total_cputime": percent / 2})))
	regain := 0
	over := used > limit && !s.opt.Unlimited
	if over {
		regain = 60 - s.now().Minute()
	}
	h.Set("x-business-use-case-usage", string(encode(map[string]any{s.opt.WABAID: []any{map[string]any{
		"type": "whatsapp_business_management", "call_count": percent, "total_cputime": percent / 2, "total_time": percent / 2,
		"estimated_time_to_regain_access": regain,
	}}})))
	if !over {
		return nil
	}
	f := refuse(s.opt.Codes.Usage, "")
	f.http = s.opt.Codes.UsageHTTP
	return f
}
