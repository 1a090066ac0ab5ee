package whatsappsim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// line is a simulator behind a real connection, and a client that waits for a
// while.
type line struct {
	*testing.T
	url    string
	client *http.Client
}

func newLine(t *testing.T, opt Options, patience time.Duration) line {
	t.Helper()
	opt.Token, opt.PhoneNumberID = "t", "1"
	s := New(opt)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		_ = s.Close()
		server.Close()
	})
	return line{t, server.URL, &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (l line) fault(body string) {
	l.Helper()
	res, err := http.Post(l.url+"/_sim/faults", "application/json", strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		l.Fatalf("fault %s: %d", body, res.StatusCode)
	}
}

// send writes to somebody and returns the whole answer, or why there is none.
func (l line) send(version string) (status int, header http.Header, body []byte, err error) {
	l.Helper()
	r, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.url+"/"+version+"/1/messages",
		strings.NewReader(`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"Ciao"}}`))
	if err != nil {
		l.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer t")
	res, err := l.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, body, err
}

func (l line) get(path string, into any) {
	l.Helper()
	res, err := http.Get(l.url + path)
	if err != nil {
		l.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		l.Fatal(err)
	}
}

// sent is how many messages were accepted.
func (l line) sent() int {
	l.Helper()
	var all []Message
	l.get("/_sim/messages?direction=out", &all)
	return len(all)
}

func TestFaultsOnDemand(t *testing.T) {
	t.Parallel()
	// What the client sees; broken is an answer that ends in an error or is no
	// JSON.
	const none, broken, html, graph = "none", "broken", "html", "graph"
	tests := map[string]struct {
		fault        string
		latency      time.Duration
		status, code int
		sees         string
		sent         int
	}{
		"something went wrong":            {`{"mode":"outage","code":131000}`, 0, 500, 131000, graph, 0},
		"overloaded":                      {`{"mode":"outage","code":131016}`, 0, 500, 131016, graph, 0},
		"temporarily down":                {`{"mode":"outage","code":2}`, 0, 503, 2, graph, 0},
		"server temporarily down":         {`{"mode":"outage","code":133004}`, 0, 503, 133004, graph, 0},
		"with a status of its own":        {`{"mode":"outage","code":131000,"status":502}`, 0, 502, 131000, graph, 0},
		"a bad gateway":                   {`{"mode":"outage","status":502}`, 0, 502, 0, html, 0},
		"cut before it was read":          {`{"mode":"reset"}`, 0, 0, 0, none, 0},
		"cut after it was accepted":       {`{"mode":"reset_after_commit"}`, 0, 0, 0, none, 1},
		"slower than the client":          {`{"mode":"none"}`, 1500 * time.Millisecond, 0, 0, none, 1},
		"headers, then silence":           {`{"mode":"silence"}`, 0, 200, 0, broken, 1},
		"a byte a second":                 {`{"mode":"slowloris"}`, 0, 200, 0, broken, 1},
		"half an answer":                  {`{"mode":"truncate"}`, 0, 200, 0, broken, 1},
		"too many messages":               {`{"mode":"throttle"}`, 0, 400, 130429, graph, 0},
		"the token expired":               {`{"mode":"expire_token"}`, 0, 401, 190, graph, 0},
		"a value that Meta does not like": {`{"mode":"reject"}`, 0, 400, 131009, graph, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patience := 10 * time.Second
			if tt.sees == none || tt.sees == broken {
				patience = 500 * time.Millisecond
			}
			l := newLine(t, Options{LatencyMin: tt.latency}, patience)
			l.fault(tt.fault)
			status, header, body, err := l.send("v24.0")
			var doc map[string]any
			if err == nil {
				err = json.Unmarshal(body, &doc)
			}
			sees := graph
			switch {
			case status == 0:
				sees = none
			case strings.HasPrefix(header.Get("Content-Type"), "text/html"):
				sees = html
			case err != nil:
				sees = broken
			}
			if status != tt.status || sees != tt.sees || errorCode(doc) != tt.code {
				t.Errorf("sees %s: %d %q (%v), want %s: %d code %d", sees, status, body, err, tt.sees, tt.status, tt.code)
			}
			if sees == graph && (header.Get("Content-Type") != "application/json" || text(doc["error"], "fbtrace_id") == "") {
				t.Errorf("headers %v of %s", header, body)
			}
			for end := time.Now().Add(5 * time.Second); l.sent() < tt.sent && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			if n := l.sent(); n != tt.sent {
				t.Errorf("%d messages accepted, want %d", n, tt.sent)
			}
		})
	}
}

// A client that repeats a send whose answer was lost sends it twice: the
// message was accepted the first time.
func TestASendWhoseAnswerIsLostWasAccepted(t *testing.T) {
	t.Parallel()
	l := newLine(t, Options{}, 5*time.Second)
	l.fault(`{"mode":"reset_after_commit","times":1}`)
	if status, _, _, err := l.send("v24.0"); err == nil {
		t.Fatalf("answered %d, want a cut connection", status)
	}
	if status, _, _, err := l.send("v24.0"); err != nil || status != http.StatusOK {
		t.Errorf("answered %d (error %v), want 200", status, err)
	}
	var st Stats
	if l.get("/_sim/stats", &st); st.Messages != 2 || st.Faults != 1 || l.sent() != 2 {
		t.Errorf("%d messages after %d faults, want 2 after 1", st.Messages, st.Faults)
	}
}

func TestAFaultHitsTheCallsItIsMeantFor(t *testing.T) {
	t.Parallel()
	const ok, down = http.StatusOK, http.StatusServiceUnavailable
	tests := map[string]struct {
		fault string
		calls []string // the version is what tells one call from another
		want  []int
	}{
		"of one number":    {`"match":"/1/messages"`, []string{"v24.0", "v24.0"}, []int{down, down}},
		"of another":       {`"match":"/2/messages"`, []string{"v24.0", "v24.0"}, []int{ok, ok}},
		"of one version":   {`"match":"/v23.0/1/"`, []string{"v24.0", "v23.0"}, []int{ok, down}},
		"the third call":   {`"after":2,"times":1`, []string{"v24.0", "v24.0", "v24.0", "v24.0"}, []int{ok, ok, down, ok}},
		"with certainty":   {`"share":1`, []string{"v24.0", "v24.0"}, []int{down, down}},
		"without a chance": {`"share":0`, []string{"v24.0", "v24.0"}, []int{ok, ok}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, Options{}, 5*time.Second)
			l.fault(`{"mode":"outage","code":2,` + tt.fault + `}`)
			for i, version := range tt.calls {
				if status, _, _, err := l.send(version); err != nil || status != tt.want[i] {
					t.Errorf("call %d answered %d (error %v), want %d", i+1, status, err, tt.want[i])
				}
			}
		})
	}
	t.Run("by chance", func(t *testing.T) {
		t.Parallel()
		l := newLine(t, Options{Unlimited: true}, 5*time.Second)
		l.fault(`{"mode":"outage","code":2,"share":0.5}`)
		hit := 0
		for range 100 {
			status, _, _, err := l.send("v24.0")
			if err != nil {
				t.Fatal(err)
			}
			if status == down {
				hit++
			}
		}
		if hit < 25 || hit > 75 {
			t.Errorf("%d of 100 calls hit", hit)
		}
	})
}

func TestACodeIsForOutagesOnly(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		var refusal map[string]any
		if code := w.control("POST", "/_sim/faults", `{"mode":"slow","code":2}`, &refusal); code != 400 || refusal["error"] == nil {
			w.Errorf("%d %v", code, refusal)
		}
	})
}
