package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// PublishFacts stores facts and returns when all of them are on disk. With an
// error some may be and some not; publishing them again is harmless.
func (b *Broker) PublishFacts(ctx context.Context, facts []directory.Fact) error {
	messages := make([]*nats.Msg, len(facts))
	for i := range facts {
		f := &facts[i]
		var data bytes.Buffer
		encoder := json.NewEncoder(&data)
		encoder.SetEscapeHTML(false) // which would make six bytes of one
		if err := encoder.Encode(f); err != nil {
			return fmt.Errorf("publish fact: %w", err)
		}
		messages[i] = &nats.Msg{Subject: "events.0." + token(f.Account) + "." + token(string(f.Kind)), Data: data.Bytes()}
	}
	return b.events.publish(ctx, messages)
}

const (
	// eventBatch is how many facts are recorded in one transaction.
	eventBatch = 200
	// eventsApart is how far apart such transactions begin: a transaction for
	// each fact would cost several times as much.
	eventsApart = 40 * time.Millisecond
)

// ConsumeFacts hands facts to record in batches as they come, until ctx ends.
// A batch is acknowledged when record returns true; otherwise it comes again.
// Of all replicas one consumes at a time.
func (b *Broker) ConsumeFacts(ctx context.Context, record func(ctx context.Context, facts []directory.Fact) bool) error {
	// Kept in memory: what is in EVENTS is not recorded yet or is harmless to
	// record again, so a restart begins at the front at once.
	config := pinned("recorder")
	config.MemoryStorage = true
	p, err := b.puller(ctx, "EVENTS", config)
	if err != nil {
		return err
	}
	p.each(ctx, eventBatch, eventsApart, func(messages []jetstream.Msg) bool {
		facts := make([]directory.Fact, len(messages))
		for i, m := range messages {
			facts[i] = factOf(m)
			if meta, err := m.Metadata(); err == nil {
				facts[i].Event = directory.Event{Stream: p.incarnation, Number: meta.Sequence.Stream}
			}
		}
		return record(ctx, facts)
	})
	return nil
}

// factOf decodes an event. One that cannot be decoded was not written by this
// program; it becomes a malformed fact, so that it is not lost and does not
// block the others.
func factOf(m jetstream.Msg) directory.Fact {
	var f directory.Fact
	if err := json.Unmarshal(m.Data(), &f); err == nil && f.ID != "" {
		return f
	}
	received, sequence := time.Now(), uint64(0)
	if meta, err := m.Metadata(); err == nil {
		received, sequence = meta.Timestamp, meta.Sequence.Stream
	}
	return directory.Fact{
		ID: fmt.Sprintf("events/%d", sequence), Account: "events", ReceivedAt: received,
		Fact: connectors.Fact{
			Key: fmt.Sprint(sequence), Kind: connectors.KindMalformed,
			Reason: "an event in the stream is not a fact", Raw: m.Data(),
		},
	}
}
