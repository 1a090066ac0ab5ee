package bitrix24sim

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// who makes a call.
type who struct {
	user int64
	// key tells tokens apart for their operating budgets.
	key string
	app bool
}

// call is one command: a call of its own or one in a batch.
type call struct {
	r      *http.Request
	method string
	p      *dict
	who    who
	nested bool
	// wrote says that something was asked to be stored, and was.
	wrote bool
}

// reply is what a method answers.
type reply struct {
	result any
	// total and next stand beside the result when they are not nil.
	total, next *int
}

func ok(result any) (*reply, *refusal) { return &reply{result: result}, nil }

// method is an entry in the table of methods.
type method struct {
	scope string
	// app methods need an application's token.
	app   bool
	write bool
	run   func(s *Server, c *call) (*reply, *refusal)
}

var allScopes = []string{"crm", "task", "user", "user_basic", "user_brief"}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	s.mu.Lock()
	moved := s.knobs.RenamedTo
	s.mu.Unlock()
	switch {
	case strings.HasPrefix(path, "/_sim/"):
		s.control(w, r)
	case strings.HasPrefix(path, "/oauth/token"):
		s.token(w, r)
	case moved != "":
		// Bitrix24: changing the domain.
		w.Header().Set("Location", strings.TrimRight(moved, "/")+r.URL.RequestURI())
		w.WriteHeader(http.StatusFound)
	case strings.HasPrefix(path, "/rest/"):
		s.rest(w, r, strings.Split(strings.Trim(strings.TrimPrefix(path, "/rest/"), "/"), "/"))
	default:
		http.NotFound(w, r)
	}
}

// rest answers /rest/{method} and /rest/{user}/{secret}/{method}.
func (s *Server) rest(w http.ResponseWriter, r *http.Request, parts []string) {
	p, broken := params(r)
	s.mu.Lock()
	status, body := s.answer(r, parts, p, broken)
	events := s.flush()
	s.mu.Unlock()
	s.post.take(events)
	send(w, status, body)
}

func (s *Server) answer(r *http.Request, parts []string, p *dict, broken bool) (int, any) {
	began := s.Now()
	fail := func(refused *refusal) (int, any) { return refused.status, refused.body() }
	if _, throttle := s.faults.Active(r, faults.Throttle); throttle || !s.admit(r) {
		s.throttled++
		return fail(queryLimit())
	}
	c := &call{r: r, p: p, method: strings.TrimSuffix(strings.ToLower(parts[len(parts)-1]), ".json")}
	if methods[c.method].run == nil || len(parts) != 1 && len(parts) != 3 {
		return fail(noMethod())
	}
	if refused := s.identify(c, parts); refused != nil {
		return fail(refused)
	}
	if broken {
		return fail(refuse(http.StatusBadRequest, "100", "Syntax error in the JSON body"))
	}
	out, refused := s.run(c)
	if c.wrote {
		s.writes++
	}
	if refused != nil {
		if refused.code == operationLimit().code {
			s.throttled++
		}
		return fail(refused)
	}
	body := obj{"result": out.result, "time": s.timing(began, s.quota.operating[c.who.key+" "+c.method])}
	if out.total != nil {
		body["total"] = *out.total
	}
	if out.next != nil {
		body["next"] = *out.next
	}
	return http.StatusOK, body
}

// identify finds out who calls.
func (s *Server) identify(c *call, parts []string) *refusal {
	if len(parts) == 1 {
		return s.identifyToken(c)
	}
	// A webhook which expired or changed its secret is not documented to
	// answer anything else.
	_, expired := s.faults.Active(c.r, faults.ExpireToken)
	if expired || s.opts.Secret == "" || parts[0] != strconv.FormatInt(s.opts.UserID, 10) || parts[1] != s.opts.Secret {
		return s.denied(http.StatusForbidden, "INVALID_CREDENTIALS", "Invalid request credentials")
	}
	c.who = who{user: s.opts.UserID, key: "webhook"}
	return nil
}

// run carries out one command, nested or not.
func (s *Server) run(c *call) (*reply, *refusal) {
	m := methods[c.method]
	if m.run == nil {
		return nil, noMethod()
	}
	if m.scope != "" && !slices.ContainsFunc(s.opts.Scopes, func(scope string) bool {
		return scope == m.scope || m.scope == "user" && strings.HasPrefix(scope, "user_b")
	}) {
		by := "webhook"
		if c.who.app {
			by = "access"
		}
		return nil, s.denied(http.StatusForbidden, "insufficient_scope", "The request requires higher privileges than provided by the "+by+" token")
	}
	if m.app && !c.who.app {
		if strings.HasPrefix(c.method, "crm.activity.configurable.") {
			return nil, refuse(http.StatusBadRequest, "ERROR_WRONG_CONTEXT", "Method can only be called in the context of a rest application")
		}
		return nil, wrongAuthType()
	}
	if c.method == "batch" {
		return m.run(s, c)
	}
	b := s.budget(c)
	if s.opts.Quota != "off" && b.used() >= s.opts.Limits.Operating {
		return nil, operationLimit()
	}
	b.charge(s.Now(), s.opts.OperatingCost)
	if m.write {
		if _, hit := s.faults.Rejects(c.method + " " + string(simcrm.JSON(c.p))); hit {
			return nil, rejected(c.method)
		}
	}
	out, refused := m.run(s, c)
	c.wrote = c.wrote || m.write && refused == nil
	return out, refused
}

func rejected(method string) *refusal {
	if strings.HasPrefix(method, "crm.item.") {
		return refuse(http.StatusBadRequest, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "The value of a field is not valid")
	}
	if strings.HasPrefix(method, "crm.contact.") {
		return core("The field Work e-mail contains an invalid address")
	}
	if strings.HasPrefix(method, "tasks.") {
		return core("The value of a field is not valid<br>")
	}
	return badArg("The value of a field is not valid")
}

// params reads the query and, over it, the body. Bitrix24: general principles.
func params(r *http.Request) (p *dict, broken bool) {
	p = newDict()
	parseForm(r.URL.RawQuery, p)
	kind := r.Header.Get("Content-Type")
	if strings.HasPrefix(kind, "multipart/form-data") {
		if err := r.ParseMultipartForm(32 << 20); err != nil {
			return p, true
		}
		for name, values := range r.MultipartForm.Value {
			for _, v := range values {
				place(p, name, v)
			}
		}
		return p, false
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return p, true
	}
	if strings.Contains(kind, "json") {
		if len(raw) == 0 {
			return p, false
		}
		v, err := decode(raw)
		body, is := v.(*dict)
		if err != nil || !is && v != nil {
			return p, true
		}
		for _, k := range body.names() {
			p.set(k, body.get(k))
		}
		return p, false
	}
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		parseForm(string(raw), p)
	}
	return p, false
}

func (d *dict) names() []string {
	if d == nil {
		return nil
	}
	return d.keys
}
