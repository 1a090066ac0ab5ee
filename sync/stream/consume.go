package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// group is the one priority group of every consumer: JetStream pins it to one
// of the replicas.
const group = "w"

// pullFor is how long one pull waits. It stays well under pinTTL, or the pin
// would move between healthy replicas.
const (
	pullFor = time.Second
	pinTTL  = 2 * time.Second
)

// askWithin is how long the broker has to answer what is not a webhook's
// matter.
const askWithin = 5 * time.Second

// clearedAway is how long a server may take to clear a deleted stream away.
const clearedAway = time.Second

// afterFailure is how long a pull that failed waits before the next.
const afterFailure = 200 * time.Millisecond

// ackWait is how long a replica that died keeps a message from the others.
// While a batch is worked on, it is prolonged every second.
const ackWait = 4 * time.Second

// pinned configures a durable consumer that serves one replica at a time.
// Attempts are counted in the database, so JetStream redelivers for ever.
func pinned(name string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        name,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  10_000,
		PriorityPolicy: jetstream.PriorityPolicyPinned,
		PriorityGroups: []string{group},
		PinnedTTL:      pinTTL,
	}
}

// A puller fetches from one consumer, and creates it again if somebody has
// deleted it or the broker has forgotten it.
type puller struct {
	broker   *Broker
	stream   string
	config   jetstream.ConsumerConfig
	consumer jetstream.Consumer
	// incarnation tells the stream that the consumer is of from another that
	// was there before it.
	incarnation string
	still       stillness
}

func (b *Broker) puller(ctx context.Context, stream string, config jetstream.ConsumerConfig) (*puller, error) {
	p := &puller{broker: b, stream: stream, config: config}
	if err := p.create(ctx); err != nil {
		return nil, fmt.Errorf("consume %s as %s: %w", stream, config.Durable, err)
	}
	return p, nil
}

// create keeps the consumer that there was when it fails: while the broker is
// away it fails again and again. A stream that somebody has deleted is created
// again; what waited in it is lost.
func (p *puller) create(ctx context.Context) error {
	err := p.createOn(ctx)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	p.broker.log.Error("the broker has lost the stream, with what waited in it; creating it", "stream", p.stream)
	// The server is still clearing it away. A stream that is created at once
	// may find the remains, and then store nothing for good.
	sleep(ctx, clearedAway)
	if err := p.broker.createStreams(ctx); err != nil {
		return err
	}
	return p.createOn(ctx)
}

// createOn creates the consumer on the stream that there is.
func (p *puller) createOn(ctx context.Context) error {
	ctx, cancel := p.broker.lifeline.during(ctx, askWithin)
	defer cancel()
	stream, err := p.broker.js.Stream(ctx, p.stream)
	if err != nil {
		return err
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, p.config)
	if err == nil {
		p.consumer, p.incarnation = consumer, incarnationOf(stream.CachedInfo())
	}
	return err
}

// fetch asks for up to n messages. They come as they are published, for a
// second, or until the connection is lost; the client by itself would go on
// waiting. It returns nil after a failure, having waited a little.
func (p *puller) fetch(ctx context.Context, n int) jetstream.MessageBatch {
	if !p.broker.conn.IsConnected() {
		// Asking would fail, and cost the client a subscription each time.
		sleep(ctx, afterFailure)
		return nil
	}
	asked := question{p.broker.lifeline.context(), time.Now().Add(pullFor * 10 / 9)}
	batch, err := p.consumer.Fetch(n, jetstream.FetchContext(asked), jetstream.FetchPriorityGroup(group)) //nolint:contextcheck // it ends with the connection; what has come by then is handled
	if err != nil {
		p.failed(ctx, err)
		return nil
	}
	return batch
}

// A question is a context that tells the client how long the broker shall wait
// for messages, which is nine tenths of the time until then. It does not end
// by that: messages may be on their way.
type question struct {
	context.Context
	until time.Time
}

func (q question) Deadline() (time.Time, bool) { return q.until, true }

// failed waits a little after a failed pull. That another replica is pinned,
// that the pin has lapsed, or that the connection is lost, is no news.
func (p *puller) failed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	switch {
	case errors.Is(err, jetstream.ErrPinIDMismatch), errors.Is(err, jetstream.ErrNoMessages), errors.Is(err, context.Canceled):
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, nats.ErrNoResponders):
		p.broker.log.Warn("the broker has no such consumer; creating it", "stream", p.stream, "consumer", p.config.Durable)
		if err := p.create(ctx); err != nil {
			p.broker.log.Warn("cannot create the consumer", "stream", p.stream, "error", err)
		}
	default:
		p.broker.log.Warn("cannot fetch from the broker", "stream", p.stream, "error", err)
	}
	sleep(ctx, afterFailure)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// each hands over messages as they come, in batches of at most n, until ctx
// ends, and acknowledges those for which handle returns true. Batches begin so
// far apart that there is something in them, except the first after a quiet
// time, which waits for nothing.
func (p *puller) each(ctx context.Context, n int, apart time.Duration, handle func([]jetstream.Msg) bool) {
	var began time.Time
	for ctx.Err() == nil {
		batch := p.fetch(ctx, n)
		if batch == nil {
			continue
		}
		idle := true
		for first := range batch.Messages() {
			idle = false
			if wait := apart - time.Since(began); wait > 0 {
				time.Sleep(wait)
			}
			began = time.Now()
			messages := collect(first, batch.Messages(), n)
			done := keepAlive(messages)
			ok := handle(messages)
			done()
			if ok {
				p.broker.ack(messages...)
			}
		}
		p.failed(ctx, batch.Error())
		if idle {
			p.unstick(ctx)
		}
	}
}

// keepAlive prolongs the messages' time every second until the function that
// it returns is called.
func keepAlive(messages []jetstream.Msg) (done func()) {
	stop := make(chan struct{})
	ticker := time.NewTicker(time.Second)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				for _, m := range messages {
					_ = m.InProgress() // should it get lost, the message comes again
				}
			}
		}
	}()
	return func() { close(stop) }
}

// collect returns first and what else is there already.
func collect(first jetstream.Msg, more <-chan jetstream.Msg, n int) []jetstream.Msg {
	messages := []jetstream.Msg{first}
	for len(messages) < n {
		select {
		case m, open := <-more:
			if !open {
				return messages
			}
			messages = append(messages, m)
		default:
			return messages
		}
	}
	return messages
}

func (b *Broker) ack(messages ...jetstream.Msg) {
	for _, m := range messages {
		if err := m.Ack(); err != nil {
			// It comes again, which does no harm.
			b.log.Debug("cannot acknowledge", "error", err)
		}
	}
}

// token makes any text a single subject token.
func token(text string) string {
	if text == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '*' || r == '>' || r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, text)
}
