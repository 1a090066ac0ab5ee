package hubspotsim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// Scopes that the served calls ask for.
const (
	scopeRead        = "crm.objects.contacts.read"
	scopeWrite       = "crm.objects.contacts.write"
	scopeSchemaRead  = "crm.schemas.contacts.read"
	scopeSchemaWrite = "crm.schemas.contacts.write"
	scopeOwners      = "crm.objects.owners.read"
)

// tokenLife is how long an OAuth access token is good for.
const tokenLife = 30 * time.Minute

type token struct {
	name  string
	oauth bool
	// expires is zero for static tokens.
	expires time.Time
	// scopes are those granted; nil is every scope.
	scopes []string
}

func (s *Server) grantStatic() {
	if s.opts.Token != "" {
		s.tokens[s.opts.Token] = &token{name: "private"}
	}
	for name, scopes := range s.opts.Tokens {
		s.tokens[name] = &token{name: name, scopes: append([]string{}, scopes...)}
	}
}

// authenticate finds the caller's token and checks what it may do. HubSpot:
// an expired token is told from an unknown one by category and context.
func (s *Server) authenticate(c *call) *refusal {
	_, expire := s.faults.Active(c.Request, faults.ExpireToken)
	bearer, is := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[bearer]
	if !is || t == nil {
		return refuse(http.StatusUnauthorized, "INVALID_AUTHENTICATION",
			"Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "+
				"details at https://developers.hubspot.com/docs/methods/auth/oauth-overview")
	}
	now := s.Now()
	if expire && t.expires.IsZero() {
		return expired(now, now.Add(-2*time.Minute))
	}
	if expire && t.expires.After(now) {
		t.expires = now
	}
	if !t.expires.IsZero() && !now.Before(t.expires) {
		return expired(now, t.expires)
	}
	c.token = t
	needs := c.scopes()
	if len(needs) > 0 && t.scopes != nil && !slices.ContainsFunc(needs, func(one string) bool { return slices.Contains(t.scopes, one) }) {
		return missingScope(needs...)
	}
	return nil
}

func expired(now, since time.Time) *refusal {
	ago := now.Sub(since)
	words := fmt.Sprintf("%d minute(s)", int(ago.Minutes()))
	if ago < time.Minute {
		words = fmt.Sprintf("%d second(s)", int(ago.Seconds()))
	}
	return refuse(http.StatusUnauthorized, "EXPIRED_AUTHENTICATION",
		"The OAuth token used to make this call expired %s ago.", words).with("expire time", simcrm.Stamp(since))
}

func missingScope(needs ...string) *refusal {
	r := refuse(http.StatusForbidden, "MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call. "+
		"Read more about required scopes here: https://developers.hubspot.com/scopes.")
	r.Errors = []detail{{
		Message: "One or more of the following scopes are required.",
		Context: map[string][]string{"requiredGranularScopes": needs},
	}}
	r.Links = map[string]string{"scopes": "https://developers.hubspot.com/scopes"}
	return r
}

// scopes are those of which the call needs one. HubSpot: the contacts' scopes
// also cover communications and tasks.
func (c *call) scopes() []string {
	reads := c.Method == http.MethodGet || strings.HasSuffix(c.URL.Path, "/batch/read") || strings.HasSuffix(c.URL.Path, "/search")
	switch {
	case c.family == "account-info":
		return nil // oauth, which every app has
	case c.family == "files" && reads:
		return []string{scopeFiles, scopeFilesRead}
	case c.family == "files" && c.strict():
		return []string{scopeFiles, scopeFilesWrite}
	case c.family == "files":
		return []string{scopeFiles}
	case c.family == "owners":
		return []string{scopeOwners}
	case c.family == "properties" && reads:
		return []string{scopeSchemaRead}
	case c.family == "properties":
		return []string{scopeSchemaWrite}
	case reads:
		return []string{scopeRead}
	default:
		return []string{scopeWrite}
	}
}

// oauth answers the token endpoint. HubSpot: the manage OAuth tokens guide;
// errors are 400 and carry both RFC 6749's fields and HubSpot's.
func (s *Server) oauth(c *call) (*reply, *refusal) {
	if !c.is(http.MethodPost, "token") {
		return nil, c.noRoute()
	}
	if kind := c.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		return nil, refuse(http.StatusUnsupportedMediaType, "", "Use application/x-www-form-urlencoded")
	}
	if err := c.ParseForm(); err != nil {
		return nil, refuse(http.StatusBadRequest, "", "The form cannot be read")
	}
	_, lost := s.faults.Active(c.Request, faults.RefreshLost)
	answer, refused := s.refresh(c.PostForm)
	if lost && refused == nil {
		panic(http.ErrAbortHandler)
	}
	if refused != nil {
		return &reply{status: http.StatusBadRequest, body: refused}, nil
	}
	return ok(answer), nil
}

type tokenError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Status      string `json:"status"`
	Message     string `json:"message"`
}

func (s *Server) refresh(form url.Values) (map[string]any, *tokenError) {
	fail := func(code, status, message string) (map[string]any, *tokenError) {
		return nil, &tokenError{code, message, status, message}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case form.Get("grant_type") != "refresh_token":
		return fail("unsupported_grant_type", "BAD_GRANT_TYPE", "missing or unknown grant type")
	case s.opts.ClientID == "" || form.Get("client_id") != s.opts.ClientID:
		return fail("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id")
	case form.Get("client_secret") != s.opts.ClientSecret:
		return fail("invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret")
	case s.refreshToken == "" || form.Get("refresh_token") != s.refreshToken:
		return fail("invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")
	}
	now := s.Now()
	for name, t := range s.tokens {
		if t.oauth && now.Sub(t.expires) > time.Hour {
			delete(s.tokens, name)
		}
	}
	name := fmt.Sprintf("sim-access-%016x%016x", s.rand.Uint64(), s.rand.Uint64())
	s.tokens[name] = &token{name: "oauth", oauth: true, expires: now.Add(tokenLife)}
	if s.opts.RotateRefreshToken {
		s.refreshToken = fmt.Sprintf("sim-refresh-%016x", s.rand.Uint64())
	}
	return map[string]any{
		"token_type": "bearer", "access_token": name, "refresh_token": s.refreshToken, "expires_in": int(tokenLife.Seconds()),
		"hub_id": s.opts.PortalID, "user_id": 1001, "token_use": "access_token",
		"scopes": []string{"oauth", scopeRead, scopeWrite, scopeSchemaRead, scopeSchemaWrite, scopeOwners, scopeFiles},
	}, nil
}
