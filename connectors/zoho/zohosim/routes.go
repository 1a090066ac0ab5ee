package zohosim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// call is one call on Zoho's own paths.
type call struct {
	*http.Request
	// path is what follows /crm/v8, segment by segment; nil for the token endpoint.
	path    []string
	version string
	q       url.Values
	body    []byte
	// rows is how many records a write names.
	rows int
	// query is what COQL is asked, wrong what is wrong with it.
	query *query
	wrong *refusal
	token *token
	// crowded says that too many calls were under way when this one arrived.
	crowded bool
}

// reply is an answer: a body to encode, or nothing.
type reply struct {
	status int
	body   any
	// wrote counts the call as one that stored or removed records.
	wrote bool
	// download is a file that is the answer, instead of the body.
	download *attachment
}

func ok(body any) *reply { return &reply{status: http.StatusOK, body: body} }

// nothing is the answer where there is nothing to tell. Zoho: status codes.
func nothing() *reply { return &reply{status: http.StatusNoContent} }

func unchanged() *reply { return &reply{status: http.StatusNotModified} }

var (
	versions = []string{"v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"}
	numeric  = regexp.MustCompile(`^\d{1,19}$`)
)

type callKey struct{}

// arrive takes the slots of concurrency, which a call holds until it is
// answered, latency and faults included.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.inner.ServeHTTP(w, r)
		return
	}
	c := &call{q: r.URL.Query()}
	segments := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for n, segment := range segments {
		if plain, err := url.PathUnescape(segment); err == nil {
			segments[n] = plain
		}
	}
	if len(segments) > 2 && segments[0] == "crm" && slices.Contains(versions, segments[1]) {
		c.path, c.version = segments[2:], segments[1]
	}
	if c.path != nil {
		most := int64(32 << 20)
		if c.is("*/*/" + attachments) {
			most = largestUpload
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil && most == largestUpload {
			s.write(w, http.StatusRequestEntityTooLarge, refuse(413, "BODY_SIZE_REACHED", "The request body limit reached", nil))
			return
		}
		if err != nil {
			s.write(w, http.StatusRequestEntityTooLarge, refuse(413, "REQUEST_ENTITY_TOO_LARGE", "Request body too large", nil))
			return
		}
		c.body = body
		r.Body = http.NoBody
		c.measure(r.Method)
		release := s.enter(c, r.Method)
		defer release()
	}
	s.inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
}

// measure reads what the costs of a call depend on.
func (c *call) measure(method string) {
	var sized struct {
		Data  []json.RawMessage
		IDs   []json.RawMessage
		Query string `json:"select_query"`
	}
	_ = json.Unmarshal(c.body, &sized)
	c.rows = max(len(sized.Data), len(sized.IDs))
	if method == http.MethodPost && c.is("coql") {
		c.query, c.wrong = parseCOQL(sized.Query)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control(w, r)
		return
	}
	c, _ := r.Context().Value(callKey{}).(*call)
	c.Request = r
	if c.path == nil {
		s.accounts(w, c)
		return
	}
	answer, refused := s.answer(w, c)
	if refused != nil {
		for k, v := range refused.header {
			w.Header()[k] = v
		}
		s.write(w, refused.status, s.worded(refused))
		return
	}
	if answer.download != nil {
		answer.download.serve(w)
		return
	}
	s.write(w, answer.status, answer.body)
}

