package whatsappsim

import (
	"net/http"
	"time"
)

// syncWindow is how long after onboarding a number that the WhatsApp Business
// app keeps using can ask for its contacts and history, once each.
const syncWindow = 24 * time.Hour

func (s *Server) requestCode(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	if how := text(doc, "code_method"); how != "SMS" && how != "VOICE" || text(doc, "language") == "" {
		return nil, refuse(100, "code_method, one of {SMS, VOICE}, and language are required")
	}
	return success(), nil
}

// verifyCode takes any code: nobody was called.
func (s *Server) verifyCode(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	if code := text(doc, "code"); code == "" || digits(code) != code {
		return nil, refuse(100, "code must be digits")
	}
	return success(), nil
}

func (s *Server) syncApp(r *http.Request) (any, *failure) {
	doc, f := body(r)
	if f != nil {
		return nil, f
	}
	kind := text(doc, "sync_type")
	if text(doc, "messaging_product") != "whatsapp" || kind != "smb_app_state_sync" && kind != "history" {
		return nil, refuse(100, "messaging_product whatsapp and sync_type, one of {smb_app_state_sync, history}, are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.number.synced[kind]:
		return nil, refuse(2593107, "The synchronization was requested before")
	case s.now().Sub(s.number.onboarded) > syncWindow:
		return nil, refuse(2593108, "The business was onboarded more than 24 hours ago")
	}
	if s.number.synced == nil {
		s.number.synced = map[string]bool{}
	}
	s.number.synced[kind] = true
	return map[string]any{"messaging_product": "whatsapp", "request_id": trace()}, nil
}
