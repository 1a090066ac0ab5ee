package bitrix24sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

const hook = "/rest/7/s3cr3t/"

// portal is a simulated portal and a caller with its webhook.
type portal struct {
	*bitrix24sim.Server
	t     *testing.T
	mu    sync.Mutex
	clock time.Time
}

// obj is a JSON object.
type obj = map[string]any

// answer is what a call got.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
	obj    obj
}

func open(t *testing.T, o bitrix24sim.Options) *portal {
	t.Helper()
	p := &portal{t: t, clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	o.Secret = "s3cr3t"
	if o.Quota == "" {
		o.Quota = "off"
	}
	o.Clock = func() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.clock }
	p.Server = bitrix24sim.New(o)
	t.Cleanup(p.Close)
	return p
}

func (p *portal) pass(d time.Duration) { p.mu.Lock(); p.clock = p.clock.Add(d); p.mu.Unlock() }

// send makes any call.
func (p *portal) send(method, path, kind, body string) answer {
	p.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	got := answer{t: p.t, status: w.Code, header: w.Header(), body: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &got.obj)
	return got
}

// call calls a method over the webhook, with JSON in text or as a value.
func (p *portal) call(method string, in any) answer {
	p.t.Helper()
	text, is := in.(string)
	if !is {
		raw, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		text = string(raw)
	}
	return p.send(http.MethodPost, hook+method, "application/json", text)
}

// form calls a method with a form in the body.
func (p *portal) form(method string, values url.Values) answer {
	p.t.Helper()
	return p.send(http.MethodPost, hook+method, "application/x-www-form-urlencoded", values.Encode())
}

// add creates a contact from the fields' JSON, classically.
func (p *portal) add(fields string) int {
	p.t.Helper()
	id, _ := p.call("crm.contact.add", `{"fields":`+fields+`}`).ok().at("result").(float64)
	return int(id)
}

// contact reads a contact classically.
func (p *portal) contact(id int) answer {
	p.t.Helper()
	return p.call("crm.contact.get", obj{"id": id}).ok()
}

// update changes a contact classically.
func (p *portal) update(id int, fields string) answer {
	p.t.Helper()
	return p.call("crm.contact.update", fmt.Sprintf(`{"id":%d,"fields":%s}`, id, fields))
}

// item reads a contact by the item family.
func (p *portal) item(id int) answer {
	p.t.Helper()
	return p.call("crm.item.get", obj{"entityTypeId": 3, "id": id}).ok()
}

// fault asks for a fault, in JSON.
func (p *portal) fault(spec string) {
	p.t.Helper()
	p.send(http.MethodPost, "/_sim/faults", "application/json", spec).ok()
}

func (g answer) ok() answer {
	g.t.Helper()
	if g.status != http.StatusOK || g.obj["error"] != nil {
		g.t.Fatalf("got %d %s, want success", g.status, g.body)
	}
	return g
}

// refused fails unless the answer has this status, code and text.
func (g answer) refused(status int, code, text string) {
	g.t.Helper()
	got, is := g.obj["error"].(string)
	said, _ := g.obj["error_description"].(string)
	if g.status != status || !is || got != code || !strings.Contains(said, text) {
		g.t.Errorf("got %d %s, want %d %q %q", g.status, g.body, status, code, text)
	}
}

// at follows keys and indexes; nil where there is nothing.
func (g answer) at(path ...any) any { return at(g.obj, path...) }

func at(v any, path ...any) any {
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

func (g answer) has(path ...any) bool {
	m, _ := g.at(path[:len(path)-1]...).(obj)
	_, there := m[path[len(path)-1].(string)]
	return there
}

// json shows a part of the answer as JSON, keys sorted.
func (g answer) json(path ...any) string {
	raw, _ := json.Marshal(g.at(path...))
	return string(raw)
}

func (g answer) count(path ...any) int {
	l, _ := g.at(path...).([]any)
	return len(l)
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
