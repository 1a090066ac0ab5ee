package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// An embedded is a server in this process that listens nowhere. Every
// acknowledged publish is on disk.
//
// Its store gives up for good at the first write that fails, a full disk's
// included, and answers nothing from then on. So the server is replaced by a
// new one, which reads what is on disk, once the disk works again.
type embedded struct {
	options Options

	mu     sync.Mutex
	server *server.Server // nil while there is none
}

var errNoServer = errors.New("the embedded broker is not running")

// InProcessConn connects to the server of the moment.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil, errNoServer
	}
	return e.server.InProcessConn()
}

func (e *embedded) start() error {
	dir := e.options.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the broker's directory: %w", err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "crmsync",
		JetStream:  true,
		StoreDir:   filepath.Clean(dir),
		SyncAlways: true,
		MaxPayload: maxPayload,
		DontListen: true,
		NoSigs:     true,
	})
	if err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	s.SetLoggerV2(serverLog{e.options.Log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return fmt.Errorf("the embedded broker did not start within 10 s; is %s writable and its disk not full?", dir)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = s
	return nil
}

func (e *embedded) stop() {
	e.mu.Lock()
	s := e.server
	e.server = nil
	e.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// diskWorks writes as much as a webhook may need, and syncs it. A disk that is
// slow is waited for.
func (e *embedded) diskWorks() bool {
	began := time.Now()
	f, err := os.CreateTemp(e.options.Dir, "probe-")
	if err != nil {
		return false
	}
	defer func() {
		f.Close()
		_ = os.Remove(f.Name())
	}()
	_, err = f.Write(make([]byte, maxPayload))
	return err == nil && f.Sync() == nil && time.Since(began) < time.Second
}

// silentFor is how long nothing could be stored before the server is replaced.
const silentFor = 3 * time.Second

// replace puts a new server in the place of one that stores nothing any more
// though the disk works.
func (b *Broker) replace(ctx context.Context) {
	if b.events.silent() < silentFor || !b.embedded.diskWorks() {
		return
	}
	b.log.Error("the embedded broker stores nothing any more though the disk works; starting it again")
	b.embedded.stop()
	if err := b.embedded.start(); err != nil {
		b.log.Error("cannot start the embedded broker again", "error", err)
		return
	}
	b.events.heard()
	if err := b.createStreams(ctx); err != nil {
		b.log.Error("cannot create the streams again", "error", err)
	}
}
