package zohosim

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
)

// Zoho: token validity.
const (
	tokenLife     = time.Hour
	liveTokens    = 15
	refreshWindow = 10 * time.Minute
	refreshLimit  = 10
)

type grant struct {
	Grant
	// began and made are the window of ten minutes and the tokens made in it.
	began time.Time
	made  int
	// live are the tokens made, the oldest first.
	live []string
}

type token struct {
	expires time.Time
	grant   *grant
}

func (s *Server) grant() {
	for refresh, g := range s.opts.Grants {
		s.grants[refresh] = &grant{Grant: g}
	}
	if s.opts.RefreshToken != "" {
		s.grants[s.opts.RefreshToken] = &grant{}
	}
}

// accounts answers the accounts host. Zoho: refresh access tokens; the
// parameters may be in the query, in a form or in parts.
func (s *Server) accounts(w http.ResponseWriter, c *call) {
	path := strings.Trim(c.URL.Path, "/")
	if path != "oauth/v2/token" && path != "oauth/v2/token/revoke" {
		s.write(w, http.StatusNotFound, noURL())
		return
	}
	if c.Method != http.MethodPost {
		s.write(w, http.StatusBadRequest, noMethod())
		return
	}
	var err error
	if strings.HasPrefix(c.Header.Get("Content-Type"), "multipart/form-data") {
		err = c.ParseMultipartForm(1 << 20)
	} else {
		err = c.ParseForm()
	}
	if err != nil {
		s.write(w, http.StatusOK, obj{"error": "invalid_request"})
		return
	}
	if strings.HasSuffix(path, "/revoke") {
		s.write(w, http.StatusOK, s.revoke(c.Form.Get("token")))
		return
	}
	_, lost := s.faults.Active(c.Request, faults.RefreshLost)
	status, body := s.refresh(c)
	if _, made := body["access_token"]; made && lost {
		panic(http.ErrAbortHandler)
	}
	s.write(w, status, body)
}

func (s *Server) revoke(name string) obj {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.grants[name]; g != nil {
		for _, live := range g.live {
			delete(s.tokens, live)
		}
		delete(s.grants, name)
		return obj{"status": "success"}
	}
	if s.tokens[name] == nil {
		return obj{"error": "invalid_code"}
	}
	delete(s.tokens, name)
	return obj{"status": "success"}
}

func (s *Server) refresh(c *call) (int, obj) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.refreshes++
	form := c.Form
	g := s.grants[form.Get("refresh_token")]
	fail := func(code string) (int, obj) { return http.StatusOK, obj{"error": code} }
	switch {
	case s.opts.ClientID == "" || form.Get("client_id") != s.opts.ClientID:
		return fail("invalid_client")
	case form.Get("client_secret") != s.opts.ClientSecret:
		return fail("invalid_client_secret")
	case form.Get("grant_type") != "refresh_token" || g == nil:
		return fail("invalid_code")
	}
	now := s.Now()
	if g.began.IsZero() || now.Sub(g.began) >= refreshWindow {
		g.began, g.made = now, 0
	}
	if g.made >= refreshLimit && s.opts.Quota != "off" {
		s.count.throttled++
		return s.knobs.RefreshLimitStatus, obj{
			"error_description": "You have made too many requests continuously. Please try again after some time.",
			"error":             "Access Denied", "status": "failure",
		}
	}
	g.made++
	for len(g.live) > 0 {
		oldest := s.tokens[g.live[0]]
		if oldest != nil && now.Before(oldest.expires) && len(g.live) < liveTokens {
			break
		}
		delete(s.tokens, g.live[0])
		g.live = g.live[1:]
	}
	name := fmt.Sprintf("1000.%016x%016x.%016x%016x", s.rand.Uint64(), s.rand.Uint64(), s.rand.Uint64(), s.rand.Uint64())
	s.tokens[name] = &token{expires: now.Add(tokenLife), grant: g}
	g.live = append(g.live, name)
	scope := "ZohoCRM.modules.ALL ZohoCRM.settings.ALL"
	if g.Scopes != nil {
		scope = strings.Join(g.Scopes, " ")
	}
	return http.StatusOK, obj{
		"access_token": name, "api_domain": s.base(c.Request), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "scope": scope,
	}
}

