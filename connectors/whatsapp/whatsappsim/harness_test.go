package whatsappsim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// receiver is a webhook receiver in memory: a round tripper, so that a
// synctest bubble can hold both ends.
type receiver struct {
	token  string
	answer func(n int, r *http.Request, body []byte) int // n counts posts from 1

	mu  sync.Mutex
	got []post
}

type post struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
}

func (c *receiver) RoundTrip(r *http.Request) (*http.Response, error) {
	done := make(chan *http.Response, 1)
	go func() {
		w := httptest.NewRecorder()
		c.serve(w, r)
		done <- w.Result()
	}()
	select {
	case res := <-done:
		return res, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (c *receiver) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if r.URL.Query().Get("hub.verify_token") != c.token || r.Header.Get("X-Hub-Signature-256") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
		return
	}
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.got = append(c.got, post{time.Now(), r.URL.Host, r.Header, body})
	n := len(c.got)
	c.mu.Unlock()
	if c.answer != nil {
		if code := c.answer(n, r, body); code != 0 {
			w.WriteHeader(code)
		}
	}
}

func (c *receiver) posts() []post {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]post(nil), c.got...)
}

// world is a simulator with a receiver in fake time.
type world struct {
	*testing.T
	sim *Server
	to  *receiver
}

// inWorld runs f in a bubble with the callback in place.
func inWorld(t *testing.T, opt Options, f func(w world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &receiver{token: "verify"}
		opt.VerifyToken = "verify"
		opt.AppSecret = "secret"
		opt.Client = &http.Client{Transport: to}
		sim := New(opt)
		defer sim.Close()
		if err := sim.SetCallback(t.Context(), "http://worker.example/webhooks/whatsapp"); err != nil {
			t.Fatal(err)
		}
		f(world{t, sim, to})
	})
}

const pnid, waba = "200100300400500", "102290129340398"

// call makes a Graph call with the token.
func (w world) call(method, path, body string, header ...string) (int, map[string]any, http.Header) {
	w.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer simulated-whatsapp-token")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.sim.ServeHTTP(rec, r)
	var doc map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		w.Fatalf("%s %s answered %d %q: %v", method, path, rec.Code, rec.Body, err)
	}
	return rec.Code, doc, rec.Header()
}

// send posts a message and returns the HTTP status, the error code and the wamid.
func (w world) send(body string) (status, code int, wamid string) {
	w.Helper()
	status, doc, _ := w.call("POST", "/v24.0/"+pnid+"/messages", body)
	for _, m := range list(doc, "messages") {
		wamid = text(m, "id")
	}
	return status, errorCode(doc), wamid
}

func errorCode(doc map[string]any) int {
	n, _ := field(doc["error"], "code").(float64)
	return int(n)
}

func textTo(to, body string) string {
	return string(encode(map[string]any{
		"messaging_product": "whatsapp", "to": to, "type": "text", "text": map[string]any{"body": body},
	}))
}

// values returns the values of a webhook body.
func values(t *testing.T, body []byte) (all []map[string]any) {
	t.Helper()
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("webhook is no JSON: %v", err)
	}
	for _, e := range list(doc, "entry") {
		for _, c := range list(e, "changes") {
			v, _ := field(c, "value").(map[string]any)
			all = append(all, v)
		}
	}
	return all
}

// statuses lets time pass and returns the statuses that arrived for a wamid.
func (w world) statuses(wamid string) (words []string, all []map[string]any) {
	w.Helper()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	for _, p := range w.to.posts() {
		for _, v := range values(w.T, p.body) {
			for _, st := range list(v, "statuses") {
				if text(st, "id") == wamid {
					words = append(words, text(st, "status"))
					all = append(all, st.(map[string]any))
				}
			}
		}
	}
	return words, all
}

func (w world) receive(in Inbound) Receipt {
	w.Helper()
	r, err := w.sim.Receive(context.Background(), in)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// lastValue is the newest webhook's only value.
func (w world) lastValue() map[string]any {
	w.Helper()
	posts := w.to.posts()
	if len(posts) == 0 {
		w.Fatal("no webhook arrived")
	}
	return values(w.T, posts[len(posts)-1].body)[0]
}
