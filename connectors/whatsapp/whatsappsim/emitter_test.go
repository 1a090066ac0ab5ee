package whatsappsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestABodyIsAsciiAndSignedAsSent(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Name: "Søren", Text: "caffè 😀 a/b <x> 50% me@x.it"})
		p := w.to.posts()[0]
		for _, c := range p.body {
			if c >= 0x80 {
				w.Fatalf("body is not ASCII: %q", p.body)
			}
		}
		for _, want := range []string{`S\u00f8ren`, `caff\u00e8 \ud83d\ude00 a/b <x> 50% me@x.it`} {
			if !bytes.Contains(p.body, []byte(want)) {
				w.Errorf("body lacks %s: %s", want, p.body)
			}
		}
		if got, want := p.header.Get("X-Hub-Signature-256"), Sign("secret", p.body); got != want {
			w.Errorf("signature %s, want %s", got, want)
		}
		if got := p.header.Get("Content-Type"); got != "application/json" {
			w.Errorf("content type %q", got)
		}
		if got := text(field(list(w.lastValue(), "messages")[0], "text"), "body"); got != "caffè 😀 a/b <x> 50% me@x.it" {
			w.Errorf("decodes to %q", got)
		}
	})
}

func TestSignAgreesWithAKnownValue(t *testing.T) {
	t.Parallel()
	// RFC 4231, test case 2.
	const want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := Sign("Jefe", []byte("what do ya want for nothing?")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWideEscapes(t *testing.T) {
	t.Parallel()
	const doc = `{"a":"x/y <%@ \\/ \/ è"}`
	const want = `{"a":"x\/y \u003C\u0025\u0040 \\\/ \/ \u00e8"}`
	got := Escape([]byte(doc), true)
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var before, after any
	if json.Unmarshal([]byte(doc), &before) != nil || json.Unmarshal(got, &after) != nil || text(before, "a") != text(after, "a") {
		t.Error("escaping changed the document's meaning")
	}
}

func TestWideEscapesAreSignedAsSent(t *testing.T) {
	inWorld(t, Options{WideEscapes: true}, func(w world) {
		const said = `caffè a/b <x> 50% me@x.it`
		w.receive(Inbound{From: "393331234567", Text: said})
		p := w.to.posts()[0]
		if want := `caff\u00e8 a\/b \u003Cx> 50\u0025 me\u0040x.it`; !bytes.Contains(p.body, []byte(want)) {
			w.Errorf("body lacks %s: %s", want, p.body)
		}
		if p.header.Get("X-Hub-Signature-256") != Sign("secret", p.body) {
			w.Error("the signature is not of the bytes sent")
		}
		if got := text(field(list(w.lastValue(), "messages")[0], "text"), "body"); got != said {
			w.Errorf("decodes to %q", got)
		}
	})
}

func TestARefusedWebhookComesAgainWithTheSameBytes(t *testing.T) {
	for name, code := range map[string]int{"unavailable": 503, "created is not ok": 201, "redirect": 302, "no content": 204} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w world) {
				w.to.answer = func(n int, _ *http.Request, _ []byte) int {
					if n <= 3 {
						return code
					}
					return 200
				}
				if r := w.receive(Inbound{From: "393331234567", Text: "ciao"}); r.Status != code {
					w.Errorf("first attempt %d, want %d", r.Status, code)
				}
				if n := w.sim.Stats().Webhooks.Pending; n != 1 {
					w.Errorf("pending %d, want 1", n)
				}
				time.Sleep(time.Hour)
				got := w.to.posts()
				if len(got) != 4 {
					w.Fatalf("%d posts, want 4", len(got))
				}
				var pause time.Duration
				for i := 1; i < len(got); i++ {
					if !bytes.Equal(got[i].body, got[0].body) {
						w.Errorf("attempt %d has other bytes", i+1)
					}
					if p := got[i].at.Sub(got[i-1].at); p <= pause {
						w.Errorf("pause %d is %v after one of %v", i, p, pause)
					} else {
						pause = p
					}
				}
				st := w.sim.Stats().Webhooks
				if st.Retried != 3 || st.Answered != 1 || st.Pending != 0 || st.Sent != 4 {
					w.Errorf("counters %+v", st)
				}
				hooks := w.sim.Webhooks("")
				if h := hooks[len(hooks)-1]; h.Retries != 3 || len(h.Attempts) != 4 || h.Attempts[3].Status != 200 {
					w.Errorf("log %+v", h)
				}
			})
		})
	}
}

