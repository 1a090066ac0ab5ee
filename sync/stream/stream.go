// Package stream carries facts, triggers and dead letters through JetStream,
// embedded or external. It is the only user of nats.go.
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options says where the broker is.
type Options struct {
	// Dir is where the embedded server keeps its streams.
	Dir string
	// URLs are external servers; none means embedded.
	URLs []string
	// CredentialsFile, Token and TLS are for external servers; empty means
	// without.
	CredentialsFile string
	Token           string
	TLS             *tls.Config
	// MaxBytes is how much EVENTS may hold before webhooks are refused.
	MaxBytes int64
	// Replicas is how many external servers keep each stream.
	Replicas int
	Log      *slog.Logger
}

// maxPayload leaves room for the largest webhook, which is 3 MB, inside one
// fact.
const maxPayload = 8 << 20

// mostTriggers is how many triggers are kept, of all accounts together.
const mostTriggers = 20000

// A Broker is a connection to JetStream with crmsync's streams in place.
type Broker struct {
	embedded *embedded // nil if the broker is external
	conn     *nats.Conn
	lifeline *lifeline
	js       jetstream.JetStream
	events   *committer
	unwatch  func() // ends watch
	options  Options
	log      *slog.Logger
}

// Open starts or reaches the broker and creates the streams that are missing.
func Open(ctx context.Context, o Options) (*Broker, error) {
	b := &Broker{options: o, log: o.Log}
	if err := b.connect(o); err != nil {
		return nil, err
	}
	if err := b.createStreams(ctx); err != nil {
		b.Close()
		return nil, err
	}
	b.events = newCommitter(b.conn, b.lifeline) //nolint:contextcheck // it outlives ctx, until Close
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { b.watch(watching); close(done) }()
	b.unwatch = func() { stop(); <-done }
	return b, nil
}

// watch sees to it that the broker stores what it is given, until ctx ends.
func (b *Broker) watch(ctx context.Context) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if b.embedded != nil {
			b.replace(ctx)
		} else {
			b.leave()
		}
	}
}

// patience is how long nothing could be stored before another server is tried.
const patience = time.Second

// leave goes to another of the external servers, or to the same one by a new
// connection, when this one stores nothing any more: it may be cut off from the
// others, or the connection be dead without saying so.
func (b *Broker) leave() {
	if b.events.silent() < patience || !b.conn.IsConnected() {
		return
	}
	b.events.heard()
	b.log.Warn("the broker stores nothing any more; connecting anew", "server", b.conn.ConnectedAddr())
	if err := b.conn.ForceReconnect(); err != nil {
		b.log.Warn("cannot connect to the broker anew", "error", err)
	}
}

func (b *Broker) connect(o Options) error {
	options := []nats.Option{
		nats.Name("crmsync"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		// What cannot be sent now fails now: a webhook is answered with 503
		// instead of waiting in memory.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.log.Warn("broker", "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Error("lost the broker; webhooks are answered with 503 until it is back", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info("the broker is back") }),
	}
	urls := nats.DefaultURL
	if len(o.URLs) == 0 {
		e := &embedded{options: o}
		if err := e.start(); err != nil {
			return err
		}
		b.embedded = e
		options = append(options, nats.InProcessServer(b.embedded))
	} else {
		urls = joinURLs(o.URLs)
		if o.CredentialsFile != "" {
			options = append(options, nats.UserCredentials(o.CredentialsFile))
		}
		if o.Token != "" {
			options = append(options, nats.Token(o.Token))
		}
		if o.TLS != nil {
			options = append(options, nats.Secure(o.TLS))
		}
	}
	conn, err := nats.Connect(urls, options...)
	if err != nil {
		b.Close()
		return fmt.Errorf("connect to NATS: %w", err)
	}
	b.conn, b.lifeline = conn, newLifeline(conn)
	if conn.MaxPayload() < 8_000_000 {
		b.Close()
		return fmt.Errorf("the NATS server takes messages of at most %d bytes, a WhatsApp webhook has up to 3 MB and grows on its way: set max_payload to 8MB", conn.MaxPayload())
	}
	b.js, err = jetstream.New(conn)
	return err
}

func (b *Broker) createStreams(ctx context.Context) error {
	replicas := max(1, b.options.Replicas)
	streams := []jetstream.StreamConfig{{
		// No de-duplication here: one repeated id would make the server
		// refuse a whole batch, and the guard that counts is the database's.
		Name: "EVENTS", Subjects: []string{"events.>"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, MaxBytes: b.options.MaxBytes,
		AllowAtomicPublish: true, Replicas: replicas,
	}, {
		// In memory: triggers are hints, rebuilt from the database. A newer
		// one replaces an older one; those of an account that nobody works for,
		// since it is paused say, are forgotten when there are many.
		Name: "DELIVERIES", Subjects: []string{"deliveries.>"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.MemoryStorage, Discard: jetstream.DiscardOld, MaxMsgsPerSubject: 1, MaxMsgs: mostTriggers, Replicas: replicas,
	}, {
		Name: "DEADLETTERS", Subjects: []string{"deadletters.>"}, Retention: jetstream.LimitsPolicy,
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld, MaxAge: 90 * 24 * time.Hour, Replicas: replicas,
	}}
	for _, config := range streams {
		_, err := b.js.CreateOrUpdateStream(ctx, config)
		switch {
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled):
			return fmt.Errorf("create stream %s: the NATS server has no JetStream, or its cluster has no leader yet: %w", config.Name, err)
		case err != nil:
			return fmt.Errorf("create stream %s: %w", config.Name, err)
		}
	}
	return nil
}

// Ready reports why facts cannot be stored right now, nil if they can.
func (b *Broker) Ready(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return errors.New("not connected to NATS")
	}
	ctx, cancel := b.lifeline.during(ctx, askWithin)
	defer cancel()
	if _, err := b.js.Stream(ctx, "EVENTS"); err != nil {
		return fmt.Errorf("stream EVENTS: %w", err)
	}
	return nil
}

// Close ends the connection and the embedded server, if any, after what was
// acknowledged is on disk.
func (b *Broker) Close() {
	if b.unwatch != nil {
		b.unwatch()
	}
	if b.events != nil {
		b.events.close()
	}
	if b.conn != nil {
		b.conn.Close()
	}
	if b.embedded != nil {
		b.embedded.stop()
	}
}

func joinURLs(urls []string) string {
	joined := urls[0]
	for _, u := range urls[1:] {
		joined += "," + u
	}
	return joined
}

// serverLog passes the embedded server's warnings and errors on.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}
func (l serverLog) Warnf(format string, args ...any) {
	l.log.Warn("embedded broker", "text", fmt.Sprintf(format, args...))
}

func (l serverLog) Errorf(format string, args ...any) {
	l.log.Error("embedded broker", "text", fmt.Sprintf(format, args...))
}

func (l serverLog) Fatalf(format string, args ...any) {
	l.log.Error("embedded broker stopped", "text", fmt.Sprintf(format, args...))
}
