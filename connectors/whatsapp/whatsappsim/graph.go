package whatsappsim

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
)

const (
	scopeMessaging  = "whatsapp_business_messaging"
	scopeManagement = "whatsapp_business_management"
)

// Token is what the platform knows of an access token.
type Token struct {
	Scopes []string
	Issued time.Time
	// Expires is zero for a system user's token.
	Expires time.Time
	// Foreign tokens are valid but reach neither the number nor the WABA.
	Foreign bool
}

// SetToken makes a token known, or changes it.
func (s *Server) SetToken(token string, t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = t
}

// failure is a Graph error.
type failure struct {
	http, code, subcode    int
	kind, message, details string
}

// refuse makes the failure for a code, with the HTTP status that is usual for
// it. Meta does not document the statuses; clients decide on the code.
func refuse(code int, details string, args ...any) *failure {
	f := &failure{http: http.StatusBadRequest, code: code, kind: "OAuthException", details: fmt.Sprintf(details, args...)}
	switch code {
	case 190, 0:
		f.http = http.StatusUnauthorized
	case 10, 200, 130497, 131031, 131005, 368:
		f.http = http.StatusForbidden
	case 132001:
		f.http = http.StatusNotFound
	case 131000, 131016, 131057:
		f.http = http.StatusInternalServerError
	case 2, 133004:
		f.http = http.StatusServiceUnavailable
	case 803:
		f.http, f.kind = http.StatusNotFound, "GraphMethodException"
	case 2500:
		f.http = http.StatusNotFound
	}
	f.message = fmt.Sprintf("(#%d) %s", code, title(code))
	return f
}

// title is the name of an error. Clients must not match on it.
func title(code int) string {
	if t, ok := titles[code]; ok {
		return t
	}
	return "Invalid parameter"
}

var titles = map[int]string{
	2:       "Service temporarily unavailable",
	4:       "Application request limit reached",
	10:      "Application does not have permission for this action",
	80007:   "There have been too many calls to this WhatsApp Business account. Wait a bit and try again.",
	130429:  "Rate limit hit",
	130472:  "User's number is part of an experiment",
	130497:  "Business account is restricted from messaging users in this country",
	131000:  "Something went wrong",
	131008:  "Required parameter is missing",
	131009:  "Parameter value is not valid",
	131016:  "Service unavailable",
	131021:  "Recipient cannot be sender",
	131026:  "Message undeliverable",
	131030:  "Recipient phone number not in allowed list",
	131031:  "Business Account locked",
	131047:  "Re-engagement message",
	131048:  "Spam rate limit hit",
	131049:  "This message was not delivered to maintain healthy ecosystem engagement.",
	131050:  "User has stopped marketing messages from this business",
	131051:  "Unsupported message type",
	131053:  "Media upload error",
	131056:  "(Business Account, Consumer Account) pair rate limit hit",
	131057:  "Account in maintenance mode",
	131062:  "Recipient user id is not supported for this message",
	132000:  "Number of parameters does not match the expected number of params",
	132001:  "Template name does not exist in the translation",
	132005:  "Translated text too long",
	132012:  "Parameter format does not match format in the created template",
	132015:  "Template is paused",
	132016:  "Template is disabled",
	132018:  "There is a problem with the template parameters",
	133004:  "Server temporarily unavailable",
	133005:  "Two step verification PIN mismatch",
	133010:  "Account not registered",
	133015:  "Please wait a few minutes before attempting to register this phone number",
	133016:  "Registration or deregistration exceeded the rate limit",
	2388024: "Content in this language already exists",
	2593107: "Synchronization request limit exceeded",
	2593108: "Synchronization request made outside of the allowed time window",
}

var version = regexp.MustCompile(`^v\d+\.\d+$`)

// serveGraph answers one Graph call. Cloud API guide: a path without version
// is accepted.
func (s *Server) serveGraph(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	v := s.opt.GraphVersion
	if version.MatchString(path[0]) && len(path) > 1 {
		v, path = path[0], path[1:]
	}
	setHeader(w.Header(), v)
	s.mu.Lock()
	s.stats.Calls++
	s.mu.Unlock()
	answer, f := s.call(w, r, path)
	if f != nil {
		s.writeFailure(w, f)
		return
	}
	if answer == nil { // already written
		return
	}
	_, _ = w.Write(encode(answer))
}