func TestRetriesEndAfterSevenDays(t *testing.T) {
	for name, compress := range map[string]float64{"in real time": 1, "an hour in a second": 3600} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{Compress: compress}, func(w world) {
				w.to.answer = func(int, *http.Request, []byte) int { return 500 }
				w.receive(Inbound{From: "393331234567", Text: "ciao"})
				week := time.Duration(float64(giveUp) / compress)
				time.Sleep(week)
				n := len(w.to.posts())
				if n < 20 {
					w.Errorf("%d attempts in the week", n)
				}
				time.Sleep(week)
				if more := len(w.to.posts()); more != n {
					w.Errorf("%d attempts after the week", more-n)
				}
				if st := w.sim.Stats().Webhooks; st.GaveUp != 1 || st.Pending != 0 {
					w.Errorf("counters %+v", st)
				}
			})
		})
	}
}

func TestASilentReceiverTimesOut(t *testing.T) {
	inWorld(t, Options{Timeout: 5 * time.Second}, func(w world) {
		w.to.answer = func(n int, r *http.Request, _ []byte) int {
			if n == 1 {
				<-r.Context().Done()
			}
			return 200
		}
		started := time.Now()
		r := w.receive(Inbound{From: "393331234567", Text: "ciao"})
		if r.Status != 0 || r.Error != "timeout" || time.Since(started) != 5*time.Second {
			w.Errorf("%+v after %v", r, time.Since(started))
		}
		time.Sleep(time.Minute)
		if n := len(w.to.posts()); n != 2 {
			w.Errorf("%d posts, want the retry too", n)
		}
	})
}

// A certificate that is not trusted is a failure like any other.
func TestAReceiverThatCannotBeReachedIsTriedAgain(t *testing.T) {
	t.Parallel()
	var got atomic.Int32
	to := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			got.Add(1)
		}
		_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
	}))
	to.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer to.Close()
	trusting, wary := to.Client().Transport, newClient(1).Transport
	var trust atomic.Bool
	s := New(Options{Compress: 20, Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if trust.Load() {
			return trusting.RoundTrip(r)
		}
		return wary.RoundTrip(r)
	})}})
	defer s.Close()
	if err := s.SetCallback(t.Context(), to.URL); err == nil {
		t.Error("a callback with an untrusted certificate was stored")
	}
	trust.Store(true)
	if err := s.SetCallback(t.Context(), to.URL); err != nil {
		t.Fatal(err)
	}
	trust.Store(false)
	r, err := s.Receive(t.Context(), Inbound{From: "393331234567", Text: "ciao"})
	if err != nil || r.Status != 0 || !strings.Contains(r.Error, "certificate") {
		t.Errorf("%+v %v, want no answer because of the certificate", r, err)
	}
	trust.Store(true)
	for end := time.Now().Add(10 * time.Second); got.Load() == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if got.Load() != 1 {
		t.Errorf("%d webhooks arrived, want the retry", got.Load())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestARetryGoesToEveryApp(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		err := w.sim.AddApp(w.Context(), App{URL: "http://vendor.example/", Secret: "other", VerifyToken: "verify"})
		if err != nil {
			w.Fatal(err)
		}
		var failed atomic.Bool
		w.to.answer = func(_ int, r *http.Request, _ []byte) int {
			if r.URL.Host == "vendor.example" && failed.CompareAndSwap(false, true) {
				return 500
			}
			return 200
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		time.Sleep(time.Minute)
		var ours int
		for _, p := range w.to.posts() {
			if p.host == "worker.example" {
				ours++
			} else if p.header.Get("X-Hub-Signature-256") != Sign("other", p.body) {
				w.Error("the other app's webhook is not signed with its secret")
			}
		}
		if ours != 2 {
			w.Errorf("our app got %d copies, want the original and the other app's retry", ours)
		}
	})
}

