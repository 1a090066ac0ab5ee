package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"crmsync/connectors/internal/faults"
)

const vendorSays = `{"id":"1","name":"Ada Lovelace"}`

// vendor is a simulated vendor which counts what it handled.
type vendor struct {
	*faults.Injector
	url     string
	handled atomic.Int64
	// patience is how long a caller waits.
	patience time.Duration
	mu       sync.Mutex
	clock    time.Time
}

func newVendor(t *testing.T, o faults.Options) *vendor {
	t.Helper()
	v := &vendor{patience: 10 * time.Second, clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { v.mu.Lock(); defer v.mu.Unlock(); return v.clock }
	v.Injector = faults.New(o)
	server := httptest.NewServer(v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !strings.HasPrefix(r.URL.Path, "/_sim/") {
			v.handled.Add(1)
		}
		if f, hit := v.Active(r, faults.Throttle); hit {
			w.Header().Set("Retry-After", f.RetryAfter)
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, vendorSays)
	})))
	t.Cleanup(server.Close)
	t.Cleanup(v.Close)
	v.url = server.URL
	return v
}

func (v *vendor) pass(d time.Duration) { v.mu.Lock(); v.clock = v.clock.Add(d); v.mu.Unlock() }

func (v *vendor) ask(t *testing.T, spec string) (int, string) {
	t.Helper()
	resp, err := http.Post(v.url+"/_sim/faults", "application/json", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func (v *vendor) must(t *testing.T, spec string) {
	t.Helper()
	if status, body := v.ask(t, spec); status != http.StatusOK {
		t.Fatalf("asking for %s: got %d %s, want 200", spec, status, body)
	}
}

type result struct {
	status int
	header http.Header
	body   string
	err    error
}

// call makes a call on a connection of its own and gives up after a while.
func (v *vendor) call(t *testing.T, path string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), v.patience)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, v.url+path, strings.NewReader(`{"q":1}`))
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, resp.Header, string(body), err}
}

func TestWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	isTimeout := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	tests := map[string]struct {
		spec    string
		handled int64
		want    func(result) bool
		// impatient callers give up within a moment.
		impatient bool
	}{
		"the vendor is down": {`{"mode":"outage","retry_after":"7"}`, 0, func(r result) bool {
			return (r.status == 500 || r.status == 503) && strings.Contains(r.body, "<html>") && r.header.Get("Retry-After") == "7"
		}, false},
		"a gateway gives up": {`{"mode":"outage","status":524}`, 0, func(r result) bool { return r.status == 524 }, false},
		"the vendor is slower than the caller's patience": {`{"mode":"slow","delay":"5s"}`, 0, func(r result) bool {
			return isTimeout(r.err)
		}, true},
		"the vendor is slow": {`{"mode":"slow","delay":"20ms"}`, 1, func(r result) bool { return r.body == vendorSays }, false},
		"the connection is cut before the call is handled": {`{"mode":"reset"}`, 0, func(r result) bool {
			return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF)
		}, false},
		"the connection is cut after the call was handled": {`{"mode":"reset_after_commit"}`, 1, func(r result) bool {
			return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF)
		}, false},
		"a proxy answers instead": {`{"mode":"garbage"}`, 1, func(r result) bool {
			var out struct{ Name string }
			err := json.Unmarshal([]byte(r.body), &out)
			return r.err == nil && r.status == 200 && (err != nil || out.Name == "")
		}, false},
		"the answer ends in the middle": {`{"mode":"truncate"}`, 1, func(r result) bool {
			return r.body == vendorSays[:len(vendorSays)/2]
		}, false},
		"a byte a second": {`{"mode":"slowloris"}`, 1, func(r result) bool {
			return r.status == 200 && isTimeout(r.err) && len(r.body) < 2
		}, true},
		"half of the answer and a closed side": {`{"mode":"half_close"}`, 1, func(r result) bool {
			return errors.Is(r.err, io.ErrUnexpectedEOF) && strings.HasPrefix(vendorSays, r.body)
		}, false},
		"headers, then nothing": {`{"mode":"silence"}`, 1, func(r result) bool {
			return r.status == 200 && r.body == "" && isTimeout(r.err)
		}, true},
		"elsewhere": {`{"mode":"redirect"}`, 0, func(r result) bool {
			return (r.status == 302 || r.status == 307) && r.header.Get("Location") != ""
		}, false},
		"more than anyone should read": {`{"mode":"oversize"}`, 1, func(r result) bool {
			return len(r.body) > 20<<20 && strings.HasSuffix(r.body, vendorSays)
		}, false},
		"the vendor throttles": {`{"mode":"throttle","retry_after":"3"}`, 1, func(r result) bool {
			return r.status == 429 && r.header.Get("Retry-After") == "3"
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, faults.Options{})
			v.must(t, test.spec)
			if test.impatient {
				v.patience = 400 * time.Millisecond
			}
			got := v.call(t, "/crm/contacts")
			v.patience = 10 * time.Second
			if !test.want(got) {
				t.Errorf("got status %d, header %v, body %.200q, error %v", got.status, got.header, got.body, got.err)
			}
			if n := v.handled.Load(); n != test.handled {
				t.Errorf("got %d calls handled, want %d", n, test.handled)
			}
			if v.Calls() != 1 || v.Faults() != 1 {
				t.Errorf("got %d calls and %d faults, want 1 and 1", v.Calls(), v.Faults())
			}
			v.must(t, `{"mode":"none"}`)
			if got := v.call(t, "/crm/contacts"); got.body != vendorSays {
				t.Errorf("after none: got %+v, want the vendor's answer", got)
			}
		})
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ spec, want string }{
		"an unknown mode":              {`{"mode":"earthquake"}`, `mode \"earthquake\" is unknown, use one of outage,`},
		"no mode":                      {`{}`, `is unknown`},
		"a number for a duration":      {`{"mode":"outage","for":"30"}`, `for \"30\" is not a positive duration`},
		"a fault that ended before":    {`{"mode":"outage","for":"-3s"}`, `for \"-3s\" is not a positive duration`},
		"a bad delay":                  {`{"mode":"slow","delay":"soon"}`, `delay \"soon\"`},
		"more than all calls":          {`{"mode":"outage","share":1.5}`, `share 1.5 is not between 0 and 1`},
		"a negative count":             {`{"mode":"outage","after":-1}`, `cannot be negative`},
		"success as an outage":         {`{"mode":"outage","status":200}`, `status 200 is not an error`},
		"a code this vendor has not":   {`{"mode":"outage","code":2}`, `code 2 means nothing here`},
		"a word that means nothing":    {`{"mode":"outage","untill":"1s"}`, `unknown field`},
		"a mode this vendor cannot do": {`{"mode":"refresh_lost"}`, `means nothing to this vendor`},
		"no JSON":                      {`outage`, `invalid character`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, faults.Options{Without: []faults.Mode{faults.RefreshLost}})
			status, body := v.ask(t, test.spec)
			if status != http.StatusBadRequest || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want 400 with %s", status, body, test.want)
			}
			if got := v.call(t, "/"); got.status != 200 {
				t.Errorf("a refused fault took effect: %+v", got)
			}
		})
	}
}

func TestAFaultEndsByItself(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{})
	v.must(t, `{"mode":"outage","for":"24h"}`)
	v.pass(24*time.Hour - time.Second)
	if got := v.call(t, "/").status; got < 500 {
		t.Errorf("a second before the end: got %d, want an outage", got)
	}
	v.pass(time.Second)
	if got := v.call(t, "/").status; got != 200 {
		t.Errorf("at the end: got %d, want 200", got)
	}
	if n := len(v.Standing()); n != 0 {
		t.Errorf("got %d faults standing, want 0", n)
	}
}

func TestAFaultBeginsAfterSomeCalls(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{})
	v.must(t, `{"mode":"outage","after":2,"for":"10s","times":1}`)
	v.pass(time.Minute)
	var got []bool
	for range 4 {
		got = append(got, v.call(t, "/").status == 200)
	}
	if want := []bool{true, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("calls answered: got %v, want %v", got, want)
	}
}

