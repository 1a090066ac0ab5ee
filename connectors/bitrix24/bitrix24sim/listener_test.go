package bitrix24sim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// listener receives events.
type listener struct {
	url    string
	status int
	// refuse answers instead.
	refuse http.HandlerFunc
	mu     sync.Mutex
	calls  int
	bodies []string
	got    []url.Values
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		values, _ := url.ParseQuery(string(body))
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls++
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			l.bodies, l.got = append(l.bodies, string(body)), append(l.got, values)
		}
		if l.refuse != nil {
			l.refuse(w, r)
			return
		}
		w.WriteHeader(l.status)
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// wait returns the events once there are so many, and a moment later.
func (l *listener) wait(t *testing.T, count int) []url.Values {
	t.Helper()
	for range 500 {
		l.mu.Lock()
		n := len(l.got)
		l.mu.Unlock()
		if n >= count {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) != count {
		t.Fatalf("got %d events %v, want %d", len(l.got), l.bodies, count)
	}
	return l.got
}
