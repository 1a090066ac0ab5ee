package main

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// A wire stands between the worker and a server, or between two servers, and
// sees what passes. It can cut it at a named moment, hold it up, or swallow it.
type wire struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	conns   map[net.Conn]bool
	delay   time.Duration
	blocked bool
	trap    *trap
}

// A trap waits for texts that the client sends on one connection, one after the
// other, and, if there is one, for the text of the answer that follows; then it
// springs, once. What made it spring never arrives, and the connection is cut.
type trap struct {
	sent     []string
	answered string
	spring   func() // before anything else passes
	sprung   chan struct{}
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); w.cut() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if w.block(client) {
				continue
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			w.mu.Lock()
			w.conns[client], w.conns[server] = true, true
			w.mu.Unlock()
			seen := &passage{wire: w}
			go seen.carry(client, server, true)
			go seen.carry(server, client, false)
		}
	}()
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

// cut ends every connection.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.Close()
		delete(w.conns, c)
	}
}

// partition makes everything disappear that either side sends, as if the other
// were on another continent; nobody is told. When it ends the connections do.
func (w *wire) partition(on bool) {
	w.mu.Lock()
	w.blocked = on
	w.mu.Unlock()
	if !on {
		w.cut()
	}
}

// block keeps a connection that was made meanwhile, and reports whether there
// is a partition.
func (w *wire) block(client net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked {
		w.conns[client] = true
	}
	return w.blocked
}

func (w *wire) parted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blocked
}

// hold makes everything that passes late.
func (w *wire) hold(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

// set lays a trap.
func (w *wire) set(spring func(), answered string, sent ...string) *trap {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trap = &trap{sent: sent, answered: answered, spring: spring, sprung: make(chan struct{})}
	return w.trap
}

// springs waits until the trap has sprung.
func (tr *trap) springs(within time.Duration) bool {
	select {
	case <-tr.sprung:
		return true
	case <-time.After(within):
		return false
	}
}

// passage is one connection through a wire.
type passage struct {
	wire *wire
	trap *trap
	seen int // how many of the trap's texts the client has sent
}

func (p *passage) carry(from, to net.Conn, up bool) {
	w := p.wire
	defer func() {
		from.Close()
		to.Close()
		w.mu.Lock()
		delete(w.conns, from)
		delete(w.conns, to)
		w.mu.Unlock()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			w.mu.Lock()
			delay, tr := w.delay, p.look(b[:n], up)
			w.mu.Unlock()
			if tr != nil {
				if tr.spring != nil {
					tr.spring()
				}
				close(tr.sprung)
				return
			}
			if delay > 0 {
				time.Sleep(delay)
			}
			for w.parted() {
				time.Sleep(10 * time.Millisecond)
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// look reports the trap that what passes makes spring. Locked.
func (p *passage) look(b []byte, up bool) *trap {
	tr := p.wire.trap
	if tr == nil {
		return nil
	}
	if p.trap != tr {
		p.trap, p.seen = tr, 0
	}
	if up {
		for p.seen < len(tr.sent) {
			at := bytes.Index(b, []byte(tr.sent[p.seen]))
			if at < 0 {
				return nil
			}
			b = b[at+len(tr.sent[p.seen]):]
			p.seen++
		}
		if tr.answered != "" {
			return nil
		}
	} else if p.seen < len(tr.sent) || tr.answered == "" || !bytes.Contains(b, []byte(tr.answered)) {
		return nil
	}
	p.wire.trap = nil
	return tr
}
