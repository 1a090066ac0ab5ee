package zohosim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

// org is a simulated organisation and a caller with a token.
type org struct {
	*zohosim.Server
	t      *testing.T
	server *httptest.Server
	token  string
	header http.Header
	mu     sync.Mutex
	clock  time.Time
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

func open(t *testing.T, o zohosim.Options) *org {
	t.Helper()
	a := &org{t: t, header: http.Header{}, clock: time.Date(2026, 10, 1, 8, 0, 0, 500e6, time.UTC)}
	o.ClientID, o.ClientSecret, o.RefreshToken = "c", "s", "r"
	if o.Quota == "" {
		o.Quota = "off"
	}
	o.Clock = func() time.Time { a.mu.Lock(); defer a.mu.Unlock(); return a.clock }
	a.Server = zohosim.New(o)
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	t.Cleanup(a.Close)
	a.token = a.refresh("r").str("access_token")
	return a
}

func credentials(refresh string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"c"}, "client_secret": {"s"}, "refresh_token": {refresh}}
}

func (a *org) refresh(token string) answer {
	a.t.Helper()
	return a.call(http.MethodPost, "/oauth/v2/token?"+credentials(token).Encode(), nil)
}

// request makes a request; paths that begin with a module are Zoho's.
func (a *org) request(method, path string, body any) *http.Request {
	a.t.Helper()
	var raw io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		raw = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.t.Fatal(err)
		}
		raw = bytes.NewReader(text)
	}
	if !strings.HasPrefix(path, "/_sim") && !strings.HasPrefix(path, "/oauth") && !strings.HasPrefix(path, "/crm") {
		path = "/crm/v8" + path
	}
	r := httptest.NewRequest(method, path, raw)
	if a.token != "" {
		r.Header.Set("Authorization", "Zoho-oauthtoken "+a.token)
	}
	for k, v := range a.header {
		r.Header[k] = v
	}
	return r
}

func (a *org) call(method, path string, body any) answer {
	a.t.Helper()
	got, err := a.try(method, path, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// try makes a call, over a connection, that may get no answer.
func (a *org) try(method, path string, body any) (answer, error) {
	a.t.Helper()
	r := a.request(method, path, body)
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", a.server.Listener.Addr().String(), ""
	resp, err := a.server.Client().Transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	got := answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &got.obj)
	return got, err
}

func (a *org) get(path string) answer { a.t.Helper(); return a.call(http.MethodGet, path, nil) }

func (a *org) post(path string, body any) answer {
	a.t.Helper()
	return a.call(http.MethodPost, path, body)
}

func (a *org) put(path string, body any) answer {
	a.t.Helper()
	return a.call(http.MethodPut, path, body)
}

func (a *org) remove(path string) answer { a.t.Helper(); return a.call(http.MethodDelete, path, nil) }

// with sends a header with the calls made by f.
func (a *org) with(name, value string, f func()) {
	a.header.Set(name, value)
	defer a.header.Del(name)
	f()
}

// knob sets knobs by their names in JSON.
func (a *org) knob(set string) { a.t.Helper(); a.post("/_sim/knobs", set).want(a.t, 200) }

func (a *org) fault(spec string) { a.t.Helper(); a.post("/_sim/faults", spec).want(a.t, 200) }

func (a *org) pass(d time.Duration) { a.mu.Lock(); a.clock = a.clock.Add(d); a.mu.Unlock() }

// rows is a body of rows.
func rows(list ...obj) obj { return obj{"data": list} }

// upserted sends rows with a list of fields to compare.
func (a *org) upserted(module string, checks []string, list ...obj) answer {
	a.t.Helper()
	body := rows(list...)
	if checks != nil {
		body["duplicate_check_fields"] = checks
	}
	return a.post("/"+module+"/upsert", body)
}

// person creates a contact and returns its id.
func (a *org) person(fields obj) string {
	a.t.Helper()
	if fields["Last_Name"] == nil {
		fields["Last_Name"] = "Person"
	}
	return a.post("/Contacts", rows(fields)).want(a.t, 201).str("data", 0, "details", "id")
}

// define creates a field and returns its row.
func (a *org) define(module, label, kind string, more obj) answer {
	a.t.Helper()
	f := obj{"field_label": label, "data_type": kind}
	for k, v := range more {
		f[k] = v
	}
	return a.post("/settings/fields?module="+module, obj{"fields": []obj{f}})
}

var unique = obj{"unique": obj{"case_sensitive": false}}

// messages creates the module for messages.
func (a *org) messages() {
	a.t.Helper()
	a.post("/settings/modules", obj{"modules": []obj{{
		"plural_label": "WhatsApp Messages", "singular_label": "WhatsApp Message", "profiles": []obj{{"id": a.get("/settings/profiles").str("profiles", 0, "id")}},
	}}}).want(a.t, 201)
	for _, f := range []struct {
		label, kind string
		more        obj
	}{
		{"WA Message ID", "text", unique},
		{"WAMID", "text", nil},
		{"Contact", "lookup", obj{"lookup": obj{"module": obj{"api_name": "Contacts"}}}},
		{"Direction", "picklist", obj{"pick_list_values": []obj{{"display_value": "in"}, {"display_value": "out"}}}},
		{"Body", "textarea", obj{"textarea": obj{"type": "large"}}},
		{"Status", "picklist", nil},
		{"Sent Time", "datetime", nil},
	} {
		a.define("WhatsApp_Messages", f.label, f.kind, f.more).want(a.t, 201)
	}
}

func (g answer) want(t *testing.T, status int) answer {
	t.Helper()
	if g.status != status {
		t.Fatalf("got %d %s, want %d", g.status, g.body, status)
	}
	return g
}

// says fails unless the answer has this status and every text in its body.
func (g answer) says(t *testing.T, status int, texts ...string) answer {
	t.Helper()
	if g.status != status {
		t.Errorf("got %d %s, want %d", g.status, g.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(g.body, text) {
			t.Errorf("got %s, want it to contain %s", g.body, text)
		}
	}
	return g
}

// silent fails unless the answer has this status and not a byte more.
func (g answer) silent(t *testing.T, status int) {
	t.Helper()
	if g.status != status || g.body != "" {
		t.Errorf("got %d %q, want %d and nothing", g.status, g.body, status)
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

// codes are the codes of all rows.
func (g answer) codes() string {
	var list []string
	for n := range g.count("data") {
		list = append(list, g.str("data", n, "code"))
	}
	return strings.Join(list, " ")
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