func (s *Server) write(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Server", "ZGS")
	h.Set("Cache-Control", "no-store, no-cache, must-revalidate, private")
	if body == nil {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Content-Disposition", "attachment; filename=response.json")
	h.Set("Content-Language", "en-US")
	w.WriteHeader(status)
	_, _ = w.Write(simcrm.JSON(body))
}

func (s *Server) answer(w http.ResponseWriter, c *call) (*reply, *refusal) {
	if refused := s.authenticate(w.Header(), c); refused != nil {
		return nil, refused
	}
	if refused := s.spend(w.Header(), c); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	s.index.Advance(s.Now())
	s.tally(c)
	answer, refused := s.dispatch(c)
	if answer != nil && answer.wrote {
		s.count.writes++
	}
	mail, first := s.notices(), s.knobs.NoticeFirst
	s.mu.Unlock()
	s.send(mail, first)
	return answer, refused
}

// tally counts calls by their kind, ids left out.
func (s *Server) tally(c *call) {
	parts := slices.Clone(c.path)
	for n := range parts {
		if numeric.MatchString(parts[n]) || n > 0 && c.Header.Get("X-External") != "" {
			parts[n] = "{id}"
		}
	}
	s.byCall[c.Method+" /"+strings.Join(parts, "/")]++
}

// is reports whether the path, "*" standing for one segment, is this one.
func (c *call) is(pattern string) bool {
	want := strings.Split(pattern, "/")
	if len(want) != len(c.path) {
		return false
	}
	for n, w := range want {
		if w != "*" && w != c.path[n] {
			return false
		}
	}
	return true
}

func (s *Server) dispatch(c *call) (*reply, *refusal) {
	switch c.path[0] {
	case "settings":
		return s.settings(c)
	case "org":
		return s.org(c)
	case "users":
		return s.userCalls(c)
	case "coql":
		if !c.is("coql") {
			return nil, noURL()
		}
		return s.coql(c)
	case "actions":
		if !c.is("actions/watch") {
			return nil, noURL()
		}
		return s.watch(c)
	}
	m := s.modules[c.path[0]]
	if m == nil {
		return nil, noSuchModule()
	}
	switch {
	case len(c.path) == 1:
		return s.collection(c, m)
	case c.is("*/upsert"):
		return s.on(http.MethodPost, c, m, s.upsert)
	case c.is("*/deleted"):
		return s.on(http.MethodGet, c, m, s.deleted)
	case c.is("*/search"):
		return s.on(http.MethodGet, c, m, s.search)
	case c.is("*/actions/count"):
		return s.on(http.MethodGet, c, m, s.counted)
	case c.is("*/actions/change_owner"):
		return s.on(http.MethodPost, c, m, s.changeOwner)
	case c.is("*/actions/add_tags"), c.is("*/*/actions/add_tags"):
		return s.on(http.MethodPost, c, m, s.addTags)
	case c.is("*/actions/remove_tags"), c.is("*/*/actions/remove_tags"):
		return s.on(http.MethodPost, c, m, s.removeTags)
	case len(c.path) >= 3 && c.path[2] == attachments:
		return s.attachments(c, m)
	case len(c.path) >= 3 && c.path[2] == "Notes":
		return s.relatedNotes(c, m)
	case c.is("*/*/" + tasksModule):
		return s.on(http.MethodGet, c, m, s.relatedTasks)
	case len(c.path) == 2:
		return s.single(c, m)
	}
	return nil, noURL()
}

func (s *Server) on(method string, c *call, m *module, handle func(*call, *module) (*reply, *refusal)) (*reply, *refusal) {
	if c.Method != method {
		return nil, noMethod()
	}
	return handle(c, m)
}

// collection answers calls on all records of a module.
func (s *Server) collection(c *call, m *module) (*reply, *refusal) {
	switch c.Method {
	case http.MethodGet:
		return s.list(c, m)
	case http.MethodPost:
		if m.name == notesModule {
			return s.createNotes(c, m, nil)
		}
		return s.insert(c, m)
	case http.MethodPut:
		return s.update(c, m, "")
	case http.MethodDelete:
		return s.remove(c, m, strings.Split(c.q.Get("ids"), ","))
	}
	return nil, noMethod()
}

// single answers calls on one record, named by its id or by an external one.
func (s *Server) single(c *call, m *module) (*reply, *refusal) {
	id, refused := s.identify(c, m, c.path[1])
	if refused != nil {
		return nil, refused
	}
	switch c.Method {
	case http.MethodGet:
		return s.get(c, m, id)
	case http.MethodPut:
		return s.update(c, m, id)
	case http.MethodDelete:
		return s.remove(c, m, []string{id})
	}
	return nil, noMethod()
}

// decode reads a body whatever its Content-Type says; Zoho's own SDK sends none.
func (c *call) decode(into any) *refusal {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return bad(invalidData, "invalid data", obj{"expected_data_type": "jsonobject"})
	}
	return nil
}