func TestABatchMixesEntriesChangesAndMessages(t *testing.T) {
	inWorld(t, Options{Batch: 1000}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao", Count: 100})
		w.receive(Inbound{From: "393331234567", Text: "ciao", Count: 1500})
		var total int
		var entries, changes, messages int
		for _, p := range w.to.posts() {
			var doc any
			_ = json.Unmarshal(p.body, &doc)
			entries = max(entries, len(list(doc, "entry")))
			inPost := 0
			for _, e := range list(doc, "entry") {
				changes = max(changes, len(list(e, "changes")))
				for _, c := range list(e, "changes") {
					n := len(list(field(c, "value"), "messages"))
					messages = max(messages, n)
					inPost += n
				}
			}
			if inPost > 1000 {
				w.Errorf("%d updates in one post", inPost)
			}
			total += inPost
		}
		if total != 1600 || entries < 2 || changes < 2 || messages < 2 {
			w.Errorf("%d messages; at most %d entries, %d changes, %d messages in a value", total, entries, changes, messages)
		}
		if n := len(w.to.posts()); n != 3 {
			w.Errorf("%d posts, want 100, 1000 and 500 messages", n)
		}
	})
}

func TestABatchMixesMessagesAndStatuses(t *testing.T) {
	inWorld(t, Options{Batch: 1000, BatchWait: 5 * time.Second}, func(w world) {
		go func() {
			_, _ = w.sim.Receive(w.Context(), Inbound{From: "393331234567", Text: "ciao", Count: 2})
		}()
		synctest.Wait()
		for range 3 {
			w.send(textTo("+393331234567", "x"))
		}
		time.Sleep(200 * time.Millisecond) // the messages are sent, not delivered
		w.sim.SetTemplateStatus("order_update", "it", "FLAGGED", "")
		time.Sleep(10 * time.Second)
		type content struct{ messages, statuses, templates, both, entries int }
		var got content
		for _, p := range w.to.posts() {
			var doc any
			_ = json.Unmarshal(p.body, &doc)
			got.entries += len(list(doc, "entry"))
			for _, v := range values(w.T, p.body) {
				m, st := len(list(v, "messages")), len(list(v, "statuses"))
				got.messages += m
				got.statuses += st
				if m > 0 && st > 0 {
					got.both++
				}
				if v["event"] != nil {
					got.templates++
				}
			}
		}
		if want := (content{2, 9, 1, 1, 3}); got != want || len(w.to.posts()) != 1 {
			w.Errorf("%d posts with %+v, want one with %+v", len(w.to.posts()), got, want)
		}
	})
}

func TestABatchStaysBelowThreeMegabytes(t *testing.T) {
	inWorld(t, Options{Batch: 1000}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: strings.Repeat("è", 4096), Count: 300})
		var total int
		for _, p := range w.to.posts() {
			if len(p.body) > maxBody {
				w.Errorf("a body of %d bytes", len(p.body))
			}
			for _, v := range values(w.T, p.body) {
				total += len(list(v, "messages"))
			}
		}
		if total != 300 || len(w.to.posts()) < 3 {
			w.Errorf("%d messages in %d posts", total, len(w.to.posts()))
		}
	})
}

func TestPostsAreInFlightTogether(t *testing.T) {
	inWorld(t, Options{Concurrency: 8}, func(w world) {
		var now, most atomic.Int32
		w.to.answer = func(int, *http.Request, []byte) int {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return 200
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao", Count: 20})
		if got := most.Load(); got != 8 {
			w.Errorf("%d posts in flight, want 8", got)
		}
	})
}

func TestADuplicateComesWithinFiveMilliseconds(t *testing.T) {
	inWorld(t, Options{Duplicate: 1}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		time.Sleep(time.Second)
		got := w.to.posts()
		if len(got) != 2 || !bytes.Equal(got[0].body, got[1].body) || got[1].at.Sub(got[0].at) > 5*time.Millisecond {
			w.Errorf("%d posts", len(got))
		}
	})
}

func TestShufflingChangesTheOrder(t *testing.T) {
	inWorld(t, Options{Shuffle: 0.5}, func(w world) {
		r := w.receive(Inbound{From: "393331234567", Text: "ciao", Count: 20})
		var arrived []string
		for _, p := range w.to.posts() {
			arrived = append(arrived, text(list(values(w.T, p.body)[0], "messages")[0], "id"))
		}
		if len(arrived) != 20 || slices.Equal(arrived, r.WAMIDs) {
			w.Errorf("%d messages, in the order they were written", len(arrived))
		}
	})
}

