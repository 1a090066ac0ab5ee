package hubspotsim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// hook is one webhook as it arrived.
type hook struct {
	header http.Header
	body   string
	events []obj
}

// receiver takes webhooks and answers what its answer says, 200 by default.
type receiver struct {
	url      string
	answer   func(n int, w http.ResponseWriter, r *http.Request)
	mu       sync.Mutex
	hooks    []hook
	inFlight int
	most     int
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{answer: answer}
	server := httptest.NewServer(rc)
	t.Cleanup(server.Close)
	rc.url = server.URL + "/webhooks/hubspot"
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := hook{header: r.Header.Clone(), body: string(body)}
	_ = json.Unmarshal(body, &h.events)
	rc.mu.Lock()
	n := len(rc.hooks)
	rc.hooks = append(rc.hooks, h)
	rc.inFlight++
	rc.most = max(rc.most, rc.inFlight)
	rc.mu.Unlock()
	if rc.answer != nil {
		rc.answer(n, w, r)
	}
	rc.mu.Lock()
	rc.inFlight--
	rc.mu.Unlock()
}

// arrived returns the webhooks so far.
func (rc *receiver) arrived() []hook {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]hook(nil), rc.hooks...)
}

func flat(hooks []hook) []obj {
	var list []obj
	for _, h := range hooks {
		list = append(list, h.events...)
	}
	return list
}

// until waits for something to be so, and for more of it than wanted.
func (rc *receiver) until(t *testing.T, what string, want int, count func([]hook) int) []hook {
	t.Helper()
	for range 500 {
		if count(rc.arrived()) >= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(30 * time.Millisecond)
	hooks := rc.arrived()
	if got := count(hooks); got != want {
		var bodies []string
		for _, h := range hooks {
			bodies = append(bodies, h.body)
		}
		t.Fatalf("got %d %s, want %d: %v", got, what, want, bodies)
	}
	return hooks
}

// later moves the account's time on until so many webhooks have come: another
// attempt is due some time after the answer to the last one was read.
func (rc *receiver) later(a *account, step time.Duration, want int) {
	for range 1000 {
		if len(rc.arrived()) >= want {
			return
		}
		a.Advance(step)
		time.Sleep(10 * time.Millisecond)
	}
}

// events waits for so many events.
func (rc *receiver) events(t *testing.T, want int) []obj {
	t.Helper()
	return flat(rc.until(t, "events", want, func(hooks []hook) int { return len(flat(hooks)) }))
}

// requests waits for so many webhooks.
func (rc *receiver) requests(t *testing.T, want int) []hook {
	t.Helper()
	return rc.until(t, "webhooks", want, func(hooks []hook) int { return len(hooks) })
}
