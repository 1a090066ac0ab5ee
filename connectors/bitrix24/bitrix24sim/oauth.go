package bitrix24sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
)

const (
	tokenLife   = time.Hour
	refreshLife = 180 * 24 * time.Hour
	clientName  = "application"
)

// grant is what an access token stands for.
type grant struct {
	user    int64
	expires time.Time
}

// tokens are those of the one application.
type tokens struct {
	access map[string]grant
	// refresh is the one valid now, until refreshEnd.
	refresh    string
	refreshEnd time.Time
}

// identifyToken takes the access token from the parameter auth.
func (s *Server) identifyToken(c *call) *refusal {
	given := str(c.p.get("auth"))
	if given == "" {
		return refuse(http.StatusUnauthorized, "NO_AUTH_FOUND", "Wrong authorization data")
	}
	g, known := s.tokens.access[given]
	if !known {
		return refuse(http.StatusUnauthorized, "invalid_token", "Unable to get application by token")
	}
	if _, expire := s.faults.Active(c.r, faults.ExpireToken); expire {
		g.expires = s.Now()
		s.tokens.access[given] = g
	}
	if !s.Now().Before(g.expires) {
		return refuse(http.StatusUnauthorized, "expired_token", "The access token provided has expired.")
	}
	c.who = who{user: g.user, key: clientName, app: true}
	return nil
}

// issue makes an access token. It needs s.mu.
func (s *Server) issue(user int64) string {
	token := fmt.Sprintf("%016x%016x", s.rand.Uint64(), s.rand.Uint64())
	s.tokens.access[token] = grant{user, s.Now().Add(tokenLife)}
	return token
}

// token answers the authorization server's one path, which takes GET.
// Bitrix24: OAuth.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	p, _ := params(r)
	_, lost := s.faults.Active(r, faults.RefreshLost)
	s.mu.Lock()
	status, body := s.refresh(r.Method, p)
	s.mu.Unlock()
	if lost && status == http.StatusOK {
		// The old token is used up and the new one never arrives.
		panic(http.ErrAbortHandler)
	}
	send(w, status, body)
}

func (s *Server) refresh(method string, p *dict) (int, obj) {
	no := func(status int, code string) (int, obj) {
		return status, obj{"error": code, "error_description": strings.ReplaceAll(code, "_", " ")}
	}
	text := func(name string) string { return str(p.get(name)) }
	switch {
	case method != http.MethodGet:
		return no(http.StatusBadRequest, "invalid_request")
	case s.opts.ClientID == "" || text("client_id") != s.opts.ClientID:
		// An error with status 200 and no description.
		return http.StatusOK, obj{"error": "wrong_client"}
	case text("client_secret") != s.opts.ClientSecret:
		return no(http.StatusBadRequest, "invalid_client")
	case text("grant_type") != "refresh_token" || text("refresh_token") == "":
		return no(http.StatusBadRequest, "invalid_request")
	case s.tokens.refresh == "" || text("refresh_token") != s.tokens.refresh || !s.Now().Before(s.tokens.refreshEnd):
		return no(http.StatusBadRequest, "invalid_grant")
	}
	now := s.Now()
	s.tokens.refresh = fmt.Sprintf("%016x%016x", s.rand.Uint64(), s.rand.Uint64())
	s.tokens.refreshEnd = now.Add(refreshLife)
	return http.StatusOK, obj{
		"access_token": s.issue(s.opts.UserID), "refresh_token": s.tokens.refresh, "expires": now.Add(tokenLife).Unix(),
		"expires_in": int(tokenLife.Seconds()), "client_endpoint": "https://" + s.opts.Domain + "/rest/",
		"server_endpoint": "https://oauth.bitrix24.tech/rest/", "domain": "oauth.bitrix24.tech", "member_id": s.opts.MemberID,
		"scope": strings.Join(s.opts.Scopes, ","), "status": "L", "user_id": s.opts.UserID,
	}
}

// binding is one of the application's handlers.
type binding struct {
	event, handler, connector string
	offline                   bool
	// user is 0 for whoever made the change.
	user int64
}

func (b *binding) userOr(other int64) int64 {
	if b.user != 0 {
		return b.user
	}
	return other
}

var eventNames = []string{
	"ONCRMCONTACTADD", "ONCRMCONTACTUPDATE", "ONCRMCONTACTDELETE", "ONCRMTIMELINECOMMENTADD", "ONCRMTIMELINECOMMENTUPDATE",
	"ONCRMTIMELINECOMMENTDELETE", "ONCRMACTIVITYADD", "ONCRMACTIVITYUPDATE", "ONCRMACTIVITYDELETE", "ONAPPINSTALL", "ONAPPTEST",
	"ONOFFLINEEVENT",
}

func (c *call) binding() binding {
	text := func(name string) string { v, _ := c.p.either(name); return str(v) }
	b := binding{event: strings.ToUpper(text("event")), handler: text("handler"), connector: text("auth_connector"), offline: text("event_type") == "offline"}
	b.user, _ = number(text("auth_type"))
	return b
}

// eventBind is for applications only. Bitrix24: event.bind.
func (s *Server) eventBind(c *call) (*reply, *refusal) {
	b := c.binding()
	switch {
	case !slices.Contains(eventNames, b.event):
		return nil, refuse(http.StatusBadRequest, "ERROR_EVENT_NOT_FOUND", "Event not found")
	case !b.offline && b.handler == "":
		return nil, refuse(http.StatusBadRequest, "ERROR_ARGUMENT", "Handler URL is not specified")
	}
	if slices.ContainsFunc(s.bindings, func(o binding) bool {
		return o.event == b.event && o.handler == b.handler && o.offline == b.offline && o.connector == b.connector
	}) {
		return nil, refuse(http.StatusBadRequest, "ERROR_EVENT_BINDING_EXISTS", "Handler already binded")
	}
	s.bindings = append(s.bindings, b)
	return ok(true)
}

func (s *Server) eventGet(*call) (*reply, *refusal) {
	out := []obj{}
	for _, b := range s.bindings {
		out = append(out, obj{"event": b.event, "handler": b.handler, "auth_type": fmt.Sprint(b.user), "offline": flag(b.offline)})
	}
	return ok(out)
}

func (s *Server) eventUnbind(c *call) (*reply, *refusal) {
	w := c.binding()
	before := len(s.bindings)
	s.bindings = slices.DeleteFunc(s.bindings, func(b binding) bool {
		return b.event == w.event && b.offline == w.offline && (w.handler == "" || b.handler == w.handler)
	})
	return ok(obj{"count": before - len(s.bindings)})
}

func (s *Server) eventTest(c *call) (*reply, *refusal) {
	s.changed("ONAPPTEST", 0, c)
	return ok(true)
}

// notSimulated stands for methods which are here only to be refused to webhooks.
func (s *Server) notSimulated(*call) (*reply, *refusal) {
	return nil, refuse(http.StatusBadRequest, "ERROR_NOT_SIMULATED", "This method is not simulated")
}
