package stream_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/stream"
)

// A line stands between a broker's client and its server.
type line struct {
	address string
	// silent makes the server's answers disappear.
	silent atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
	down  bool
}

func newLine(t *testing.T, s *server.Server) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: "nats://" + listener.Addr().String()}
	t.Cleanup(func() { listener.Close(); l.cut(true) })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", s.Addr().String())
			l.mu.Lock()
			if err != nil || l.down {
				client.Close()
			} else {
				l.conns = append(l.conns, client, upstream)
				go func() { _, _ = io.Copy(upstream, client) }()
				go l.answers(client, upstream)
			}
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *line) answers(client, upstream net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(b)
		if err != nil {
			return
		}
		if !l.silent.Load() {
			_, _ = client.Write(b[:n])
		}
	}
}

// cut ends every connection; those that come are refused while it is down.
func (l *line) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns, l.down = nil, down
	l.silent.Store(false)
}

func serverOn(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(5 * time.Second) {
		t.Fatal("the server did not start")
	}
	t.Cleanup(s.Shutdown)
	return s
}

// A connection that breaks takes the answers on it with it. Nobody waits for
// them: the webhook is refused at once, so that its sender can send it again.
func TestNobodyWaitsForAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	letter := deadletter.Letter{ID: "x", Account: "hubspot", Entity: directory.Entity{Kind: directory.MessageEntity, ID: 7}, Class: connectors.Rejected}
	for name, ask := range map[string]func(b *stream.Broker) error{
		"one fact":      func(b *stream.Broker) error { return b.PublishFacts(t.Context(), facts(1, "a")) },
		"many facts":    func(b *stream.Broker) error { return b.PublishFacts(t.Context(), facts(60, "a")) },
		"a dead letter": func(b *stream.Broker) error { return b.Bury(t.Context(), []deadletter.Letter{letter}) },
		"is it ready":   func(b *stream.Broker) error { return b.Ready(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, serverOn(t))
			b := open(t, stream.Options{URLs: []string{l.address}})
			defer b.Close()
			l.silent.Store(true)
			failed := make(chan error, 1)
			go func() { failed <- ask(b) }()
			select {
			case err := <-failed:
				t.Fatalf("it ended with %v before anything was cut", err)
			case <-time.After(300 * time.Millisecond):
			}
			l.cut(false)
			select {
			case err := <-failed:
				if err == nil {
					t.Error("it was taken for done without an answer")
				}
			case <-time.After(500 * time.Millisecond):
				t.Error("it still waits half a second after the connection broke")
			}
		})
	}
}

// arriving are the facts that a broker hands over, all of them recorded, until
// they are stopped, which is no failure.
func arriving(t *testing.T, b *stream.Broker) (came <-chan directory.Fact, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	facts, done := make(chan directory.Fact, 100), make(chan error, 1)
	go func() {
		done <- b.ConsumeFacts(ctx, func(_ context.Context, list []directory.Fact) bool {
			for _, f := range list {
				facts <- f
			}
			return true
		})
	}()
	return facts, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// client is a connection to a server beside the broker's.
func client(t *testing.T, s *server.Server) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// Facts come again as soon as the connection does, not when the question that
// was on the old one would have ended.
func TestFactsComeAgainWithTheConnection(t *testing.T) {
	t.Parallel()
	l := newLine(t, serverOn(t))
	b := open(t, stream.Options{URLs: []string{l.address}})
	defer b.Close()
	came, stop := arriving(t, b)
	defer stop()
	publish(t, b, facts(1, "before"))
	<-came
	time.Sleep(100 * time.Millisecond) // the next question is under way
	l.cut(false)
	began := time.Now()
	for b.PublishFacts(t.Context(), facts(1, "after")) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	<-came
	if d := time.Since(began); d > 1200*time.Millisecond {
		t.Errorf("a fact came %v after the cut, want at most 1.2 s: the client is back after 0.3 s or so", d)
	}
}

// A broker that is away costs no memory, however often it is asked.
func TestABrokerThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	s := serverOn(t)
	l := newLine(t, s)
	b := open(t, stream.Options{URLs: []string{l.address}})
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = b.ConsumeFacts(ctx, func(context.Context, []directory.Fact) bool { return true }) }()
	publish(t, b, facts(1, "before"))
	// What they have settled at: some come and go with each request.
	subscriptions := func() uint32 {
		least := s.NumSubscriptions()
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			least = min(least, s.NumSubscriptions())
		}
		return least
	}
	time.Sleep(500 * time.Millisecond) // until the consumer has its own
	before := subscriptions()
	l.cut(true)
	time.Sleep(3 * time.Second)
	l.cut(false)
	for b.Ready(t.Context()) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	after := subscriptions()
	for deadline := time.Now().Add(5 * time.Second); after > before+2 && time.Now().Before(deadline); {
		after = subscriptions()
	}
	if after > before+2 {
		t.Errorf("the client has %d subscriptions after three seconds without a broker, %d before", after, before)
	}
}

// A server that takes what it is given and stores nothing, cut off from the rest
// of its cluster say, is left for another, though the connection to it stands.
func TestAServerThatStoresNothingIsLeft(t *testing.T) {
	t.Parallel()
	s := serverOn(t)
	one, two := newLine(t, s), newLine(t, s)
	b := open(t, stream.Options{URLs: []string{one.address, two.address}})
	defer b.Close()
	publish(t, b, facts(1, "before"))
	used := one
	if two.used() {
		used = two
	}
	used.silent.Store(true)
	began := time.Now()
	for b.PublishFacts(t.Context(), facts(1, "during")) != nil {
		if time.Since(began) > 10*time.Second {
			t.Fatal("not left within 10 s")
		}
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("left after %v, want at most 5 s", d)
	}
	drain(t, b, 2)
}

// used reports whether there are connections.
func (l *line) used() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) > 0
}

// Somebody deletes the stream of facts by hand. It is there again before long,
// and its numbers are not taken for those of the one before.
func TestAStreamThatIsDeletedIsCreatedAgain(t *testing.T) {
	t.Parallel()
	s := serverOn(t)
	b := open(t, stream.Options{URLs: []string{s.ClientURL()}})
	defer b.Close()
	came, stop := arriving(t, b)
	defer stop()
	publish(t, b, facts(1, "before"))
	before := <-came
	conn := client(t, s)
	if _, err := conn.Request("$JS.API.STREAM.DELETE.EVENTS", nil, time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for b.PublishFacts(t.Context(), facts(1, "after")) != nil {
		if time.Since(began) > 5*time.Second {
			t.Fatal("no fact is stored within 5 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case after := <-came:
		if after.Key != "after0" || after.Event.Stream == before.Event.Stream || after.Event.Stream == "" {
			t.Errorf("%s came as %+v, before as %+v", after.Key, after.Event, before.Event)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing came within 5 s")
	}
}
