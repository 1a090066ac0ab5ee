package stream_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/stream"
)

func held(t *testing.T, b *stream.Broker) audit.Held {
	t.Helper()
	h, err := b.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Every event has a number, none is left out whatever is refused in between,
// and the numbers go on after a restart.
func TestEventsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, stream.Options{Dir: dir, MaxBytes: 200_000})
	if h := held(t, b); h.Last != 0 || h.Waiting != 0 || len(h.Facts) != 0 || h.Letters != 0 {
		t.Errorf("before the first: %+v", h)
	}
	var posts sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for _, f := range facts(1000, "a") {
		f.Message.Text += string(make([]byte, 300))
		posts.Go(func() {
			if b.PublishFacts(t.Context(), []directory.Fact{f}) == nil {
				mu.Lock()
				stored++
				mu.Unlock()
			}
		})
	}
	posts.Wait()
	if stored == 0 || stored == 1000 {
		t.Fatalf("%d stored, want some and not all", stored)
	}
	h := held(t, b)
	if int(h.Last) != stored || int(h.Waiting) != stored || h.First != 1 || len(h.Gone) != 0 {
		t.Errorf("of %d: %+v", stored, h)
	}
	if want := []audit.HeldFacts{{Account: "whatsapp", Kind: "message", N: uint64(stored)}}; !slices.Equal(h.Facts, want) {
		t.Errorf("facts %+v, want %+v", h.Facts, want)
	}
	var numbers []uint64
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_ = b.ConsumeFacts(ctx, func(_ context.Context, list []directory.Fact) bool {
		for _, f := range list {
			if f.Event.Stream != h.Stream {
				t.Errorf("an event of %q, want %q", f.Event.Stream, h.Stream)
			}
			numbers = append(numbers, f.Event.Number)
		}
		if len(numbers) == stored {
			cancel()
		}
		return true
	})
	slices.Sort(numbers)
	for i, n := range numbers {
		if int(n) != i+1 {
			t.Fatalf("number %d is %d", i+1, n)
		}
	}
	b.Close()
	b = open(t, stream.Options{Dir: dir})
	defer b.Close()
	publish(t, b, facts(1, "z"))
	if again := held(t, b); again.Stream != h.Stream || again.Last != h.Last+1 || again.Waiting != 1 || again.First != again.Last {
		t.Errorf("after a restart: %+v, before: %+v", again, h)
	}
}

// A look at an external broker creates nothing there.
func TestAnExternalBrokerIsAskedWithoutChangingIt(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	o := stream.Options{URLs: []string{s.ClientURL()}, Log: slog.New(slog.DiscardHandler)}
	look, err := stream.Reach(o)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	if h := held(t, look); h.Stream != "" || h.Last != 0 || h.Letters != 0 {
		t.Errorf("a broker without streams holds %+v", h)
	}
	if n := streamsOf(s); n != 0 {
		t.Errorf("%d streams were created", n)
	}
	b := open(t, o)
	defer b.Close()
	publish(t, b, facts(3, "a"))
	if err := b.Bury(t.Context(), []deadletter.Letter{{ID: "hubspot.contact.1", Account: "hubspot"}}); err != nil {
		t.Fatal(err)
	}
	if h := held(t, look); h.Waiting != 3 || h.Last != 3 || h.Letters != 1 {
		t.Errorf("%+v, want three facts and a letter", h)
	}
}

func streamsOf(s *server.Server) int {
	info, err := s.Jsz(nil)
	if err != nil {
		return -1
	}
	return info.Streams
}
