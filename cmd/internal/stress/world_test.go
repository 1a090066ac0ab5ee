package stress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// A world is a worker and a CRM in one, which do their work at once unless a
// test spoils it. It knows nothing of this package but what is documented.
type world struct {
	t *testing.T

	// answer takes the number of a webhook and says how it is answered; nil for
	// 200 each time.
	answer func(n int) int
	// store takes what would be stored and says what is; nil for the same.
	store func(m *stored) []stored
	// contacts says how many contacts somebody has; nil for one.
	contacts func(phone string) int
	// perMessage is how long the CRM takes for each message, one after the other.
	perMessage time.Duration

	mu       sync.Mutex
	webhooks []string
	busy     time.Time // until when the CRM is
	calls    int
	byWAMID  map[string]bool
	messages []stored
}

type stored struct {
	WAMID       string    `json:"wamid"`
	Text        string    `json:"text"`
	Status      string    `json:"status"`
	CommittedAt time.Time `json:"committed_at"`
	phone       string
}

func (w *world) start(t *testing.T) *Target {
	w.t, w.byWAMID = t, map[string]bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/whatsapp", w.webhook)
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, `{"accounts":{"crm":"ok"}}`) })
	mux.HandleFunc("GET /metrics", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "# HELP crmsync_backlog x\ncrmsync_backlog{account=\"a\"} 3\ncrmsync_backlog{account=\"b b\"} 4\n"+
			"process_cpu_seconds_total %g\nprocess_resident_memory_bytes 1.048576e+06\ngo_goroutines 7\n", float64(time.Now().UnixNano()%1e12)/1e9)
	})
	mux.HandleFunc("GET /_sim/stats", func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		ids := map[string]bool{}
		for _, m := range w.messages {
			ids[m.WAMID] = true
		}
		fmt.Fprintf(rw, `{"calls":%d,"messages":%d,"throttled":0,"duplicate_messages":%d}`, w.calls, len(w.messages), len(w.messages)-len(ids))
	})
	mux.HandleFunc("GET /_sim/contacts", func(rw http.ResponseWriter, r *http.Request) {
		n := 1
		if w.contacts != nil {
			n = w.contacts(r.URL.Query().Get("phone"))
		}
		json.NewEncoder(rw).Encode(make([]struct{}, n))
	})
	mux.HandleFunc("GET /_sim/messages", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		list := []stored{}
		for _, m := range w.messages {
			asked := r.URL.Query()
			if (asked.Get("wamid") == m.WAMID || "+"+m.phone == asked.Get("phone")) && !m.CommittedAt.After(time.Now()) {
				list = append(list, m)
			}
		}
		json.NewEncoder(rw).Encode(list)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &Target{
		Name: "a world", Webhook: server.URL + "/webhooks/whatsapp", AppSecret: "secret", Worker: server.URL,
		CRMs: []sandbox.CRM{{Account: "crm", Name: "The CRM", URL: server.URL}},
	}
}

func (w *world) webhook(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write(body)
	if r.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		w.t.Error("a webhook is not signed with the app secret")
	}
	w.mu.Lock()
	w.webhooks = append(w.webhooks, string(body))
	n := len(w.webhooks) - 1
	w.mu.Unlock()
	if w.answer != nil {
		if status := w.answer(n); status != http.StatusOK {
			rw.WriteHeader(status)
			return
		}
	}
	w.take(body)
}

func (w *world) take(body []byte) {
	var doc struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Messages []struct {
						From, ID string
						Text     struct{ Body string }
					}
					Statuses []struct {
						ID, Status  string
						RecipientID string `json:"recipient_id"`
					}
				}
			}
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		w.t.Errorf("%v: %s", err, body)
		return
	}
	value := doc.Entry[0].Changes[0].Value
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range value.Messages {
		w.put(stored{WAMID: m.ID, phone: m.From, Text: m.Text.Body})
	}
	for _, s := range value.Statuses {
		w.put(stored{WAMID: s.ID, phone: s.RecipientID, Status: s.Status})
	}
}

// put needs w.mu.
func (w *world) put(m stored) {
	rank := map[string]int{"": 0, "sent": 1, "delivered": 2, "read": 3}
	if w.byWAMID[m.WAMID] {
		for i := range w.messages {
			if old := &w.messages[i]; old.WAMID == m.WAMID && old.Status != "stuck" && rank[m.Status] > rank[old.Status] {
				old.Status = m.Status
			}
		}
		return
	}
	w.byWAMID[m.WAMID] = true
	w.calls++
	if now := time.Now(); w.busy.Before(now) {
		w.busy = now
	}
	w.busy = w.busy.Add(w.perMessage)
	m.CommittedAt = w.busy
	if w.store == nil {
		w.messages = append(w.messages, m)
		return
	}
	w.messages = append(w.messages, w.store(&m)...)
}

// number is that of a message in its run.
func (m *stored) number() string { return m.WAMID[strings.LastIndexByte(m.WAMID, '.')+1:] }
