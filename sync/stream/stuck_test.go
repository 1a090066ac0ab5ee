package stream_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"crmsync/sync/directory"
	"crmsync/sync/stream"
)

// A consumer stands still although facts wait, as one did after a partition;
// here somebody has paused it. It is made anew.
func TestAConsumerThatStandsStillIsMadeAnew(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 8 << 20, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	b, err := stream.Open(t.Context(), stream.Options{URLs: []string{s.ClientURL()}, MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	recorded := make(chan int, 100)
	done := make(chan error, 1)
	go func() {
		done <- b.ConsumeFacts(ctx, func(_ context.Context, facts []directory.Fact) bool { recorded <- len(facts); return true })
	}()
	if err := b.PublishFacts(ctx, facts(1, "before")); err != nil {
		t.Fatal(err)
	}
	<-recorded
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if paused, err := js.PauseConsumer(ctx, "EVENTS", "recorder", time.Now().Add(time.Hour)); err != nil || !paused.Paused {
		t.Fatalf("not paused: %v", err)
	}
	if err := b.PublishFacts(ctx, facts(3, "during")); err != nil {
		t.Fatal(err)
	}
	n := 0
	for until := time.After(40 * time.Second); n < 3; {
		select {
		case k := <-recorded:
			n += k
		case <-until:
			t.Fatalf("%d of 3 facts were handed over", n)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
