package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

// Sandbox is a worker with its simulators, running.
type Sandbox struct {
	*Simulators
	// Data is where the worker keeps its data and its log.
	Data string

	worker    *app.App
	temporary bool
	log       *os.File
	stop      context.CancelFunc
	stopped   chan struct{} // closed when the worker has ended, with err set
	err       error
}

// Start starts simulators and a worker and returns when a message would get
// through. The caller closes it.
func Start(ctx context.Context, o Options) (s *Sandbox, err error) {
	s = &Sandbox{Data: o.Data}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Data == "" {
		s.temporary = true
		if s.Data, err = os.MkdirTemp("", "crmsync-sandbox-"); err != nil {
			return s, err
		}
	}
	if s.Data, err = filepath.Abs(s.Data); err != nil {
		return s, err
	}
	o.Home = s.Data
	address, err := WorkerAddress(o)
	if err != nil {
		return s, err
	}
	if s.Simulators, err = StartSimulators(o, address); err != nil {
		return s, err
	}
	if err := s.WriteConfig(s.Data, "worker"); err != nil {
		return s, err
	}
	if err := s.startWorker(ctx); err != nil {
		return s, err
	}
	ready, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.Subscribe(ready); err != nil {
		return s, fmt.Errorf("the worker does not answer WhatsApp's verification: %w", err)
	}
	for !s.worker.Delivering() && wait(ready, 10*time.Millisecond) {
	}
	return s, nil
}

func (s *Sandbox) startWorker(ctx context.Context) error {
	settings, err := config.Load(s.Info.Config, nil)
	if err != nil {
		return err
	}
	if s.log, err = os.OpenFile(s.LogFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if s.worker, err = app.New(ctx, settings, slog.New(slog.NewJSONHandler(s.log, nil))); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.stopped = stop, make(chan struct{})
	go func() {
		defer close(s.stopped)
		s.err = s.worker.Run(running)
	}()
	return nil
}

// LogFile is where the worker's log goes.
func (s *Sandbox) LogFile() string { return filepath.Join(s.Data, "worker.log") }

// Stopped is closed when the worker has ended by itself; Close says why.
func (s *Sandbox) Stopped() <-chan struct{} { return s.stopped }

// Close stops the worker, then the simulators, and removes what was temporary.
func (s *Sandbox) Close() error {
	var all error
	if s.stop != nil {
		s.stop()
		<-s.stopped
		all = s.err
	}
	if s.Simulators != nil {
		all = errors.Join(all, s.Simulators.Close())
	}
	if s.log != nil {
		all = errors.Join(all, s.log.Close())
	}
	if s.temporary {
		all = errors.Join(all, os.RemoveAll(s.Data))
	}
	return all
}
