package bitrix24

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestParametersAreWrittenAsPHPReadsThem(t *testing.T) {
	p := params{
		"id": 7, "fields": params{"PHONE": []params{{"VALUE": "+39 1&2"}}, "UF": []string{"a", "b"}},
		"filter": params{">ID": reference("$result[c00][49][ID]")},
	}
	want := "fields%5BPHONE%5D%5B0%5D%5BVALUE%5D=%2B39+1%262&fields%5BUF%5D%5B0%5D=a&fields%5BUF%5D%5B1%5D=b&filter%5B%3EID%5D=$result[c00][49][ID]&id=7"
	if got := p.query(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSectionsOfABatchComeInAllShapes(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"objects":       {`{"result":{"result":{"c00":true,"c01":2},"result_error":[],"result_time":{"c00":{"operating":1}}},"time":{"start":1}}`, "true 2"},
		"one failed":    {`{"result":{"result":{"c01":null},"result_error":{"c00":{"error":"","error_description":"Contact is not found"}},"result_next":[]}}`, "NOT_FOUND null"},
		"all failed":    {`{"result":{"result":[],"result_error":{"c00":{"error":"NOT_FOUND"},"c01":{"error":100}}},"time":[]}`, "NOT_FOUND 100"},
		"nothing said":  {`{"result":{"result":[],"result_error":[]}}`, "transient transient"},
		"not a batch":   {`{"result":[]}`, "transient transient"},
		"odd timing":    {`{"result":{"result":{"c00":[],"c01":{}},"result_time":{"c00":"x"}},"time":"x"}`, "[] {}"},
		"error is null": {`{"error":null,"result":{"result":{"c00":1,"c01":"1"}}}`, `1 "1"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.front = func(string, m) any { return whole{status: 200, body: tt.body} }
			var got []string
			done := func(o outcome) {
				switch {
				case o.err != nil && o.err.Code != "":
					got = append(got, o.err.Code)
				case o.err != nil:
					got = append(got, string(o.err.Class))
				default:
					got = append(got, string(o.result))
				}
			}
			c.run(t.Context(), []command{{method: "a", done: done}, {method: "b", done: done}})
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestALostAnswerIsOfUnknownOutcomeForAddsOnly(t *testing.T) {
	tests := map[string]struct {
		answer whole
		add    string
		update string
	}{
		"cut off":     {whole{}, "unknown_outcome", "transient"},
		"HTML":        {whole{status: 200, body: "<html>"}, "unknown_outcome", "transient"},
		"truncated":   {whole{status: 200, body: `{"result":{"res`}, "unknown_outcome", "transient"},
		"outage":      {whole{status: 500}, "unknown_outcome", "transient"},
		"throttled":   {whole{status: 503, body: `{"error":"QUERY_LIMIT_EXCEEDED"}`}, "throttled QUERY_LIMIT_EXCEEDED", "throttled QUERY_LIMIT_EXCEEDED"},
		"wrong token": {whole{status: 401, body: `{"error":"INVALID_CREDENTIALS"}`}, "unauthorized INVALID_CREDENTIALS", "unauthorized INVALID_CREDENTIALS"},
		"blocked":     {whole{status: 429, body: `{"error":"OPERATION_TIME_LIMIT"}`}, "throttled OPERATION_TIME_LIMIT", "throttled OPERATION_TIME_LIMIT"},
		"captive":     {whole{status: 302, header: http.Header{"Location": {"https://login.example/x"}}}, "transient", "transient"},
		"downgraded":  {whole{status: 302, header: http.Header{"Location": {"ftp://127.0.0.1/rest/7/s3cr3t/batch"}}}, "transient", "transient"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.front = func(path string, _ m) any {
				if strings.HasSuffix(path, "/batch") {
					return tt.answer
				}
				return nil
			}
			want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), tt.update)
			c.budget.methods = nil
			want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("a", "51")}), tt.add)
		})
	}
}

func TestABatchThatIsRefusedAsAWholeIsHalved(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, always(true))
	p.front = func(path string, body m) any {
		cmds, _ := body["cmd"].(m)
		for _, line := range cmds {
			if strings.Contains(line.(string), "N393470000003") {
				return whole{status: 400, body: `{"error":"100","error_description":"N393470000003"}`}
			}
		}
		return nil
	}
	var changes []connectors.ContactChange
	for i := 1; i < 6; i++ {
		changes = append(changes, recorded(fmt.Sprint(i), change(fmt.Sprintf("39347000000%d", i))))
	}
	want(t, c.WriteContacts(t.Context(), changes), "1", "2", "rejected 100", "4", "5")
}

func TestMoreThanFiftyCommandsAreSeveralBatches(t *testing.T) {
	p, c := newPortal(t)
	var got []string
	p.on("x", func(q url.Values) any { return q.Get("n") })
	var cmds []command
	for i := range 120 {
		cmds = append(cmds, command{method: "x", params: params{"n": i}, done: func(o outcome) { got = append(got, string(o.result)) }})
	}
	c.run(t.Context(), cmds)
	if len(p.requests) != 3 || len(p.requests[0]) != 50 || len(p.requests[2]) != 20 || len(got) != 120 || got[119] != `"119"` {
		t.Errorf("%d requests, %d results", len(p.requests), len(got))
	}
}

func TestARenamedPortalIsFollowedAndRemembered(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactUpdate, always(true))
	calls := 0
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Location", p.url+r.URL.Path)
		w.WriteHeader(302)
	}))
	defer old.Close()
	c.base = old.URL + secretPath
	for range 2 {
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{recorded("5", change("393470000001"))}), "5")
	}
	if calls != 1 || c.address() != p.url+secretPath {
		t.Errorf("%d calls of the old name, now %s", calls, c.address())
	}
	if got := p.calls(contactUpdate); len(got) != 2 {
		t.Errorf("%d updates", len(got))
	}
}

func TestAddsWithoutAnAnswerAreGivenTime(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactAdd, growing(900))
	c.doubt("393470000001", &connectors.Error{Class: connectors.UnknownOutcome, Code: codeNoAnswer})
	c.doubt("393470000002", &connectors.Error{Class: connectors.UnknownOutcome})
	if len(c.doubts) != 1 {
		t.Fatalf("doubts %v", c.doubts)
	}
	c.doubts["393470000001"] = time.Now().Add(300*time.Millisecond - lookAfter)
	start := time.Now()
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000002")}), "+901")
	if d := time.Since(start); d > 250*time.Millisecond {
		t.Errorf("waited %s for somebody else", d)
	}
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{change("393470000001")}), "+902")
	if d := time.Since(start); d < 250*time.Millisecond {
		t.Errorf("looked after %s", d)
	}
}

func TestACallWithoutAnAnswerInTimeIsInDoubt(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer s.Close()
	c := New(Options{WebhookURL: s.URL + secretPath, BatchTimeout: 50 * time.Millisecond})
	defer c.rest.CloseIdle()
	_, err := c.call(t.Context(), creating, batchMethod, params{"halt": 0})
	if err == nil || err.Class != connectors.UnknownOutcome || err.Code != codeNoAnswer {
		t.Errorf("got %v", err)
	}
	private(t, err)
}