// setHeader sets what every answer of the Graph has.
func setHeader(h http.Header, version string) {
	h.Set("Content-Type", "application/json")
	h.Set("facebook-api-version", version)
	h.Set("x-fb-trace-id", trace())
	h.Set("x-fb-request-id", trace())
	h.Set("x-fb-rev", "1030000000")
}

// outage answers with the Graph error that a fault names, if it names one.
func (s *Server) outage(w http.ResponseWriter, _ *http.Request, fault faults.Fault) bool {
	if fault.Code == 0 {
		return false
	}
	f := refuse(fault.Code, "")
	f.http = cmp.Or(fault.Status, f.http)
	setHeader(w.Header(), s.opt.GraphVersion)
	s.writeFailure(w, f)
	return true
}

func (s *Server) writeFailure(w http.ResponseWriter, f *failure) {
	switch f.code {
	case 4, 80007, 130429, 131056:
		s.mu.Lock()
		s.stats.Throttled++
		s.mu.Unlock()
	}
	e := map[string]any{"message": f.message, "type": f.kind, "code": f.code, "fbtrace_id": w.Header().Get("x-fb-trace-id")}
	if f.subcode != 0 {
		e["error_subcode"] = f.subcode
	}
	if f.details != "" {
		e["error_data"] = map[string]any{"messaging_product": "whatsapp", "details": f.details}
	}
	w.WriteHeader(f.http)
	_, _ = w.Write(encode(map[string]any{"error": e}))
}

// call routes and answers. A nil answer without failure means that the handler
// has written it.
func (s *Server) call(w http.ResponseWriter, r *http.Request, path []string) (any, *failure) {
	id, edge := path[0], strings.Join(path[1:], "/")
	route := r.Method + " " + edge
	number, waba := id == s.opt.PhoneNumberID, id == s.opt.WABAID

	switch {
	case id == "debug_token" && route == "GET ":
		if _, f := s.authorize(r, ""); f != nil {
			return nil, f
		}
		return s.debugToken(r.URL.Query().Get("input_token")), nil
	case id == mediaPath:
		return s.mediaBytes(w, r, edge)
	case !numeric(id):
		return nil, s.unknownRoute(r)
	case route == "POST messages":
		if f := s.access(r, scopeMessaging, number, 100); f != nil {
			return nil, f
		}
		return s.postMessage(w, r)
	case route == "POST media":
		if f := s.access(r, scopeMessaging, number, 100); f != nil {
			return nil, f
		}
		return s.uploadMedia(r)
	}
	s.mu.Lock()
	_, isMedia := s.media[id]
	s.mu.Unlock()
	if !number && !waba && edge == "" && (isMedia || r.URL.Query().Has("phone_number_id")) {
		if f := s.access(r, scopeMessaging, true, 100); f != nil {
			return nil, f
		}
		return s.describeMedia(r, id)
	}

	handler, ok := map[string]func(*http.Request) (any, *failure){
		"number GET ":                    s.getNumber,
		"number POST ":                   s.postNumber,
		"number POST register":           s.register,
		"number POST deregister":         s.deregister,
		"number POST request_code":       s.requestCode,
		"number POST verify_code":        s.verifyCode,
		"number POST smb_app_data":       s.syncApp,
		"waba GET subscribed_apps":       s.getSubscribedApps,
		"waba POST subscribed_apps":      s.postSubscribedApps,
		"waba DELETE subscribed_apps":    s.deleteSubscribedApps,
		"waba GET phone_numbers":         s.getPhoneNumbers,
		"waba GET message_templates":     s.getTemplates,
		"waba POST message_templates":    s.postTemplate,
		"waba DELETE message_templates":  s.deleteTemplate,
		"unknown GET ":                   nil,
		"unknown GET phone_numbers":      nil,
		"unknown GET subscribed_apps":    nil,
		"unknown POST subscribed_apps":   nil,
		"unknown DELETE subscribed_apps": nil,
		"unknown GET message_templates":  nil,
		"unknown POST message_templates": nil,
	}[owner(number, waba)+" "+route]
	if !ok {
		return nil, s.unknownRoute(r)
	}
	if f := s.access(r, scopeManagement, number || waba, s.opt.Codes.UnknownObject); f != nil {
		return nil, f
	}
	if f := s.usage(w); f != nil {
		return nil, f
	}
	return handler(r)
}

