package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
)

const secret = "s3cret"

func serve(t *testing.T, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	c := &Client{
		Base:      s.URL,
		Timeout:   2 * time.Second,
		Authorize: func(_ context.Context, h http.Header) error { h.Set("Authorization", "Bearer "+secret); return nil },
	}
	t.Cleanup(func() { c.CloseIdle(); s.Close() })
	return c, s
}

func post() Request {
	return Request{Method: http.MethodPost, Path: "/x", Query: url.Values{"email": {"a@b.it"}}, Body: map[string]string{"phone": "<+39347>"}}
}

func TestACallArrivesWithItsBodyAndCredentials(t *testing.T) {
	var got string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization") + " " + strings.TrimSpace(string(b))
		w.WriteHeader(207)
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	a, err := c.Do(t.Context(), post())
	if err != nil {
		t.Fatal(err)
	}
	if want := `POST /x?email=a%40b.it Bearer s3cret {"phone":"<+39347>"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var v struct{ OK bool }
	if err := a.Decode(&v); err != nil || !v.OK || a.Status != 207 || !a.OK() || !a.JSON() {
		t.Errorf("answer %+v, decoded %+v, %v", a, v, err)
	}
}

func TestAFileArrivesWhole(t *testing.T) {
	content := []byte("a\r\n--b\x00\xff")
	type arrived struct{ field, name, kind, content string }
	var got arrived
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		file, head, err := r.FormFile("file")
		if err != nil {
			t.Error(err)
			return
		}
		b, _ := io.ReadAll(file)
		got = arrived{r.FormValue("options"), head.Filename, head.Header.Get("Content-Type"), string(b)}
	})
	for _, tt := range []struct{ name, kind, wantKind string }{
		{`über "1".pdf`, "application/pdf", "application/pdf"},
		{"note", "audio/ogg; codecs=opus", "audio/ogg; codecs=opus"},
		{"b.txt", "text/plain\r\nX-Other: 1", "application/octet-stream"},
		{"c", "", "application/octet-stream"},
	} {
		got = arrived{}
		u := &Upload{Part: "file", Name: tt.name, MIMEType: tt.kind, Content: content, Fields: map[string]string{"options": `{"a":1}`}}
		if _, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: "/x", Upload: u}); err != nil {
			t.Fatal(err)
		}
		if want := (arrived{`{"a":1}`, tt.name, tt.wantKind, string(content)}); got != want {
			t.Errorf("arrived %+v, want %+v", got, want)
		}
	}
}

func TestHowMuchOfAnAnswerIsReadDependsOnTheRequest(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") })
	for most, fits := range map[int64]bool{4: false, 5: true, 0: true} {
		a, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: "/x", MaxBody: most})
		if (err == nil) != fits || fits && string(a.Body) != "12345" {
			t.Errorf("most %d: %v, %v", most, a, err)
		}
	}
}

func TestHowFarAFailedCallCame(t *testing.T) {
	hijack := func(f func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			f(conn)
			_ = conn.Close()
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()

	tests := map[string]struct {
		handler http.HandlerFunc
		want    Kind
		reason  string
	}{
		"reset after the request": {hijack(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), Lost, ""},
		"closed without a word":   {hijack(func(net.Conn) {}), Lost, "the answer broke off"},
		"answer cut short": {hijack(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"resu")
		}), Lost, "the answer broke off"},
		"no answer in time": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, Lost, "no answer in time"},
		"answer that drips": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}, Lost, "no answer in time"},
		"gzip bomb without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for r.Context().Err() == nil {
				_, _ = w.Write(bomb.Bytes())
			}
		}, Lost, "the answer is longer than expected"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := serve(t, tt.handler)
			c.Timeout = time.Second
			var status atomic.Int64
			status.Store(-1)
			c.Observe = func(s int, _ time.Duration) { status.Store(int64(s)) }
			_, err := c.Do(t.Context(), post())
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tt.want || e.Cancelled || (tt.reason != "" && e.Reason != tt.reason) {
				t.Fatalf("got %#v, want kind %d %q", err, tt.want, tt.reason)
			}
			if status.Load() != 0 {
				t.Errorf("observed status %d, want 0", status.Load())
			}
			for _, s := range []string{secret, "email", "b.it", "39347", strings.TrimPrefix(s.URL, "http://")} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("error %q contains %q", err, s)
				}
			}
			if got := Failure(err, true).Class; got != connectors.UnknownOutcome {
				t.Errorf("a write is %s, want unknown outcome", got)
			}
			if got := Failure(err, false).Class; got != connectors.Transient {
				t.Errorf("a read is %s, want transient", got)
			}
		})
	}
}

func TestACallThatNeverLeftHasAKnownOutcome(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	throttled := &connectors.Error{Class: connectors.Throttled, Reason: "x"}

	tests := map[string]struct {
		ctx   context.Context
		c     *Client
		r     Request
		class connectors.Class
	}{
		"refused":           {t.Context(), &Client{Base: "http://" + l.Addr().String()}, post(), connectors.Transient},
		"no such host":      {t.Context(), &Client{Base: "http://nowhere.invalid", HTTP: &http.Client{Transport: &http.Transport{}}}, post(), connectors.Transient},
		"cancelled":         {cancelled, &Client{Base: "http://" + l.Addr().String()}, post(), connectors.Transient},
		"not JSON":          {t.Context(), &Client{}, Request{Body: func() {}}, connectors.Transient},
		"no quota":          {t.Context(), &Client{Pace: func(context.Context) error { return throttled }}, post(), connectors.Throttled},
		"no quota in time":  {cancelled, &Client{Pace: func(ctx context.Context) error { return ctx.Err() }}, post(), connectors.Transient},
		"no credentials":    {t.Context(), &Client{Authorize: func(context.Context, http.Header) error { return throttled }}, post(), connectors.Throttled},
		"address not valid": {t.Context(), &Client{Base: "http://a b"}, post(), connectors.Transient},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tt.c.Do(tt.ctx, tt.r)
			if err == nil {
				t.Fatal("no error")
			}
			if got := Failure(err, true); got.Class != tt.class {
				t.Errorf("got %v, want %s", got, tt.class)
			}
		})
	}
}

// A program is stopped after its call was let go, and wakes up when the work is
// another's: what has not left by then does not, however far the call came.
func TestACallIsFencedUntilItsLastPartHasLeft(t *testing.T) {
	refusal := &connectors.Error{Class: connectors.Unavailable, Reason: "not ours any more"}
	large := Request{Method: http.MethodPost, Path: "/x", Body: map[string]string{"text": strings.Repeat("x", 1<<20)}}
	for name, tt := range map[string]struct {
		request Request
		passes  int // how often the fence is asked before it says no
		arrives bool
	}{
		"at once":                 {post(), 0, false},
		"in the middle":           {large, 2, false},
		"when all of it has left": {post(), 1, true},
		"large":                   {large, 1 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			var carriedOut atomic.Bool
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil {
					carriedOut.Store(true)
				}
				_, _ = io.WriteString(w, "{}")
			})
			asked := 0
			c.Fence = func() error {
				if asked++; asked > tt.passes {
					return refusal
				}
				return nil
			}
			_, err := c.Do(t.Context(), tt.request)
			if (err == nil) != tt.arrives || err != nil && !errors.Is(Failure(err, true), refusal) {
				t.Errorf("error %v", err)
			}
			time.Sleep(50 * time.Millisecond)
			if carriedOut.Load() != tt.arrives {
				t.Errorf("carried out: %v, want %v", carriedOut.Load(), tt.arrives)
			}
		})
	}
}

func TestCancellationIsNotMistakenForAnOutage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	_, err := c.Do(ctx, post())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %#v, want cancelled", err)
	}
	if got := Failure(err, true).Class; got != connectors.UnknownOutcome {
		t.Errorf("got %s, want unknown outcome: the request was out", got)
	}
}

func TestARedirectIsAnAnswerNotAJourney(t *testing.T) {
	var calls atomic.Int64
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	a, err := c.Do(t.Context(), post())
	if err != nil || a.Status != http.StatusTemporaryRedirect || calls.Load() != 1 {
		t.Errorf("got %+v, %v after %d calls", a, err, calls.Load())
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(" ", 100_000)+"{}")
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := &Client{Base: s.URL}
	for range 5 {
		if _, err := c.Do(t.Context(), post()); err != nil {
			t.Fatal(err)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("got %d connections, want 1", conns.Load())
	}
}

func TestHTMLIsNotAnAnswer(t *testing.T) {
	for _, body := range []string{"", "<html>", "null", `"x"`, `{"a":`} {
		a := &Answer{Status: 200, Body: []byte(body)}
		if a.JSON() {
			t.Errorf("%q passes for JSON", body)
		}
	}
	err := (&Answer{Status: 200, Body: []byte("<html>secret")}).Decode(new(struct{}))
	if got := Failure(err, true); got.Class != connectors.UnknownOutcome || got.Status != 200 || strings.Contains(got.Reason, "secret") {
		t.Errorf("got %v", got)
	}
}

func TestHowLongTheVendorAsksToWait(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"1.5":                           1500 * time.Millisecond,
		"0":                             0,
		"-3":                            0,
		"NaN":                           0,
		"soon":                          0,
		"86400":                         MaxRetryAfter,
		"Inf":                           MaxRetryAfter,
		"99999999999999999999999":       MaxRetryAfter,
		"1e999":                         MaxRetryAfter,
		"Sat, 21 Nov 2026 08:00:30 GMT": 30 * time.Second,
		"Sat, 21 Nov 2026 07:00:00 GMT": 0,
		"Sun, 21 Nov 2027 08:00:00 GMT": MaxRetryAfter,
	}
	for v, want := range tests {
		if got := RetryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("%q: got %v, want %v", v, got, want)
		}
	}
}

func TestACallCarriesHeadersOfItsOwn(t *testing.T) {
	var got http.Header
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	r := post()
	r.Header = http.Header{"If-Modified-Since": {"2026-01-31T10:00:00+00:00"}, "accept": {"text/csv"}}
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got.Get("If-Modified-Since") != "2026-01-31T10:00:00+00:00" || got.Get("Accept") != "text/csv" || got.Get("User-Agent") != "crmsync" {
		t.Errorf("headers %v", got)
	}
}
