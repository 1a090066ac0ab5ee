package intake_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
	"crmsync/sync/intake"
)

// receiver accepts bodies that are signed "right" and makes one fact of each
// line.
type receiver struct{}

func (receiver) Challenge(q url.Values) (string, bool) {
	return q.Get("challenge"), q.Get("token") == "right"
}
func (receiver) Verify(h http.Header, _ []byte) bool { return h.Get("Signature") == "right" }

func (receiver) Split(body []byte) []connectors.Fact {
	var facts []connectors.Fact
	for line := range bytes.Lines(body) {
		facts = append(facts, connectors.Fact{Key: strings.TrimSpace(string(line)), Kind: connectors.KindMessage})
	}
	return facts
}

type observer struct{ facts, answers []string }

func (o *observer) Fact(account string, kind connectors.Kind) {
	o.facts = append(o.facts, account+" "+string(kind))
}

func (o *observer) Answer(status int, _ time.Duration) {
	o.answers = append(o.answers, http.StatusText(status))
}

type house struct {
	http.Handler
	stored []directory.Fact
	full   error
	seen   observer
}

func newHouse() *house {
	h := &house{}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/{account}", &intake.Handler{
		Receivers: map[string]connectors.Receiver{"whatsapp": receiver{}},
		Publish: func(_ context.Context, facts []directory.Fact) error {
			if h.full != nil {
				return h.full
			}
			h.stored = append(h.stored, facts...)
			return nil
		},
		Observer: &h.seen, Log: slog.New(slog.DiscardHandler),
	})
	h.Handler = mux
	return h
}

func (h *house) do(method, target, signature string, body io.Reader, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	if signature != "" {
		r.Header.Set("Signature", signature)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheAddressIsVerified(t *testing.T) {
	t.Parallel()
	h := newHouse()
	if w := h.do(http.MethodGet, "/webhooks/whatsapp?challenge=1158201444&token=right", "", nil); w.Code != http.StatusOK || w.Body.String() != "1158201444" {
		t.Errorf("answer %d %q, want 200 and the challenge exactly", w.Code, w.Body)
	}
	if w := h.do(http.MethodGet, "/webhooks/whatsapp?challenge=1158201444&token=wrong", "", nil); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "1158201444") {
		t.Errorf("answer %d %q to the wrong token, want 403", w.Code, w.Body)
	}
	if w := h.do(http.MethodGet, "/webhooks/nobody?challenge=1&token=right", "", nil); w.Code != http.StatusNotFound {
		t.Errorf("answer %d for an account that is not there, want 404", w.Code)
	}
}

func TestHowWebhooksAreAnswered(t *testing.T) {
	t.Parallel()
	largest := strings.Repeat("x", intake.MaxBody)
	tests := map[string]struct {
		signature, body string
		full            error
		change          func(*http.Request)
		status, stored  int
	}{
		"two facts":           {"right", "a\nb\n", nil, nil, http.StatusOK, 2},
		"nothing in it":       {"right", "", nil, nil, http.StatusOK, 0},
		"a wrong signature":   {"wrong", "a", nil, nil, http.StatusUnauthorized, 0},
		"no signature":        {"", "a", nil, nil, http.StatusUnauthorized, 0},
		"the stream is full":  {"right", "a", errors.New("full"), nil, http.StatusServiceUnavailable, 0},
		"as large as allowed": {"right", largest, nil, nil, http.StatusOK, 1},
		"too large":           {"right", largest + "x", nil, nil, http.StatusRequestEntityTooLarge, 0},
		"too large, and no length given": {
			"right", largest + "x", nil, func(r *http.Request) { r.ContentLength = -1 }, http.StatusRequestEntityTooLarge, 0,
		},
		"compressed": {
			"right", "a", nil, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, http.StatusUnsupportedMediaType, 0,
		},
		"cut off": {
			"right", "", nil, func(r *http.Request) { r.Body = io.NopCloser(&broken{}) }, http.StatusBadRequest, 0,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse()
			h.full = tt.full
			change := tt.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := h.do(http.MethodPost, "/webhooks/whatsapp", tt.signature, strings.NewReader(tt.body), change)
			if w.Code != tt.status || len(h.stored) != tt.stored {
				t.Errorf("answered %d with %d facts stored, want %d with %d", w.Code, len(h.stored), tt.status, tt.stored)
			}
			if tt.status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if len(h.seen.answers) != 1 || len(h.seen.facts) != tt.stored {
				t.Errorf("observed %v and %v", h.seen.answers, h.seen.facts)
			}
		})
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestFactsOfTwoAccountsWithOneKeyAreTwo(t *testing.T) {
	t.Parallel()
	if directory.FactID("a", "k") == directory.FactID("b", "k") {
		t.Error("they have one id")
	}
}

func TestAFactCarriesItsAccountAndTime(t *testing.T) {
	t.Parallel()
	h := newHouse()
	before := time.Now()
	h.do(http.MethodPost, "/webhooks/whatsapp", "right", strings.NewReader("k"))
	f := h.stored[0]
	if f.ID != "whatsapp/k" || f.Account != "whatsapp" || f.ReceivedAt.Before(before.Add(-time.Second)) || f.ReceivedAt.Location() != time.UTC {
		t.Errorf("fact = %+v", f)
	}
}