// base is the address under which the caller sees the API.
func (s *Server) base(r *http.Request) string {
	if s.opts.BaseURL != "" {
		return strings.TrimRight(s.opts.BaseURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// authenticate finds the caller's token and checks what it may do.
func (s *Server) authenticate(h http.Header, c *call) *refusal {
	_, expire := s.faults.Active(c.Request, faults.ExpireToken)
	name, is := strings.CutPrefix(c.Header.Get("Authorization"), "Zoho-oauthtoken ")
	if !is || name == "" {
		return refuse(http.StatusUnauthorized, "AUTHENTICATION_FAILURE", "Authentication failed", nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := s.tokens[name], s.Now()
	if t != nil && expire {
		t.expires = now
	}
	if t == nil || !now.Before(t.expires) {
		return refuse(http.StatusUnauthorized, "INVALID_TOKEN", "invalid oauth token", nil)
	}
	c.token = t
	h.Set("X-Accesstoken-Reset", t.expires.In(s.opts.TimeZone).Format(time.RFC3339))
	for _, need := range s.needs(c) {
		if t.grant.Scopes != nil && !slices.ContainsFunc(t.grant.Scopes, func(have string) bool { return covers(have, need) }) {
			return refuse(http.StatusUnauthorized, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL", nil)
		}
	}
	return nil
}

// covers reports whether a scope such as ZohoCRM.modules.WRITE includes one
// such as ZohoCRM.modules.contacts.UPDATE.
func covers(have, need string) bool {
	haveArea, haveRight, _ := cutLast(strings.ToLower(have))
	needArea, needRight, _ := cutLast(strings.ToLower(need))
	if haveArea != needArea && !strings.HasPrefix(needArea, haveArea+".") {
		return false
	}
	return haveRight == "all" || haveRight == needRight || haveRight == "write" && (needRight == "create" || needRight == "update")
}

func cutLast(s string) (before, after string, found bool) {
	at := strings.LastIndex(s, ".")
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

var fromModule = regexp.MustCompile(`(?i)\bfrom\s+(\w+)`)

// needs are the scopes of a call. Zoho: the scopes overview; search needs
// one of its own in addition, and so does COQL.
func (s *Server) needs(c *call) []string {
	right := map[string]string{
		http.MethodGet: "READ", http.MethodPost: "CREATE", http.MethodPut: "UPDATE", http.MethodPatch: "UPDATE", http.MethodDelete: "DELETE",
	}[c.Method]
	switch first := c.path[0]; {
	case first == "settings" && len(c.path) > 1:
		return []string{"ZohoCRM.settings." + c.path[1] + "." + right}
	case first == "org", first == "users":
		return []string{"ZohoCRM." + first + "." + right}
	case first == "actions":
		return []string{"ZohoCRM.notifications." + right}
	case first == "coql":
		var inner struct {
			Query string `json:"select_query"`
		}
		_ = c.decode(&inner)
		needs := []string{"ZohoCRM.coql.READ"}
		if from := fromModule.FindStringSubmatch(inner.Query); from != nil {
			needs = append(needs, s.area(from[1])+".READ")
		}
		return needs
	}
	area := s.area(c.path[0])
	switch {
	case c.is("*/upsert"):
		return []string{area + ".CREATE", area + ".UPDATE"}
	case c.is("*/search"):
		return []string{area + ".READ", "ZohoSearch.securesearch.READ"}
	case c.is("*/actions/change_owner"):
		return []string{"ZohoCRM.change_owner.CREATE"}
	case strings.HasSuffix(c.path[len(c.path)-1], "_tags"):
		return []string{area + ".CREATE"}
	case len(c.path) > 2 && c.path[2] == attachments:
		return []string{area + ".READ", "ZohoCRM.modules.attachments." + right}
	case len(c.path) > 2 && (c.path[2] == notesModule || c.path[2] == tasksModule):
		return []string{area + ".READ", s.area(c.path[2]) + "." + right}
	}
	return []string{area + "." + right}
}

func (s *Server) area(name string) string {
	if m := s.modules[name]; m != nil && m.custom {
		return "ZohoCRM.modules.custom"
	}
	return "ZohoCRM.modules." + strings.ToLower(name)
}
