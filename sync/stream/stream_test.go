package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/stream"
)

func open(t *testing.T, o stream.Options) *stream.Broker {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	o.Log = slog.New(slog.DiscardHandler)
	b, err := stream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func facts(n int, prefix string) []directory.Fact {
	list := make([]directory.Fact, n)
	for i := range list {
		key := fmt.Sprintf("%s%d", prefix, i)
		list[i] = directory.Fact{
			ID: directory.FactID("whatsapp", key), Account: "whatsapp", ReceivedAt: time.Now().UTC(),
			Fact: connectors.Fact{Key: key, Kind: connectors.KindMessage, Message: &connectors.Message{WAMID: key, Text: "Hello!"}},
		}
	}
	return list
}

func publish(t *testing.T, b *stream.Broker, list []directory.Fact) {
	t.Helper()
	if err := b.PublishFacts(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// drain consumes until n different facts have come, and returns how often
// each did.
func drain(t *testing.T, b *stream.Broker, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := map[string]int{}
	err := b.ConsumeFacts(ctx, func(_ context.Context, list []directory.Fact) bool {
		for _, f := range list {
			got[f.ID]++
		}
		if len(got) >= n {
			cancel()
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%d different facts came, want %d", len(got), n)
	}
	return got
}

func TestFactsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, stream.Options{Dir: dir})
	publish(t, b, facts(250, "a"))
	b.Close()
	b = open(t, stream.Options{Dir: dir})
	defer b.Close()
	drain(t, b, 250)
}

func TestWhatWasHandedOverButNotAcknowledgedComesAgainAtOnceAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, stream.Options{Dir: dir})
	publish(t, b, facts(10, "a"))
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.ConsumeFacts(ctx, func(context.Context, []directory.Fact) bool { cancel(); return false }); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = open(t, stream.Options{Dir: dir})
	defer b.Close()
	start := time.Now()
	drain(t, b, 10)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("they came after %v, want at once", d)
	}
}

// However often its recorder fails: deliveries of a fact are not attempts.
func TestAFactComesAgainUntilItIsRecorded(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	publish(t, b, facts(1, "a"))
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	came := 0
	err := b.ConsumeFacts(ctx, func(context.Context, []directory.Fact) bool {
		if came++; came == 4 {
			cancel()
		}
		return came == 4
	})
	if err != nil || came != 4 {
		t.Errorf("it came %d times (error %v), want 4", came, err)
	}
}

