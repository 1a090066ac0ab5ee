package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// errCut says that an answer is not coming any more. What was asked for may
// have been done.
var errCut = errors.New("the connection to the broker was lost before it answered")

// A lifeline is a context for what waits for the broker: it ends when the
// connection is lost, as the answers that were on it do, and the next one begins.
// The client itself would wait for them until their time is over.
type lifeline struct {
	mu  sync.Mutex
	ctx context.Context
	cut context.CancelCauseFunc
}

// newLifeline returns one that ends with the connection.
func newLifeline(conn *nats.Conn) *lifeline {
	l := &lifeline{}
	l.renew()
	lost := conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go func() {
		for status := range lost {
			l.renew()
			if status == nats.CLOSED {
				return
			}
		}
	}()
	return l
}

func (l *lifeline) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut != nil {
		l.cut(errCut)
	}
	l.ctx, l.cut = context.WithCancelCause(context.Background())
}

// context is for what is asked now.
func (l *lifeline) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// during returns a context for what is asked on ctx's behalf: it ends with
// ctx, with the connection, and after d.
func (l *lifeline) during(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cut := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.context(), func() { cut(errCut) })
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, func() { stop(); cancel(); cut(nil) }
}
