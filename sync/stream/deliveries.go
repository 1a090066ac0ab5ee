package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// Trigger publishes triggers. They are hints, so nothing waits for the broker:
// a worker finds in the database what it was not told.
func (b *Broker) Trigger(triggers []directory.Trigger) {
	for _, t := range triggers {
		subject := fmt.Sprintf("deliveries.%s.live.%s.%d", token(t.Account), t.Entity.Kind, t.Entity.ID)
		if err := b.conn.Publish(subject, nil); err != nil {
			b.log.Debug("cannot publish a trigger", "error", err)
			return
		}
	}
}

// Triggers returns a function that fetches an account's triggers: those that
// wait, or the first that come within a second. A trigger is acknowledged when
// it is handed over.
func (b *Broker) Triggers(ctx context.Context, account string) (func(ctx context.Context) ([]directory.Trigger, error), error) {
	config := pinned("deliver-" + token(account))
	config.FilterSubject = "deliveries." + token(account) + ".>"
	config.MemoryStorage = true
	p, err := b.puller(ctx, "DELIVERIES", config)
	if err != nil {
		return nil, err
	}
	source := triggerSource{puller: p, account: account}
	return source.next, nil
}

type triggerSource struct {
	*puller
	account string
	batch   jetstream.MessageBatch // the pull under way, nil if none is
}

// next is called by one goroutine at a time.
func (s *triggerSource) next(ctx context.Context) ([]directory.Trigger, error) {
	const most = 1000
	if s.batch == nil {
		if s.batch = s.fetch(ctx, most); s.batch == nil {
			return nil, ctx.Err()
		}
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case first, open := <-s.batch.Messages():
		if !open {
			s.failed(ctx, s.batch.Error())
			s.batch = nil
			return nil, nil
		}
		return s.triggers(collect(first, s.batch.Messages(), most)), nil
	}
}

func (s *triggerSource) triggers(messages []jetstream.Msg) []directory.Trigger {
	triggers := make([]directory.Trigger, 0, len(messages))
	for _, m := range messages {
		if e, ok := entityOf(m.Subject()); ok {
			triggers = append(triggers, directory.Trigger{Account: s.account, Entity: e})
		}
	}
	s.broker.ack(messages...)
	return triggers
}

// entityOf reads the last two tokens of a trigger's subject.
func entityOf(subject string) (directory.Entity, bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 5 {
		return directory.Entity{}, false
	}
	id, err := strconv.ParseInt(tokens[4], 10, 64)
	return directory.Entity{Kind: directory.EntityKind(tokens[3]), ID: id}, err == nil
}

// Bury stores dead letters and returns when they are on disk. Each carries its
// particulars as headers, for whoever listens.
func (b *Broker) Bury(ctx context.Context, letters []deadletter.Letter) error {
	ctx, cancel := b.lifeline.during(ctx, askWithin)
	defer cancel()
	for i := range letters {
		l := &letters[i]
		data, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", l.ID, err)
		}
		m := nats.NewMsg("deadletters." + token(l.Account) + "." + token(string(l.Class)))
		m.Data = data
		for key, value := range map[string]string{
			"letter": l.ID, "account": l.Account, "entity": l.About(), "class": string(l.Class), "code": l.Code, "field": l.Field,
			"reason": l.Reason, "attempts": strconv.Itoa(l.Attempts), "mapping-revision": l.Revision,
			"due": l.DueAt.UTC().Format(time.RFC3339),
		} {
			m.Header.Set(key, value) // NATS makes blanks of line ends
		}
		if _, err := b.js.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("dead letter %s: %w", l.ID, cmp.Or(context.Cause(ctx), err))
		}
	}
	return nil
}

// ConsumeLetters hands dead letters to put, until ctx ends. A batch is
// acknowledged when put returns true; otherwise it comes again.
func (b *Broker) ConsumeLetters(ctx context.Context, put func(ctx context.Context, letters []deadletter.Letter) bool) error {
	p, err := b.puller(ctx, "DEADLETTERS", pinned("worklist"))
	if err != nil {
		return err
	}
	p.each(ctx, 100, 0, func(messages []jetstream.Msg) bool {
		letters := make([]deadletter.Letter, 0, len(messages))
		for _, m := range messages {
			var l deadletter.Letter
			if err := json.Unmarshal(m.Data(), &l); err != nil || l.ID == "" {
				b.log.Error("a message in DEADLETTERS is not a letter", "subject", m.Subject())
				continue
			}
			letters = append(letters, l)
		}
		return put(ctx, letters)
	})
	return nil
}