func TestConcurrentWebhooksAreAllStored(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 10 {
				if err := b.PublishFacts(t.Context(), facts(3, fmt.Sprintf("%d-%d-", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	drain(t, b, 64*10*3)
}

func TestTheSameFactTwiceInOneBatchIsStored(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	one := facts(1, "a")
	publish(t, b, append(one, one...))
	drain(t, b, 1)
}

func TestAFullStreamRefusesAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{MaxBytes: 200_000})
	defer b.Close()
	stored := 0
	for ; stored < 10_000; stored++ {
		if err := b.PublishFacts(t.Context(), facts(1, fmt.Sprintf("%d-", stored))); err != nil {
			if !strings.Contains(err.Error(), "maximum bytes exceeded") {
				t.Errorf("refused with %q, want the reason", err)
			}
			break
		}
	}
	if stored == 0 || stored == 10_000 {
		t.Fatalf("%d facts fit into 200 kB", stored)
	}
	drain(t, b, stored)
	publish(t, b, facts(1, "again")) // there is room again, without a restart
}

func TestABatchThatDoesNotFitIsJudgedOneByOne(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{MaxBytes: 20_000})
	defer b.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored, refused := 0, 0
	for i := range 200 {
		wg.Go(func() {
			err := b.PublishFacts(t.Context(), facts(1, fmt.Sprintf("%d-", i)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				stored++
			} else {
				refused++
			}
		})
	}
	wg.Wait()
	if stored == 0 || refused == 0 {
		t.Fatalf("stored %d, refused %d; want some of each", stored, refused)
	}
	drain(t, b, stored)
}

func TestTheLargestWebhookFits(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	big := facts(2, "big")
	for i := range big {
		big[i].Raw = make([]byte, 3<<20)
	}
	publish(t, b, big)
	drain(t, b, 2)
}

func TestABrokerThatIsGoneRefusesAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(port int) *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, SyncAlways: true, MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(5 * time.Second) {
			t.Fatal("the server did not start")
		}
		return s
	}
	// Not a port that the system hands out: the client's own attempts to come
	// back could be given it.
	port := 10000 + rand.IntN(20000)
	s := start(port)
	b := open(t, stream.Options{URLs: []string{s.ClientURL()}})
	defer b.Close()
	publish(t, b, facts(5, "before"))
	s.Shutdown()
	s.WaitForShutdown()

	began := time.Now()
	if err := b.PublishFacts(t.Context(), facts(1, "during")); err == nil {
		t.Fatal("a fact was stored without a broker")
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("the refusal took %v, want at most 3 s", d)
	}
	if b.Ready(t.Context()) == nil {
		t.Error("ready without a broker")
	}

	s = start(port)
	defer s.Shutdown()
	deadline := time.Now().Add(5 * time.Second)
	for b.PublishFacts(t.Context(), facts(1, "after")) != nil {
		if time.Now().After(deadline) {
			t.Fatal("not back within 5 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
	drain(t, b, 6)
}

// Whoever consumes facts outlives the broker, kill and all.
func TestFactsComeAgainWhenTheBrokerDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port := 10000 + rand.IntN(20000)
	start := func(jetStream bool) *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: jetStream, StoreDir: dir, SyncAlways: true, MaxPayload: 8 << 20, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(5 * time.Second) {
			t.Fatal("the server did not start")
		}
		return s
	}
	s := start(true)
	b := open(t, stream.Options{URLs: []string{s.ClientURL()}})
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	came := make(chan string, 10)
	consumed := make(chan error)
	go func() {
		consumed <- b.ConsumeFacts(ctx, func(_ context.Context, list []directory.Fact) bool {
			for _, f := range list {
				came <- f.Key
			}
			return true
		})
	}()
	publish(t, b, facts(1, "before"))
	if got := <-came; got != "before0" {
		t.Fatalf("%s came, want before0", got)
	}
	s.Shutdown()
	s.WaitForShutdown()
	s = start(false) // as a server answers before it has read its streams
	time.Sleep(3 * time.Second)
	s.Shutdown()
	s.WaitForShutdown()
	s = start(true)
	defer s.Shutdown()
	for b.PublishFacts(t.Context(), facts(1, "after")) != nil {
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case got := <-came:
		if got != "after0" {
			t.Errorf("%s came, want after0", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing came within 10 s")
	}
	cancel()
	if err := <-consumed; err != nil {
		t.Error(err)
	}
}

func TestABrokerThatTakesOnlySmallMessagesIsRefused(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	_, err = stream.Open(t.Context(), stream.Options{URLs: []string{s.ClientURL()}, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("error = %v, want one that says what to set", err)
	}
}

func TestANewerTriggerReplacesAnOlderOne(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	trigger := func(id int64) directory.Trigger {
		return directory.Trigger{Account: "hubspot", Entity: directory.Entity{Kind: directory.ContactEntity, ID: id}}
	}
	for range 50 {
		b.Trigger([]directory.Trigger{trigger(1), trigger(2), {Account: "zoho", Entity: trigger(3).Entity}})
	}
	if err := b.Ready(t.Context()); err != nil { // a round trip behind the publishes
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // the stream takes them in after that
	next, err := b.Triggers(t.Context(), "hubspot")
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]int{}
	for deadline := time.Now().Add(5 * time.Second); len(got) < 2 && time.Now().Before(deadline); {
		triggers, err := next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range triggers {
			got[x.Entity.ID]++
		}
	}
	if len(got) != 2 || got[1] != 1 || got[2] != 1 {
		t.Errorf("triggers = %v, want one each for 1 and 2", got)
	}
}

// Nobody takes in the triggers of an account, for it is paused or has been
// removed. They do not fill the memory, and another account's come through.
func TestTriggersThatNobodyTakesInAreForgotten(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	trigger := func(account string, id int) directory.Trigger {
		return directory.Trigger{Account: account, Entity: directory.Entity{Kind: directory.MessageEntity, ID: int64(id)}}
	}
	const sent = 30000
	for id := range sent {
		b.Trigger([]directory.Trigger{trigger("paused", id)})
		if id%1000 == 999 {
			if err := b.Ready(t.Context()); err != nil { // not faster than the server takes them
				t.Fatal(err)
			}
		}
	}
	b.Trigger([]directory.Trigger{trigger("hubspot", 1)})
	take := func(account string) (n int, newest int64) {
		next, err := b.Triggers(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		for quiet := 0; quiet < 3; quiet++ {
			triggers, err := next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range triggers {
				n, newest, quiet = n+1, max(newest, x.Entity.ID), 0
			}
		}
		return n, newest
	}
	if n, _ := take("hubspot"); n != 1 {
		t.Errorf("the other account has %d triggers, want 1", n)
	}
	if n, newest := take("paused"); n == 0 || n > 20000 || newest != sent-1 {
		t.Errorf("%d triggers wait, up to %d; want the newest of %d, at most 20000", n, newest, sent)
	}
}

func TestADeadLetterReachesTheWorklist(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	defer b.Close()
	e := directory.Entity{Kind: directory.MessageEntity, ID: 7}
	letter := deadletter.Letter{ID: deadletter.ForEntity("hubspot", e), Account: "hubspot", Entity: e, Class: connectors.Rejected, Reason: "no", DueAt: time.Now().UTC()}
	if err := b.Bury(t.Context(), []deadletter.Letter{letter}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var got []deadletter.Letter
	err := b.ConsumeLetters(ctx, func(_ context.Context, letters []deadletter.Letter) bool {
		got = append(got, letters...)
		cancel()
		return true
	})
	if err != nil || len(got) != 1 || got[0].ID != letter.ID || got[0].Entity != e {
		t.Errorf("letters = %+v (error %v), want the one", got, err)
	}
}

// The largest webhook becomes facts that fit, whatever characters it is of.
func TestTheLargestFactsFit(t *testing.T) {
	t.Parallel()
	b := open(t, stream.Options{})
	for _, c := range []string{"x", "<", "\u2028", "😀"} {
		f := directory.Fact{ID: "whatsapp/" + c, Account: "whatsapp", Fact: connectors.Fact{Kind: connectors.KindMessage}}
		f.Message = &connectors.Message{WAMID: "w", Text: strings.Repeat(c, 3<<20/len(c))}
		if err := b.PublishFacts(t.Context(), []directory.Fact{f}); err != nil {
			t.Errorf("3 MB of %q: %v", c, err)
		}
	}
	raw := directory.Fact{ID: "whatsapp/raw", Account: "whatsapp", Fact: connectors.Fact{Kind: connectors.KindMalformed, Raw: bytes.Repeat([]byte{0xff}, 3<<20)}}
	if err := b.PublishFacts(t.Context(), []directory.Fact{raw}); err != nil {
		t.Errorf("3 MB of raw bytes: %v", err)
	}
}
