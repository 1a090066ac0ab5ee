package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// The limits of one atomic batch.
const (
	batchMessages = 100
	batchBytes    = 4 << 20
	// few messages go out one by one: a batch of its own costs the server
	// more than so many fsyncs.
	few = 8
	// commitWithin is how long the broker has to store a batch. A full disk
	// answers nothing at all.
	commitWithin = 2 * time.Second
)

// A committer stores messages that were published at the same time with one
// fsync instead of one each: it takes whatever waits, publishes it as one
// atomic batch, answers all waiters, and takes what has come meanwhile. There
// is no timer, and few messages go out one by one.
type committer struct {
	conn     *nats.Conn
	lifeline *lifeline
	waiting  chan *pendingMessage
	closed   chan struct{}

	mu sync.Mutex
	// since is when the broker first answered nothing, with nothing stored
	// since; zero if it stores.
	since time.Time
}

// note remembers whether the broker stores. A server that is cut off from the
// others of its cluster does not answer, or knows nobody who could.
func (c *committer) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.since = time.Time{}
	case c.since.IsZero() && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders)):
		c.since = time.Now()
	}
}

// heard forgets what the broker did not answer.
func (c *committer) heard() { c.note(nil) }

// silent is how long nothing could be stored; 0 if the last could.
func (c *committer) silent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return 0
	}
	return time.Since(c.since)
}

type pendingMessage struct {
	msg  *nats.Msg
	done chan error // has room for the one answer
}

func newCommitter(conn *nats.Conn, l *lifeline) *committer {
	c := &committer{conn: conn, lifeline: l, waiting: make(chan *pendingMessage, 4*batchMessages), closed: make(chan struct{})}
	go c.run()
	return c
}

// publish returns when every message is on disk, or with an error when that
// is not known of all of them.
func (c *committer) publish(ctx context.Context, messages []*nats.Msg) error {
	pending := make([]*pendingMessage, len(messages))
	for i, m := range messages {
		pending[i] = &pendingMessage{msg: m, done: make(chan error, 1)}
		select {
		case c.waiting <- pending[i]:
		case <-c.closed:
			return nats.ErrConnectionClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, p := range pending {
		select {
		case err := <-p.done:
			if err != nil {
				return err
			}
		case <-c.closed:
			return nats.ErrConnectionClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// run commits until the committer is closed; afterwards every publish fails at
// once.
func (c *committer) run() {
	var next *pendingMessage
	for {
		if next == nil {
			select {
			case next = <-c.waiting:
			case <-c.closed:
				return
			}
		}
		var batch []*pendingMessage
		batch, next = c.collect(next)
		if len(batch) <= few {
			c.each(batch)
			continue
		}
		err := c.commit(batch)
		if err != nil && !unanswered(err) {
			// The batch was refused as a whole and nothing of it is stored:
			// each message gets a verdict of its own.
			c.each(batch)
			continue
		}
		for _, p := range batch {
			p.done <- err
		}
	}
}

// unanswered reports whether it is not known what became of a batch: its
// sender has to send it again.
func unanswered(err error) bool {
	return errors.Is(err, errCut) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, context.DeadlineExceeded)
}

// each stores messages one by one, and answers for each.
func (c *committer) each(batch []*pendingMessage) {
	ctx, cancel := context.WithTimeout(c.lifeline.context(), commitWithin)
	defer cancel()
	var running sync.WaitGroup
	for _, p := range batch {
		running.Go(func() { p.done <- c.request(ctx, p.msg, "", 0) })
	}
	running.Wait()
}

func (c *committer) close() { close(c.closed) }

// collect returns a batch that begins with first, and what did not fit into it
// any more.
func (c *committer) collect(first *pendingMessage) (batch []*pendingMessage, next *pendingMessage) {
	batch = append(batch, first)
	size := len(first.msg.Data)
	for len(batch) < batchMessages {
		select {
		case p := <-c.waiting:
			if size += len(p.msg.Data); size > batchBytes {
				return batch, p
			}
			batch = append(batch, p)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit stores a batch as one.
func (c *committer) commit(batch []*pendingMessage) error {
	ctx, cancel := context.WithTimeout(c.lifeline.context(), commitWithin)
	defer cancel()
	id := nuid.Next()
	last := len(batch) - 1
	for i, p := range batch {
		p.msg.Header = nats.Header{}
		p.msg.Header.Set("Nats-Batch-Id", id)
		p.msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i == last {
			break
		}
		if err := c.conn.PublishMsg(p.msg); err != nil {
			return err
		}
	}
	batch[last].msg.Header.Set("Nats-Batch-Commit", "1")
	return c.request(ctx, batch[last].msg, id, len(batch))
}

// request sends one message and reads JetStream's verdict: on the message if
// batchID is empty, else on the batch that it commits.
func (c *committer) request(ctx context.Context, m *nats.Msg, batchID string, count int) (err error) {
	defer func() { c.note(err) }()
	if batchID == "" {
		m.Header = nil
	}
	reply, err := c.conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return fmt.Errorf("publish: %w", cmp.Or(context.Cause(ctx), err))
	}
	var verdict struct {
		Stream string `json:"stream"`
		Batch  string `json:"batch"`
		Count  int    `json:"count"`
		Error  *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &verdict); err != nil {
		return fmt.Errorf("publish: the broker's answer cannot be read: %w", err)
	}
	switch {
	case verdict.Error != nil:
		return fmt.Errorf("publish: the broker refuses: %s (%d)", verdict.Error.Description, verdict.Error.Code)
	case verdict.Stream == "", verdict.Batch != batchID, verdict.Count != count:
		return errors.New("publish: the broker did not confirm the batch")
	}
	return nil
}
