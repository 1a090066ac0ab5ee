package bitrix24

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

type m = map[string]any

// no is a failure of a method.
type no struct {
	status     int
	code, text string
}

// paged is a list with another page behind it.
type paged struct {
	rows []m
	next int
}

// whole is an answer that is given as it is.
type whole struct {
	status int
	body   string
	header http.Header
}

// A method answers with a result, or with no, paged or whole.
type method func(q url.Values) any

// A portal answers what it is told to, method by method, alone or in batches,
// and remembers what it was asked.
type portal struct {
	t       *testing.T
	url     string
	mu      sync.Mutex
	methods map[string]method
	// front is asked before anything else, nil being no answer.
	front func(path string, body m) any
	// operating is what result_time says about a method.
	operating map[string]float64
	requests  [][]string
	asked     []ask
}

type ask struct {
	method string
	q      url.Values
}

const secretPath = "/rest/7/s3cr3t/"

func newPortal(t *testing.T) (*portal, *Client) {
	t.Helper()
	p := &portal{t: t, methods: map[string]method{}, operating: map[string]float64{}}
	s := httptest.NewServer(p)
	p.url = s.URL
	c := New(Options{WebhookURL: s.URL + secretPath, Region: "IT", Timeout: 2 * time.Second, BatchTimeout: 2 * time.Second, HTTP: s.Client()})
	t.Cleanup(func() { c.rest.CloseIdle(); s.Close() })
	p.on(contactFields, always(fields()))
	p.on(findByComm, always([]any{}))
	p.on(contactList, always([]any{}))
	return p, c
}

func fields() m {
	plain := func(typ string) m { return m{"type": typ, "isMultiple": false, "isReadOnly": false} }
	list := func(multiple bool, values ...string) m {
		var items []m
		for i, v := range values {
			items = append(items, m{"ID": fmt.Sprint(100 + i), "VALUE": v})
		}
		return m{"type": "enumeration", "isMultiple": multiple, "isDynamic": true, "items": items}
	}
	return m{
		"ID":   m{"type": "integer", "isReadOnly": true},
		"NAME": plain("string"), "LAST_NAME": plain("string"), "SECOND_NAME": plain("string"), "COMMENTS": plain("string"),
		"DATE_MODIFY": m{"type": "datetime", "isReadOnly": true}, "BIRTHDATE": plain("date"), "OPENED": plain("char"),
		"ASSIGNED_BY_ID": plain("user"),
		"PHONE":          m{"type": "crm_multifield", "isMultiple": true},
		"EMAIL":          m{"type": "crm_multifield", "isMultiple": true},
		keyField:         plain("string"),
		"UF_CRM_NUMBER":  plain("integer"), "UF_CRM_SCORE": plain("double"), "UF_CRM_OPT_IN": plain("boolean"), "UF_CRM_SINCE": plain("datetime"),
		"UF_CRM_LEVEL": list(false, "Gold", "Silver"), "UF_CRM_LABELS": list(true, "vip", "new"),
	}
}

func (p *portal) on(name string, f method) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.methods[name] = f
}

func always(v any) method { return func(url.Values) any { return v } }

// flat is a JSON body as PHP would have got it as a form.
func flat(prefix string, v any, q url.Values) {
	inside := func(k string) string {
		if prefix == "" {
			return k
		}
		return prefix + "[" + k + "]"
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flat(inside(k), x, q)
		}
	case []any:
		for i, x := range v {
			flat(inside(fmt.Sprint(i)), x, q)
		}
	case nil:
	default:
		q.Set(prefix, fmt.Sprint(v))
	}
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var in m
	if err := json.Unmarshal(body, &in); err != nil || r.Method != "POST" {
		p.t.Errorf("%s with %q", r.Method, body)
	}
	if p.front != nil {
		switch a := p.front(r.URL.Path, in).(type) {
		case nil:
		case whole:
			maps.Copy(w.Header(), a.header)
			if a.status == 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
			return
		}
	}
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	answer := m{}
	status := 200
	if name == "batch" {
		cmds := in["cmd"].(m)
		sections := m{"result": m{}, "result_error": m{}, "result_next": m{}, "result_time": m{}}
		var list []string
		for _, k := range slices.Sorted(maps.Keys(cmds)) {
			method, query, _ := strings.Cut(cmds[k].(string), "?")
			q, err := url.ParseQuery(query)
			if err != nil {
				p.t.Errorf("bad query %q", query)
			}
			list = append(list, method)
			switch v := p.answer(method, q).(type) {
			case no:
				sections["result_error"].(m)[k] = m{"error": v.code, "error_description": v.text}
				continue
			case paged:
				sections["result"].(m)[k] = v.rows
				sections["result_next"].(m)[k] = v.next
			case whole:
				continue // as if the command had not been mentioned
			default:
				sections["result"].(m)[k] = v
			}
			sections["result_time"].(m)[k] = m{"operating": p.operating[method], "operating_reset_at": 1000 + 600, "finish": 1000.5}
		}
		for k, v := range sections {
			if len(v.(m)) == 0 {
				sections[k] = []any{}
			}
		}
		p.requests = append(p.requests, list)
		answer["result"] = sections
	} else {
		p.requests = append(p.requests, []string{name})
		q := url.Values{}
		flat("", in, q)
		switch v := p.answer(name, q).(type) {
		case no:
			status = v.status
			answer["error"], answer["error_description"] = v.code, v.text
		case paged:
			answer["result"], answer["next"], answer["total"] = v.rows, v.next, 1000
		case counted:
			answer["result"], answer["next"], answer["total"] = v.rows, perPage, v.total
		case whole:
			w.WriteHeader(v.status)
			_, _ = io.WriteString(w, v.body)
			return
		default:
			answer["result"] = v
		}
	}
	answer["time"] = m{"start": 0, "operating": 0.5, "date_finish": "2026-09-01T10:00:00+03:00"}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *portal) answer(method string, q url.Values) any {
	p.asked = append(p.asked, ask{method, q})
	f := p.methods[method]
	if f == nil {
		p.t.Errorf("unexpected %s", method)
		return no{404, "ERROR_METHOD_NOT_FOUND", "Method not found!"}
	}
	return f(q)
}

