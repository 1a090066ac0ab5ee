// Package intake accepts a webhook and answers only when it is stored.
package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// MaxBody is the largest webhook accepted. Meta sends up to 3 MB.
const MaxBody = 3 << 20

// storeWithin is how long storing may take. Meta waits some seconds, then
// sends the webhook again.
const storeWithin = 3 * time.Second

// A Handler answers /webhooks/{account}: GET for the vendor's verification of
// the address, POST for reports.
type Handler struct {
	// Receivers are the accounts that receive webhooks, by name.
	Receivers map[string]connectors.Receiver
	// Publish returns when every fact is on disk, or an error.
	Publish  func(ctx context.Context, facts []directory.Fact) error
	Observer Observer
	Log      *slog.Logger
}

// Observer is told what happens, for metrics.
type Observer interface {
	// Fact: an account reported something of a kind, and it is stored.
	Fact(account string, kind connectors.Kind)
	// Answer: a webhook was answered after d.
	Answer(status int, d time.Duration)
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	account := r.PathValue("account")
	receiver := h.Receivers[account]
	switch {
	case receiver == nil:
		http.Error(w, "no such account", http.StatusNotFound)
	case r.Method == http.MethodGet:
		h.challenge(w, r, receiver)
	case r.Method == http.MethodPost:
		start := time.Now()
		status, text := h.accept(r, w, account, receiver, start)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text+"\n") // a client that is gone sends again
		h.Observer.Answer(status, time.Since(start))
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "a webhook is a GET or a POST", http.StatusMethodNotAllowed)
	}
}

func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, receiver connectors.Receiver) {
	answer, ok := receiver.Challenge(r.URL.Query())
	if !ok {
		http.Error(w, "the verify token is not this account's", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, answer)
}

// accept stores a webhook and returns the answer to it.
func (h *Handler) accept(r *http.Request, w http.ResponseWriter, account string, receiver connectors.Receiver, received time.Time) (int, string) {
	if r.Header.Get("Content-Encoding") != "" {
		return http.StatusUnsupportedMediaType, "send the body as it is, without Content-Encoding"
	}
	if r.ContentLength > MaxBody {
		return http.StatusRequestEntityTooLarge, "the body is larger than 3 MB"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return unreadable(err)
	}
	if !receiver.Verify(r.Header, body) {
		h.Log.Warn("webhook refused: it is not signed with the account's secret", "account", account, "bytes", len(body))
		return http.StatusUnauthorized, "the signature is missing or wrong"
	}
	split := receiver.Split(body)
	facts := make([]directory.Fact, len(split))
	for i, f := range split {
		facts[i] = directory.Fact{ID: directory.FactID(account, f.Key), Account: account, ReceivedAt: received.UTC(), Fact: f}
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	if err := h.Publish(ctx, facts); err != nil {
		h.Log.Error("webhook not stored; the sender has to send it again", "account", account, "facts", len(facts), "error", err)
		return http.StatusServiceUnavailable, "not stored, send it again"
	}
	for _, f := range facts {
		h.Observer.Fact(account, f.Kind)
	}
	return http.StatusOK, "ok"
}

func unreadable(err error) (int, string) {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge, "the body is larger than 3 MB"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout, "the body did not arrive in time"
	}
	return http.StatusBadRequest, "the body is incomplete"
}