func TestSignaturesCanBeSpoiled(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		body := w.sim.GuideMessage(time.Now())
		for _, how := range []string{"wrong", "missing", "modified"} {
			w.receive(Inbound{Raw: body, Signature: how})
			p := w.to.posts()
			last := p[len(p)-1]
			if sig := last.header.Get("X-Hub-Signature-256"); sig == Sign("secret", last.body) || (sig == "") != (how == "missing") {
				w.Errorf("%s: signature %q", how, sig)
			}
		}
		w.receive(Inbound{Raw: body})
		hooks := w.sim.Webhooks("")
		var r Receipt
		if w.control("POST", "/_sim/replay", fmt.Sprintf(`{"id":%d}`, hooks[len(hooks)-1].ID), &r); r.Status != 200 {
			w.Fatalf("replay %+v", r)
		}
		p := w.to.posts()
		first, again := p[len(p)-2], p[len(p)-1]
		if !bytes.Equal(first.body, again.body) || again.header.Get("X-Hub-Signature-256") != Sign("secret", again.body) {
			w.Error("a replayed webhook is not the old body with its valid signature")
		}
	})
}

func TestALargeBodyIsSentWholeAndUncompressed(t *testing.T) {
	t.Parallel()
	const most = 3 << 20
	for name, size := range map[string]int{"3 MB": most, "a byte more": most + 1, "8 MB": 8 << 20} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w world) {
				w.to.answer = func(n int, _ *http.Request, body []byte) int {
					if n == 1 && len(body) > most {
						return http.StatusRequestEntityTooLarge
					}
					return http.StatusOK
				}
				frame := `{"object":"whatsapp_business_account","entry":[],"x":""}`
				body := frame[:len(frame)-2] + strings.Repeat("x", size-len(frame)) + frame[len(frame)-2:]
				var r Receipt
				w.control("POST", "/_sim/inbound", `{"raw":`+body+`}`, &r)
				want := http.StatusOK
				if size > most {
					want = http.StatusRequestEntityTooLarge
				}
				if r.Status != want {
					w.Errorf("answered %+v, want %d", r, want)
				}
				time.Sleep(time.Minute)
				got := w.to.posts()
				if n := map[int]int{http.StatusOK: 1, http.StatusRequestEntityTooLarge: 2}[want]; len(got) != n {
					w.Errorf("%d posts, want %d", len(got), n)
				}
				for _, p := range got {
					if string(p.body) != body || p.header.Get("Content-Encoding") != "" || p.header.Get("X-Hub-Signature-256") != Sign("secret", p.body) {
						w.Errorf("%d bytes arrived, headers %v", len(p.body), p.header)
					}
				}
			})
		})
	}
}

func TestARawBodyCanComeByAnotherMethod(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		var r Receipt
		w.control("POST", "/_sim/inbound", `{"raw":{"object":"whatsapp_business_account","entry":[]},"method":"GET"}`, &r)
		if r.Status != http.StatusForbidden || len(w.to.posts()) != 0 {
			w.Errorf("%+v, %d posts; want the answer to a handshake without a token", r, len(w.to.posts()))
		}
	})
}

func TestCloseEndsRetries(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.to.answer = func(int, *http.Request, []byte) int { return 503 }
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		if err := w.sim.Close(); err != nil {
			w.Fatal(err)
		}
		n := len(w.to.posts())
		time.Sleep(24 * time.Hour)
		if more := len(w.to.posts()); more != n {
			w.Errorf("%d posts after Close", more-n)
		}
	})
}

// The pool is wide enough that a busy receiver sees few connections.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	remotes := map[string]bool{}
	var posts atomic.Int32
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge")))
			return
		}
		posts.Add(1)
		mu.Lock()
		remotes[r.RemoteAddr] = true
		mu.Unlock()
	}))
	defer to.Close()
	s := New(Options{Concurrency: 16})
	defer s.Close()
	if err := s.SetCallback(t.Context(), to.URL); err != nil {
		t.Fatal(err)
	}
	r, err := s.Receive(t.Context(), Inbound{From: "393331234567", Text: "ciao", Count: 1000})
	if err != nil || r.Status != 200 {
		t.Fatalf("%+v %v", r, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if posts.Load() != 1000 || len(remotes) > 64 {
		t.Errorf("%d posts over %d connections", posts.Load(), len(remotes))
	}
}