func (p *portal) calls(method string) (list []url.Values) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.asked {
		if a.method == method {
			list = append(list, a.q)
		}
	}
	return list
}

// took is how many requests there were, but for the one that reads the fields.
func (p *portal) took() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if r[0] != contactFields {
			n++
		}
	}
	return n
}

// people answers lists of contacts with those who have one of the keys, ids or
// everybody, and findbycomm with whoever has one of the values exactly.
func (p *portal) people(all ...m) {
	p.on(contactList, func(q url.Values) any {
		found := []m{}
		for _, c := range all {
			in := func(name string) bool {
				listed, ok := false, true
				for k, v := range q {
					if strings.HasPrefix(k, "filter[@"+name+"]") {
						ok = false
						listed = listed || fmt.Sprint(c[name]) == v[0]
					}
				}
				return ok || listed
			}
			if in("ID") && in(keyField) && in("ORIGIN_ID") {
				found = append(found, c)
			}
		}
		return found
	})
	p.on(findByComm, func(q url.Values) any {
		var hits []any
		for _, c := range all {
			rows, _ := c["PHONE"].([]m)
			for _, r := range rows {
				for k, v := range q {
					if strings.HasPrefix(k, "values[") && v[0] == r["VALUE"] {
						hits = append(hits, json.Number(c["ID"].(string)))
					}
				}
			}
		}
		if hits == nil {
			return []any{}
		}
		return m{"CONTACT": hits}
	})
}

func person(id, key string, more ...any) m {
	c := m{"ID": id, keyField: key, "NAME": nil, "ORIGINATOR_ID": nil, "ORIGIN_ID": nil}
	for i := 0; i < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return c
}

func rowsOf(values ...string) []m {
	var all []m
	for i, v := range values {
		all = append(all, m{"ID": fmt.Sprint(31 + i), "VALUE_TYPE": "WORK", "VALUE": v, "TYPE_ID": "PHONE"})
	}
	return all
}

func change(key string, more ...any) connectors.ContactChange {
	ch := connectors.ContactChange{Key: key, Phones: []string{"+" + key}, Fields: m{"NAME": "N" + key}}
	for i := 0; i < len(more); i += 2 {
		ch.Fields[more[i].(string)] = more[i+1]
	}
	return ch
}

func recorded(id string, ch connectors.ContactChange) connectors.ContactChange {
	ch.RecordID, ch.Key = id, ""
	return ch
}

// growing answers adds with one id after the other.
func growing(from int) method {
	return func(url.Values) any { from++; return from }
}

func private(t *testing.T, err *connectors.Error) {
	t.Helper()
	for _, s := range []string{"39347", "s3cr3t", "N39", "hello", "127.0.0.1", "r3fresh", "cl13nt"} {
		if err != nil && strings.Contains(err.Error(), s) {
			t.Errorf("error %q tells a value", err)
		}
	}
}

func want(t *testing.T, got []connectors.Result, want ...string) {
	t.Helper()
	var list []string
	for _, r := range got {
		s := r.RecordID
		if r.Created {
			s = "+" + s
		}
		if r.Err != nil {
			s = string(r.Err.Class) + " " + r.Err.Code
		}
		private(t, r.Err)
		list = append(list, strings.TrimSpace(s))
	}
	if !slices.Equal(list, want) {
		t.Errorf("got results %q, want %q", list, want)
	}
}

// has reports what is missing in a query.
func has(t *testing.T, q url.Values, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got, ok := q[pairs[i]]; pairs[i+1] == "-" && ok || pairs[i+1] != "-" && (!ok || got[0] != pairs[i+1]) {
			t.Errorf("%s is %q, want %q, in %v", pairs[i], got, pairs[i+1], q)
		}
	}
}

// counted is a list with a total.
type counted struct {
	rows  []m
	total int
}