func owner(number, waba bool) string {
	switch {
	case number:
		return "number"
	case waba:
		return "waba"
	}
	return "unknown"
}

func (s *Server) unknownRoute(r *http.Request) *failure {
	f := refuse(s.opt.Codes.UnknownRoute, "")
	f.http = http.StatusNotFound
	f.message = fmt.Sprintf("Unknown path components: %s", r.URL.Path)
	return f
}

// authorize checks the token alone. Graph also takes it in the query.
func (s *Server) authorize(r *http.Request, scope string) (Token, *failure) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		secret = r.URL.Query().Get("access_token")
	}
	if secret == "" {
		f := refuse(s.opt.Codes.NoToken, "")
		f.message = "Invalid OAuth access token - Cannot parse access token"
		if s.opt.Codes.NoToken == 104 {
			f.message = "An access token is required to request this resource."
		}
		return Token{}, f
	}
	s.mu.Lock()
	token, known := s.tokens[secret]
	s.mu.Unlock()
	if !known {
		f := refuse(190, "")
		f.message = "Invalid OAuth access token - Cannot parse access token"
		return token, f
	}
	_, expire := s.faults.Active(r, faults.ExpireToken)
	if expire || !token.Expires.IsZero() && s.now().After(token.Expires) {
		f := refuse(190, "")
		f.subcode = 463
		f.message = "Error validating access token: Session has expired"
		return token, f
	}
	if scope != "" && !slices.Contains(token.Scopes, scope) {
		return token, refuse(10, "%s is missing", scope)
	}
	return token, nil
}

// access checks the token, its permission and whether it reaches the object.
// An object that does not exist and one out of reach look the same.
func (s *Server) access(r *http.Request, scope string, exists bool, code int) *failure {
	token, f := s.authorize(r, scope)
	if f != nil {
		return f
	}
	if exists && !token.Foreign {
		return nil
	}
	f = refuse(code, "")
	f.message = "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, or does not support this operation"
	if code == 100 {
		f.subcode = 33
		f.kind = "GraphMethodException"
	}
	return f
}

func (s *Server) debugToken(secret string) any {
	s.mu.Lock()
	token, known := s.tokens[secret]
	s.mu.Unlock()
	if !known {
		return map[string]any{"data": map[string]any{
			"is_valid": false, "scopes": []string{},
			"error": map[string]any{"code": 190, "message": "Invalid OAuth access token"},
		}}
	}
	expires := int64(0)
	if !token.Expires.IsZero() {
		expires = token.Expires.Unix()
	}
	data := map[string]any{
		"app_id": s.opt.AppID, "type": "SYSTEM_USER", "application": "crmsync",
		"data_access_expires_at": 0, "expires_at": expires, "is_valid": true,
		"issued_at": token.Issued.Unix(), "scopes": token.Scopes, "user_id": "122100000000000",
	}
	if expires != 0 && s.now().After(token.Expires) {
		data["is_valid"] = false
		data["error"] = map[string]any{"code": 190, "subcode": 463, "message": "Error validating access token: Session has expired"}
	}
	granular := []any{}
	for _, scope := range token.Scopes {
		granular = append(granular, map[string]any{"scope": scope, "target_ids": []string{s.opt.WABAID}})
	}
	data["granular_scopes"] = granular
	return map[string]any{"data": data}
}

// body decodes a request's JSON object. An empty body is an empty object.
func body(r *http.Request) (map[string]any, *failure) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil && len(raw) == 0 {
		return map[string]any{}, nil
	}
	var doc map[string]any
	if err != nil || json.Unmarshal(raw, &doc) != nil || doc == nil {
		return nil, refuse(100, "The request body is not a JSON object")
	}
	return doc, nil
}

func success() any { return map[string]any{"success": true} }

func numeric(id string) bool {
	_, err := strconv.ParseUint(id, 10, 64)
	return err == nil
}

func trace() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return "A" + hex.EncodeToString(b[:])
}
