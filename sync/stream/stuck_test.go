package stream_test

import (
	"testing"
	"time"

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
	came, stop := arriving(t, b)
	defer stop()
	publish(t, b, facts(1, "before"))
	<-came
	js, err := jetstream.New(client(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if paused, err := js.PauseConsumer(t.Context(), "EVENTS", "recorder", time.Now().Add(time.Hour)); err != nil || !paused.Paused {
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
