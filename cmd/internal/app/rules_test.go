package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/config"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// hearer is a receiver that remembers the ids and bodies that it was sent.
type hearer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	calls  []string // "id body"
}

func newHearer(t *testing.T) *hearer {
	t.Helper()
	h := &hearer{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls = append(h.calls, r.Header.Get("Idempotency-Key")+" "+string(body))
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hearer) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

func (h *hearer) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func named(name, address, format string) config.Notify {
	return config.Notify{Name: name, URL: config.NewSecret(address + "/S3CRET"), Format: format, Private: true}
}

func newNotices(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func owe(t *testing.T, db *store.DB, receiver, id, text string) {
	t.Helper()
	err := db.Record(t.Context(), func(tx directory.Tx) error {
		return tx.SaveNotices([]directory.Notice{{ID: id, Receiver: receiver, Message: directory.NoticeMessage{
			Event: directory.RuleNotice, ID: id, Rule: "complaint", ContactID: 7, Text: text,
		}}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func owed(t *testing.T, db *store.DB) map[string]int {
	t.Helper()
	n, err := db.NoticesOwed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func telling(t *testing.T, db *store.DB, holder string, log io.Writer, receivers ...config.Notify) (*teller, func()) {
	t.Helper()
	tell := newTeller(db, holder, receivers, newMetrics(), slog.New(slog.NewJSONHandler(log, nil)))
	tell.every, tell.waits = 10*time.Millisecond, []time.Duration{20 * time.Millisecond}
	return tell, running(t, tell.run)
}

func TestReceiversAreToldWhatRulesSay(t *testing.T) {
	t.Parallel()
	db := newNotices(t)
	hook, slack := newHearer(t), newHearer(t)
	hook.answer(http.StatusInternalServerError)
	var log lockedLog
	tell, _ := telling(t, db, "a", &log, named("hook", hook.URL, "json"), named("slack", slack.URL, "slack"))
	other, _ := telling(t, db, "b", &log, named("hook", hook.URL, "json"), named("slack", slack.URL, "slack"))
	owe(t, db, "hook", "id-1", "Complaint: Ada")
	owe(t, db, "slack", "id-2", "Complaint: <!channel> & @here Ada")
	within(t, "slack is told although the other one answers 500", func() bool { return len(slack.heard()) == 1 })
	within(t, "the other one is tried again", func() bool { return len(hook.heard()) >= 3 })
	hook.answer(http.StatusOK)
	within(t, "nothing is owed any more", func() bool { return len(owed(t, db)) == 0 })
	time.Sleep(100 * time.Millisecond)
	if got, want := slack.heard(), `id-2 {"text":"Complaint: \u0026lt;!channel\u0026gt; \u0026amp; @`+"\u200b"+`here Ada"}`; len(got) != 1 || got[0] != want {
		t.Errorf("slack heard %q, want %q", got, want)
	}
	for _, call := range hook.heard() {
		id, body, _ := strings.Cut(call, " ")
		var m directory.NoticeMessage
		if err := json.Unmarshal([]byte(body), &m); err != nil || id != "id-1" || m.ID != id || m.Event != "rule" || m.Text != "Complaint: Ada" || m.ContactID != 7 {
			t.Errorf("the other one heard %q", call)
		}
	}
	if n := outcomes(t, tell)["hook failed"] + outcomes(t, other)["hook failed"]; n == 0 || !strings.Contains(log.String(), "trying again") {
		t.Error("nobody counts or logs the failures")
	}
	for _, secret := range []string{"Ada", "S3CRET"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
}

func TestWhoCannotBeToldIsGivenUp(t *testing.T) {
	t.Parallel()
	db := newNotices(t)
	var log lockedLog
	owe(t, db, "gone", "id-1", "x")
	tell := newTeller(db, "a", nil, newMetrics(), slog.New(slog.NewJSONHandler(&log, nil)))
	tell.every, tell.waits, tell.tryFor = 10*time.Millisecond, []time.Duration{20 * time.Millisecond}, 200*time.Millisecond
	running(t, tell.run)
	within(t, "it is given up", func() bool { return len(owed(t, db)) == 0 })
	within(t, "that is counted", func() bool { return outcomes(t, tell)["gone given_up"] == 1 })
	if text := log.String(); !strings.Contains(text, `"level":"ERROR"`) || !strings.Contains(text, "there is no receiver of this name") {
		t.Errorf("the log says\n%s", text)
	}
}

// A slow receiver holds nobody else up, and what is owed survives a restart.
func TestASlowReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	db := newNotices(t)
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	quick := newHearer(t)
	owe(t, db, "slow", "id-1", "x")
	_, stop := telling(t, db, "a", io.Discard, named("slow", slow.URL, "json"), named("quick", quick.URL, "json"))
	began := time.Now()
	for n := range 5 {
		owe(t, db, "quick", fmt.Sprint("quick-", n), "x")
		within(t, "the quick one is told", func() bool { return len(quick.heard()) == n+1 })
	}
	if took := time.Since(began); took > notifyTimeout/2 {
		t.Errorf("the quick one has waited for the slow one: %v", took)
	}
	stop()
	if got := owed(t, db); got["slow"] != 1 {
		t.Errorf("owed after the stop: %v", got)
	}
	other := newHearer(t)
	telling(t, db, "b", io.Discard, named("slow", other.URL, "json"))
	within(t, "it is told by who comes next", func() bool { return len(other.heard()) == 1 })
}

func TestARefusedNoticeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for status, stops := range map[int]bool{400: false, 404: false, 413: false, 302: false, 408: true, 429: true, 500: true, 503: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			db := newNotices(t)
			for n := range 12 {
				owe(t, db, "hook", fmt.Sprintf("id-%02d", n), fmt.Sprint("text ", n))
			}
			var mu sync.Mutex
			heard := map[string]int{}
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id := r.Header.Get("Idempotency-Key")
				mu.Lock()
				defer mu.Unlock()
				if heard[id]++; id == "id-00" {
					w.WriteHeader(status)
				}
			}))
			defer hook.Close()
			tell := newTeller(db, "a", []config.Notify{named("hook", hook.URL, "json")}, newMetrics(), slog.New(slog.DiscardHandler))
			tell.leads.Store(true)
			if err := tell.tell(t.Context(), "hook"); err != nil {
				t.Fatal(err)
			}
			want := 12
			if stops {
				want = 1
			}
			mu.Lock()
			defer mu.Unlock()
			if len(heard) != want || heard["id-00"] != 1 {
				t.Errorf("heard %v, want %d notices", heard, want)
			}
		})
	}
}

func TestAReceiverIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	db := newNotices(t)
	var mu sync.Mutex
	var calls []time.Time
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if calls = append(calls, time.Now()); len(calls) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer hook.Close()
	owe(t, db, "hook", "id-1", "x")
	owe(t, db, "hook", "id-2", "x")
	telling(t, db, "a", io.Discard, named("hook", hook.URL, "json"))
	within(t, "both are told", func() bool { return len(owed(t, db)) == 0 })
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != 3 || calls[1].Sub(calls[0]) < 900*time.Millisecond {
		t.Errorf("called at %v", calls)
	}
}

func TestManyNoticesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	db := newNotices(t)
	const many, contacts = 700, 100
	notices := make([]directory.Notice, many)
	for n := range notices {
		id := fmt.Sprintf("id-%03d", n)
		notices[n] = directory.Notice{ID: id, Receiver: "hook", Message: directory.NoticeMessage{ID: id, ContactID: int64(n % contacts)}}
	}
	if err := db.Record(t.Context(), func(tx directory.Tx) error { return tx.SaveNotices(notices) }); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	heard := map[int64][]string{}
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m directory.NoticeMessage
		_ = json.NewDecoder(r.Body).Decode(&m)
		time.Sleep(20 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		heard[m.ContactID] = append(heard[m.ContactID], m.ID)
	}))
	defer hook.Close()
	tell := newTeller(db, "a", []config.Notify{named("hook", hook.URL, "json")}, newMetrics(), slog.New(slog.DiscardHandler))
	began := time.Now()
	running(t, tell.run)
	for len(owed(t, db)) > 0 && time.Since(began) < 30*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(began); took > 8*time.Second { // one after the other it is more than 14
		t.Errorf("700 notices took %v", took)
	}
	mu.Lock()
	defer mu.Unlock()
	for contact, ids := range heard {
		if len(ids) != many/contacts || !slices.IsSorted(ids) {
			t.Errorf("of contact %d was told %v", contact, ids)
		}
	}
	if len(heard) != contacts {
		t.Errorf("of %d contacts was told, want %d", len(heard), contacts)
	}
}

func TestTheFirstPausesAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	tell := newTeller(nil, "", nil, nil, nil)
	if want := []time.Duration{time.Second, 30 * time.Second, time.Minute}; !slices.Equal(tell.waits, want) || tell.refused[2] != time.Hour || tell.tryFor != 24*time.Hour || tell.every > time.Second {
		t.Errorf("waits %v for %v, looks every %v", tell.waits, tell.tryFor, tell.every)
	}
}

func TestRulesNameReceiversThatThereAre(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m.yaml", []byte(`version: 1
accounts: {crm: {contact: {x: phone}}}
rules:
  - name: complaint
    do:
      - notify: {to: slack, text: x}
      - notify: {to: slak, text: x}
      - reply: {to: slack, template: x}
      - reply: {to: sender, template: x}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Mapping: "m.yaml", Notify: []config.Notify{{Name: "slack", Format: "slack"}, {Name: "sender", Format: "json"}}}
	got := unknownReceivers(c, m)
	if len(got) != 2 || got[0].Line != 7 || !strings.Contains(got[0].String(), `rule "complaint" tells "slak"`) || got[1].Line != 8 || !strings.Contains(got[1].String(), "format: slack") {
		t.Errorf("findings %v", got)
	}
}

// running runs a part of a worker until the test ends or the function is called.
func running(t *testing.T, run func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// outcomes counts what has become of notices, by "receiver outcome".
func outcomes(t *testing.T, tell *teller) map[string]float64 {
	t.Helper()
	families, err := tell.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "crmsync_rule_notices_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			words := map[string]string{}
			for _, l := range m.GetLabel() {
				words[l.GetName()] = l.GetValue()
			}
			counts[words["receiver"]+" "+words["outcome"]] = m.GetCounter().GetValue()
		}
	}
	return counts
}
