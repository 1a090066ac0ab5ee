package stream

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// group is the one priority group of every consumer: JetStream pins it to one
// of the replicas.
const group = "w"

// pullFor is how long one pull waits. It stays well under pinTTL, or the pin
// would move between healthy replicas.
const (
	pullFor = time.Second
	pinTTL  = 3 * time.Second
)

// pinned configures a durable consumer that serves one replica at a time.
// Attempts are counted in the database, so JetStream redelivers for ever.
func pinned(name string, ackWait time.Duration) jetstream.ConsumerConfig {
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

// consume hands over messages as they come, in batches of at most n, until ctx
// ends.
func (b *Broker) consume(ctx context.Context, consumer jetstream.Consumer, n int, handle func([]jetstream.Msg)) {
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(2*n, jetstream.FetchMaxWait(pullFor), jetstream.FetchPriorityGroup(group))
		if err != nil {
			b.pause(ctx, err)
			continue
		}
		got := 0
		for first := range batch.Messages() {
			messages := collect(first, batch.Messages(), n)
			got += len(messages)
			handle(messages)
		}
		if err := batch.Error(); err != nil && got == 0 {
			b.pause(ctx, err)
		}
	}
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

// pause waits a little after a failed pull. That another replica is pinned, or
// that the pin has lapsed, is no failure.
func (b *Broker) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if !errors.Is(err, jetstream.ErrPinIDMismatch) && !errors.Is(err, jetstream.ErrNoMessages) {
		b.log.Warn("cannot fetch from the broker", "error", err)
	}
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (b *Broker) ack(m jetstream.Msg) {
	if err := m.Ack(); err != nil {
		// It comes again, which does no harm.
		b.log.Debug("cannot acknowledge", "error", err)
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