func TestAShareOfTheCallsIsHit(t *testing.T) {
	t.Parallel()
	i := faults.New(faults.Options{})
	if err := i.Set(faults.Spec{Mode: faults.Throttle, Share: share(0.1)}); err != nil {
		t.Fatal(err)
	}
	hits := 0
	for range 10000 {
		if _, hit := i.Active(httptest.NewRequest(http.MethodGet, "/", nil), faults.Throttle); hit {
			hits++
		}
	}
	if hits < 800 || hits > 1200 {
		t.Errorf("got %d of 10000 calls hit, want about 1000", hits)
	}
}

func share(f float64) *float64 { return &f }

func TestAShareOfNothingHitsNothing(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{})
	v.must(t, `{"mode":"outage","share":0}`)
	for range 20 {
		if got := v.call(t, "/").status; got != 200 {
			t.Fatalf("got %d, want 200", got)
		}
	}
}

func TestOnlyMatchingCallsAreHit(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{})
	v.must(t, `{"mode":"outage","match":"POST /owners"}`)
	if got := v.call(t, "/contacts").status; got != 200 {
		t.Errorf("contacts: got %d, want 200", got)
	}
	if got := v.call(t, "/owners?limit=1").status; got < 500 {
		t.Errorf("owners: got %d, want an outage", got)
	}
}

func TestOnlyThePoisonedRecordIsRejected(t *testing.T) {
	t.Parallel()
	i := faults.New(faults.Options{})
	if err := i.Set(faults.Spec{Mode: faults.Reject, Match: "poison"}); err != nil {
		t.Fatal(err)
	}
	if _, hit := i.Rejects("firstname=Ada"); hit {
		t.Error("a good record is rejected")
	}
	if _, hit := i.Rejects("firstname=poison"); !hit {
		t.Error("the poisoned record is not rejected")
	}
	if i.Faults() != 1 {
		t.Errorf("got %d faults, want 1", i.Faults())
	}
}

func TestACallHasOneVerdictPerMode(t *testing.T) {
	t.Parallel()
	i := faults.New(faults.Options{})
	h := i.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, first := i.Active(r, faults.ExpireToken)
		for range 20 {
			if _, again := i.Active(r, faults.ExpireToken); again != first {
				t.Error("asked twice, the same call got two verdicts")
			}
		}
	}))
	_ = i.Set(faults.Spec{Mode: faults.ExpireToken, Share: share(0.5)})
	for range 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	if n := i.Faults(); n == 0 || n == 50 {
		t.Errorf("got %d faults, want some of 50", n)
	}
}

func TestControlCallsAreNeverHit(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{LatencyMin: time.Hour, LatencyMax: time.Hour})
	v.must(t, `{"mode":"reset"}`)
	if got := v.call(t, "/_sim/stats"); got.status != 200 {
		t.Errorf("got %+v, want 200", got)
	}
	if v.Calls() != 0 || v.Faults() != 0 {
		t.Errorf("got %d calls and %d faults, want none", v.Calls(), v.Faults())
	}
}

func TestEveryCallTakesItsTime(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{LatencyMin: 40 * time.Millisecond, LatencyMax: 60 * time.Millisecond})
	begin := time.Now()
	if got := v.call(t, "/"); got.status != 200 {
		t.Fatalf("got %+v, want 200", got)
	}
	if took := time.Since(begin); took < 40*time.Millisecond {
		t.Errorf("took %v, want at least 40ms", took)
	}
}

func TestTheVendorWordsItsOwnOutage(t *testing.T) {
	t.Parallel()
	v := newVendor(t, faults.Options{Outage: func(w http.ResponseWriter, _ *http.Request, f faults.Fault) bool {
		if f.Status != 477 {
			return false
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "moving")
		return true
	}})
	v.must(t, `{"mode":"outage","status":477,"retry_after":"60"}`)
	if got := v.call(t, "/"); got.status != 477 || got.body != "moving" || got.header.Get("Retry-After") != "60" {
		t.Errorf("got %+v, want 477 in the vendor's words", got)
	}
	v.must(t, `{"mode":"outage","status":502}`)
	if got := v.call(t, "/"); got.status != 502 || !strings.Contains(got.body, "<html>") {
		t.Errorf("got %+v, want 502 as a page", got)
	}
}
