package hubspotsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// dated are the date versions served; numbered paths put the version elsewhere.
var dated = []string{"2026-03", "2026-09"}

// call is one call on HubSpot's own paths.
type call struct {
	*http.Request
	// version is "v3", "v4" or a date; family the API, such as "objects".
	version, family string
	// rest is the path after version and family.
	rest  []string
	body  []byte
	token *token
}

// strict reports whether the version enforces what 2026-09 began to enforce.
func (c *call) strict() bool { return c.version == "2026-09" }

// reply is an answer: a body to encode, or nothing.
type reply struct {
	status   int
	body     any
	location string
	// wrote counts the call as one that stored or removed records.
	wrote bool
	// download is a file that is the answer, instead of the body.
	download *upload
}

func ok(body any) *reply { return &reply{status: http.StatusOK, body: body} }

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control(w, r)
		return
	}
	id := s.correlation()
	c := &call{Request: r}
	answer, refused := s.answer(w, c)
	if refused != nil {
		refused.CorrelationID = id
		for k, v := range refused.header {
			w.Header()[k] = v
		}
		s.write(w, id, refused.status, refused)
		return
	}
	if answer.location != "" {
		w.Header().Set("Location", answer.location)
	}
	if answer.wrote {
		s.mu.Lock()
		s.writes++
		s.mu.Unlock()
	}
	if answer.download != nil {
		correlate(w, id)
		answer.download.serve(w)
		return
	}
	s.write(w, id, answer.status, answer.body)
}

// correlate names the call in its answer's headers.
func correlate(w http.ResponseWriter, id string) {
	w.Header().Set("X-HubSpot-Correlation-Id", id)
	w.Header().Set("X-Request-Id", id)
}

func (s *Server) write(w http.ResponseWriter, correlation string, status int, body any) {
	correlate(w, correlation)
	if r, refused := body.(*refusal); refused && r.CorrelationID == "" {
		r.CorrelationID = correlation
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(simcrm.JSON(body))
}

func (s *Server) answer(w http.ResponseWriter, c *call) (*reply, *refusal) {
	if !c.resolve() {
		return nil, refuse(http.StatusNotFound, "", "No route found for %s", c.URL.Path)
	}
	if c.family == "oauth" {
		return s.oauth(c)
	}
	if refused := s.authenticate(c); refused != nil {
		return nil, refused
	}
	if refused := s.spend(w, c); refused != nil {
		return nil, refused
	}
	most := int64(32 << 20)
	if c.family == "files" {
		most = largestForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, most))
	if err != nil {
		return nil, refuse(http.StatusRequestEntityTooLarge, "", "Request body too large")
	}
	c.body = body
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	s.index.Advance(s.Now())
	switch c.family {
	case "objects":
		return s.objects(c)
	case "properties":
		return s.properties(c)
	case "owners":
		return s.ownerCalls(c)
	case "files":
		return s.files(c)
	case "account-info":
		return s.accountInfo(c)
	default:
		return s.associationBatch(c)
	}
}

// resolve reads version and family off the path. HubSpot: the date sits
// behind the family, the number before it.
func (c *call) resolve() bool {
	parts := strings.Split(strings.Trim(c.URL.Path, "/"), "/")
	if len(parts) < 3 {
		return false
	}
	if parts[0] == "oauth" {
		c.family, c.version, c.rest = "oauth", parts[1], parts[2:]
		return slices.Contains(append([]string{"v1", "v3"}, dated...), c.version)
	}
	if parts[0] == "files" {
		c.family, c.version, c.rest = "files", parts[1], parts[2:]
		return slices.Contains(append([]string{"v3"}, dated...), c.version)
	}
	if parts[0] == "account-info" {
		c.family, c.version, c.rest = "account-info", parts[1], parts[2:]
		return slices.Contains(append([]string{"v3"}, dated...), c.version)
	}
	if parts[0] != "crm" {
		return false
	}
	numbered := map[string][]string{
		"v3": {"objects", "properties", "owners"},
		"v4": {"objects", "associations"},
	}
	if families, is := numbered[parts[1]]; is {
		c.version, c.family, c.rest = parts[1], parts[2], parts[3:]
		// v4 knows of objects only what belongs to associations.
		if c.version == "v4" && c.family == "objects" && (len(c.rest) < 4 || c.rest[2] != "associations") {
			return false
		}
		return slices.Contains(families, c.family)
	}
	c.family, c.version, c.rest = parts[1], parts[2], parts[3:]
	return slices.Contains([]string{"objects", "properties", "owners", "associations"}, c.family) &&
		slices.Contains(dated, c.version)
}

// is reports whether method and the rest of the path, "*" standing for one
// segment, are these.
func (c *call) is(method, pattern string) bool {
	var want []string
	if pattern != "" {
		want = strings.Split(pattern, "/")
	}
	if c.Method != method || len(want) != len(c.rest) {
		return false
	}
	for n, w := range want {
		if w != "*" && w != c.rest[n] {
			return false
		}
	}
	return true
}

func (c *call) noRoute() *refusal {
	return refuse(http.StatusNotFound, "", "No route found for %s %s", c.Method, c.URL.Path)
}

// decode reads the body in the tone of HubSpot's deserialiser.
func (c *call) decode(into any) *refusal {
	if len(c.body) == 0 {
		return refuse(http.StatusBadRequest, "", "a request body was expected")
	}
	err := json.Unmarshal(c.body, into)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return malformed(kind.Offset, wrongType(kind.Type.String(), kind.Value))
	case errors.As(err, &syntax):
		return malformed(syntax.Offset, "Unexpected character")
	default:
		return malformed(1, err.Error())
	}
}

func wrongType(want, got string) string {
	java := map[string]string{"hubspotsim.text": "java.lang.String", "string": "java.lang.String", "int": "int", "bool": "boolean"}
	name := java[want]
	if name == "" {
		name = "java.util.LinkedHashMap"
	}
	token, from := "VALUE_STRING", "String"
	switch {
	case strings.HasPrefix(got, "array"):
		token, from = "START_ARRAY", "Array"
	case strings.HasPrefix(got, "object"):
		token, from = "START_OBJECT", "Object"
	case strings.HasPrefix(got, "number"):
		token, from = "VALUE_NUMBER_INT", "Integer"
	}
	return fmt.Sprintf("Cannot deserialize value of type `%s` from %s value (token `JsonToken.%s`)", name, from, token)
}

// text is a value that HubSpot keeps as a string whatever scalar was sent.
type text string

// UnmarshalJSON accepts strings, numbers, booleans and null.
func (t *text) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*t = text(s)
	case '[':
		return errors.New(wrongType("string", "array"))
	case '{':
		return errors.New(wrongType("string", "object"))
	case 'n':
		*t = ""
	default:
		*t = text(raw)
	}
	return nil
}
