package stream_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/stream"
)

// Whoever listens to DEADLETTERS sees what a letter is about without reading
// it, and a reason cannot forge a header.
func TestALettersHeadersSayWhatItIsAbout(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	b := open(t, stream.Options{URLs: []string{s.ClientURL()}})
	defer b.Close()

	due := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	e := directory.Entity{Kind: directory.ContactEntity, ID: 42}
	contact := deadletter.Letter{
		ID: deadletter.ForEntity("zoho", e), Account: "zoho", Entity: e, Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Mobile",
		Reason: "the value is refused\r\naccount: forged", Attempts: 3, Revision: "0123456789ab", State: deadletter.Open, DueAt: due,
	}
	bad := &directory.Fact{ID: "whatsapp/x", Account: "whatsapp", Fact: connectors.Fact{Key: "x", Reason: "entry is missing"}}
	part := deadletter.OfFact(bad, "0123456789ab", due.Add(-time.Hour), time.Hour)
	if err := b.Bury(t.Context(), []deadletter.Letter{contact, part}); err != nil {
		t.Fatal(err)
	}

	js, err := jetstream.New(client(t, s))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), "DEADLETTERS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		subject string
		letter  deadletter.Letter
		headers map[string]string
	}{
		{"deadletters.zoho.rejected", contact, map[string]string{
			"letter": "zoho.contact.42", "account": "zoho", "entity": "contact 42", "class": "rejected", "code": "INVALID_DATA", "field": "Mobile",
			"attempts": "3", "mapping-revision": "0123456789ab", "due": "2026-11-22T09:00:00Z",
		}},
		{"deadletters.whatsapp.rejected", part, map[string]string{
			"letter": part.ID, "account": "whatsapp", "entity": "fact", "class": "rejected", "code": "MALFORMED", "field": "",
			"reason": "entry is missing", "attempts": "1", "mapping-revision": "0123456789ab", "due": "2026-11-22T09:00:00Z",
		}},
	} {
		m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject() != want.subject {
			t.Errorf("subject %q, want %q", m.Subject(), want.subject)
		}
		for key, value := range want.headers {
			if got := m.Headers().Values(key); len(got) != 1 || got[0] != value {
				t.Errorf("%s: header %s = %q, want %q", want.letter.ID, key, got, value)
			}
		}
		if reason := m.Headers().Get("reason"); reason == "" || strings.ContainsAny(reason, "\r\n") {
			t.Errorf("reason %q", reason)
		}
		var letter deadletter.Letter
		if err := json.Unmarshal(m.Data(), &letter); err != nil || letter.ID != want.letter.ID || letter.Reason != want.letter.Reason {
			t.Errorf("letter %+v (error %v)", letter, err)
		}
	}
}
