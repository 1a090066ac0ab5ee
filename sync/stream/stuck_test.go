package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"crmsync/sync/stream"
)

// A consumer stands still although facts wait, as one did after a partition;
// here somebody has paused it. It is made anew.
func TestAConsumerThatStandsStillIsMadeAnew(t *testing.T) {
	t.Parallel()
	s := serverOn(t)
	b := open(t, stream.Options{URLs: []string{s.ClientURL()}})
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	came := arriving(ctx, t, b)
	publish(t, b, facts(1, "before"))
	<-came
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
	publish(t, b, facts(3, "during"))
	until := time.After(40 * time.Second)
	for n := range 3 {
		select {
		case <-came:
		case <-until:
			t.Fatalf("%d of 3 facts were handed over", n)
		}
	}
}
