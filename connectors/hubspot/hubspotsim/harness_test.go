package hubspotsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

const key = "pat-na1-test"

// account is a simulated account at an address, and a caller with its token.
type account struct {
	*hubspotsim.Server
	t     *testing.T
	url   string
	token string
	mu    sync.Mutex
	clock time.Time
}

// obj is a JSON object.
type obj = map[string]any

// answer is what a call got.
type answer struct {
	status int
	header http.Header
	body   string
	obj    obj
}

func open(t *testing.T, o hubspotsim.Options) *account {
	t.Helper()
	a := &account{t: t, token: key, clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	o.Token = key
	if o.Quota == "" {
		o.Quota = "off"
	}
	o.Clock = func() time.Time { a.mu.Lock(); defer a.mu.Unlock(); return a.clock }
	a.Server = hubspotsim.New(o)
	server := httptest.NewServer(a)
	a.url = server.URL
	t.Cleanup(func() { a.Close(); server.Close() })
	return a
}

// call makes a call with a body of any kind: nothing, a form, text or JSON.
func (a *account) call(method, path string, body any) answer {
	a.t.Helper()
	got, err := a.try(method, path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	return got
}

// try is call for when there may be no answer.
func (a *account) try(method, path string, body any) (answer, error) {
	a.t.Helper()
	var raw io.Reader = http.NoBody
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		raw = strings.NewReader(b)
	case url.Values:
		raw, kind = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.t.Fatal(err)
		}
		raw = bytes.NewReader(text)
	}
	header := http.Header{"Content-Type": {kind}}
	if a.token != "" {
		header.Set("Authorization", "Bearer "+a.token)
	}
	return a.send(method, path, raw, header)
}

// send makes a call with these headers.
func (a *account) send(method, path string, body io.Reader, header http.Header) (answer, error) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, body)
	if err != nil {
		return answer{}, err
	}
	r.Header = header
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	got := answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	_ = json.Unmarshal(text, &got.obj)
	return got, err
}

func (a *account) get(path string) answer { a.t.Helper(); return a.call(http.MethodGet, path, nil) }
func (a *account) post(path string, body any) answer {
	a.t.Helper()
	return a.call(http.MethodPost, path, body)
}

func (a *account) patch(path string, body any) answer {
	a.t.Helper()
	return a.call(http.MethodPatch, path, body)
}

func (a *account) remove(path string) answer {
	a.t.Helper()
	return a.call(http.MethodDelete, path, nil)
}

func (a *account) put(path string, body any) answer {
	a.t.Helper()
	return a.call(http.MethodPut, path, body)
}
func (a *account) search(body obj) answer { a.t.Helper(); return a.post(contacts+"/search", body) }
func (a *account) batch(op string, inputs []obj) answer {
	a.t.Helper()
	return a.post(contacts+"/batch/"+op, obj{"inputs": inputs})
}

const (
	contacts       = "/crm/v3/objects/contacts"
	communications = "/crm/v3/objects/communications"
)

// person creates a contact and returns its id.
func (a *account) person(properties obj) string {
	a.t.Helper()
	return a.post(contacts, obj{"properties": properties}).want(a.t, 201).str("id")
}

// define creates a custom property.
func (a *account) define(kind, name string, more obj) answer {
	a.t.Helper()
	group := "contactinformation"
	switch kind {
	case "0-18":
		group = "communication"
	case "0-27":
		group = "task"
	}
	p := obj{"name": name, "label": name, "type": "string", "fieldType": "text", "groupName": group}
	for k, v := range more {
		p[k] = v
	}
	return a.post("/crm/v3/properties/"+kind, p)
}

func (g answer) want(t *testing.T, status int) answer {
	t.Helper()
	if g.status != status {
		t.Fatalf("got %d %s, want %d", g.status, g.body, status)
	}
	return g
}

// says fails unless the answer has this status and every text in its body.
func (g answer) says(t *testing.T, status int, texts ...string) {
	t.Helper()
	if g.status != status {
		t.Errorf("got %d %s, want %d", g.status, g.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(g.body, text) {
			t.Errorf("got %s, want it to contain %s", g.body, text)
		}
	}
}

var correlationID = regexp.MustCompile(`"correlationId":"[^"]+"`)

// exactly fails unless this is all of the answer, "…" standing for the
// correlation id.
func (g answer) exactly(t *testing.T, status int, body string) {
	t.Helper()
	if got := correlationID.ReplaceAllString(g.body, `"correlationId":"…"`); g.status != status || got != body {
		t.Errorf("got %d %s, want %d %s", g.status, got, status, body)
	}
}

// at follows keys and indexes; nil where there is nothing.
func (g answer) at(path ...any) any {
	var v any = g.obj
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(obj)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func (g answer) str(path ...any) string {
	s, _ := g.at(path...).(string)
	return s
}

func (g answer) count(path ...any) int {
	l, _ := g.at(path...).([]any)
	return len(l)
}

// values collects one property of every result, sorted.
func (g answer) values(property string) []string {
	var list []string
	for n := range g.count("results") {
		list = append(list, fmt.Sprint(g.at("results", n, "properties", property)))
	}
	slices.Sort(list)
	return list
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (a *account) pass(d time.Duration) { a.mu.Lock(); a.clock = a.clock.Add(d); a.mu.Unlock() }

// traced makes inputs of a batch with trace ids, which partial success needs.
func traced(properties ...obj) []obj {
	var list []obj
	for n, p := range properties {
		list = append(list, obj{"properties": p, "objectWriteTraceId": fmt.Sprintf("t%d", n)})
	}
	return list
}
