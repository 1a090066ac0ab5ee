package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// pager is a receiver of notifications.
type pager struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies []string
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.status == http.StatusOK {
			p.bodies = append(p.bodies, r.Method+" "+r.Header.Get("Content-Type")+" "+string(body))
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(p.status)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pager) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *pager) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies
}

func overdueLetters(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	long := time.Now().Add(-25 * time.Hour)
	var letters []deadletter.Letter
	for n := range 4 {
		e := directory.Entity{Kind: directory.ContactEntity, ID: int64(n + 1)}
		l := deadletter.Letter{
			ID: deadletter.ForEntity("zoho", e), Account: "zoho", Entity: e, Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Mobile",
			Reason: "the value is *refused* <!channel> <https://evil.example|click>", State: deadletter.Open,
			CreatedAt: long, UpdatedAt: long, DueAt: long.Add(24 * time.Hour),
		}
		if n == 3 { // not due yet
			l.DueAt = time.Now().Add(time.Hour)
		}
		letters = append(letters, l)
	}
	if err := db.PutLetters(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	return db
}

func receiverAt(address, format string) config.Notify {
	return config.Notify{URL: config.NewSecret(address + "/services/S3CRET"), Format: format, Private: true}
}

// notifying looks often, until the test ends or the function is called.
func notifying(t *testing.T, db *store.DB, holder string, log io.Writer, receivers ...config.Notify) (stop func()) {
	t.Helper()
	n := newNotifier(db, holder, receivers, slog.New(slog.NewJSONHandler(log, nil)))
	n.every = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s: " + what)
		}
	}
}

func TestReceiversAreToldOnceOfLettersThatAreOverdue(t *testing.T) {
	t.Parallel()
	db := overdueLetters(t)
	hook, slack := newPager(t), newPager(t)
	var log lockedLog
	receivers := []config.Notify{receiverAt(hook.URL, "json"), receiverAt(slack.URL, "slack")}
	stop := notifying(t, db, "a", &log, receivers...)
	within(t, "both are told", func() bool { return len(hook.got()) == 1 && len(slack.got()) == 1 })
	notifying(t, db, "b", &log, receivers...) // another replica
	time.Sleep(200 * time.Millisecond)
	stop()
	notifying(t, db, "a", &log, receivers...) // a restart
	time.Sleep(200 * time.Millisecond)
	if len(hook.got()) != 1 || len(slack.got()) != 1 {
		t.Fatalf("told %d and %d times, want once each", len(hook.got()), len(slack.got()))
	}
	body, ok := strings.CutPrefix(hook.got()[0], "POST application/json ")
	var notice deadletter.Notice
	if err := json.Unmarshal([]byte(body), &notice); err != nil || !ok {
		t.Fatalf("%v: %s", err, hook.got()[0])
	}
	if notice.Event != "dead_letters_overdue" || notice.Letters != 3 || len(notice.Groups) != 1 || notice.Groups[0].Letters != 3 || notice.Groups[0].Title != "INVALID_DATA on Mobile" || notice.Groups[0].Example == "" {
		t.Errorf("notice %+v", notice)
	}
	var message map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(slack.got()[0], "POST application/json ")), &message); err != nil || len(message) != 1 {
		t.Fatalf("%v: %s", err, slack.got()[0])
	}
	text := message["text"]
	if !strings.Contains(text, "3 dead letters overdue") || !strings.Contains(text, "zoho: INVALID_DATA on Mobile: 3 letters") {
		t.Errorf("text %q", text)
	}
	if strings.ContainsAny(text, "<>") || strings.Contains(text, "*refused*") {
		t.Errorf("the vendor's text has a meaning in Slack: %q", text)
	}
	if n := strings.Count(log.String(), `"level":"WARN","msg":"dead letters are overdue`); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), "S3CRET") {
		t.Errorf("the log has the address:\n%s", log.String())
	}
}

// What a receiver has missed it is told when it is back; the others are not told
// twice.
func TestAReceiverThatIsDownIsToldLater(t *testing.T) {
	t.Parallel()
	db := overdueLetters(t)
	down, up := newPager(t), newPager(t)
	down.answer(http.StatusServiceUnavailable)
	var log lockedLog
	notifying(t, db, "a", &log, receiverAt(down.URL, "json"), receiverAt(up.URL, "json"))
	within(t, "the failure is logged", func() bool { return strings.Contains(log.String(), "answered 503") })
	down.answer(http.StatusFound) // is not followed
	within(t, "a redirect is a failure", func() bool { return strings.Contains(log.String(), "answered 302") })
	down.answer(http.StatusOK)
	within(t, "it is told", func() bool { return len(down.got()) == 1 })
	if len(up.got()) != 1 {
		t.Errorf("the other one is told %d times", len(up.got()))
	}
	if strings.Contains(log.String(), "S3CRET") {
		t.Errorf("the log has the address:\n%s", log.String())
	}
}

// Whatever the name, the address that it leads to is what counts.
func TestAReceiverInsideTheNetworkIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	db := overdueLetters(t)
	inside := newPager(t)
	settings := receiverAt(strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), "json")
	settings.Private = false
	var log lockedLog
	notifying(t, db, "a", &log, settings)
	within(t, "the refusal is logged", func() bool { return strings.Contains(log.String(), "private: true") })
	if len(inside.got()) != 0 {
		t.Errorf("it was called: %q", inside.got())
	}
	for text, want := range map[string][2]bool{
		"93.184.215.14": {true, true}, "2606:2800:21f::1": {true, true},
		"127.0.0.1": {false, true}, "::1": {false, true}, "10.1.2.3": {false, true}, "192.168.0.1": {false, true}, "172.16.0.1": {false, true},
		"fd00::1": {false, true}, "::ffff:127.0.0.1": {false, true},
		"169.254.169.254": {}, "fe80::1": {}, "0.0.0.0": {}, "::": {}, "255.255.255.255": {}, "224.0.0.1": {}, "ff02::1": {}, "100.100.100.200": {},
		"::ffff:169.254.169.254": {}, "64:ff9b::a9fe:a9fe": {}, "2002:a9fe:a9fe::1": {}, "198.18.0.1": {}, "::7f00:1": {},
	} {
		a := netip.MustParseAddr(text)
		if got := [2]bool{mayCall(a, false), mayCall(a, true)}; got != want {
			t.Errorf("%s: may be called %v, inside our network %v; want %v", text, got[0], got[1], want)
		}
	}
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
