package whatsappsim

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	keptHooks    = 2000
	keptBytes    = 16 << 20
	keptAttempts = 50
)

// Webhook is one body that was sent, with the answers it got.
type Webhook struct {
	ID   int64  `json:"id"`
	At   string `json:"at"`
	Body string `json:"body"`
	// Retries counts the attempts that were or will be made again.
	Retries  int  `json:"retries"`
	Answered bool `json:"answered"`
	GaveUp   bool `json:"gave_up,omitempty"`
	// Dropped means that nobody was subscribed.
	Dropped bool `json:"dropped,omitempty"`
	// Attempts are the newest fifty.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one post. Status is 0 if there was no answer.
type Attempt struct {
	At           string  `json:"at"`
	URL          string  `json:"url"`
	Status       int     `json:"status"`
	Error        string  `json:"error,omitempty"`
	Milliseconds float64 `json:"ms"`
}

func (w *Webhook) record(a Attempt) {
	if len(w.Attempts) == keptAttempts {
		w.Attempts = append(w.Attempts[:0], w.Attempts[1:]...)
	}
	w.Attempts = append(w.Attempts, a)
}

// hookLog keeps the newest webhooks within a number and a size.
type hookLog struct {
	next int64
	size int
	kept []*Webhook
}

func (l *hookLog) add(body []byte, at time.Time) *Webhook {
	l.next++
	w := &Webhook{ID: l.next, At: stamp(at), Body: string(body), Attempts: []Attempt{}}
	l.kept = append(l.kept, w)
	l.size += len(w.Body)
	for len(l.kept) > 1 && (len(l.kept) > keptHooks || l.size > keptBytes) {
		l.size -= len(l.kept[0].Body)
		l.kept[0] = nil
		l.kept = l.kept[1:]
	}
	return w
}

// Webhooks returns the newest webhooks, oldest first, whose body contains
// text.
func (s *Server) Webhooks(text string) []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Webhook{}
	for _, w := range s.hooks.kept {
		if strings.Contains(w.Body, text) {
			c := *w
			c.Attempts = append([]Attempt{}, w.Attempts...)
			list = append(list, c)
		}
	}
	return list
}

// stamp is RFC 3339 with milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// Replay posts a webhook again, byte for byte with its valid signature: the
// platform's signature has neither time nor nonce, so whoever captured a
// request can do this. It returns the answer to the first attempt.
func (s *Server) Replay(ctx context.Context, id int64) (int, error) {
	s.mu.Lock()
	var body []byte
	for _, w := range s.hooks.kept {
		if w.ID == id {
			body = []byte(w.Body)
		}
	}
	s.mu.Unlock()
	if body == nil {
		return 0, fmt.Errorf("no webhook %d", id)
	}
	d := newDelivery(s.route(fieldMessages), nil)
	s.emit(d, body)
	return d.wait(ctx)
}
