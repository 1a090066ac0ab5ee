package stress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// A Local target is a worker and simulators, each in a process of its own, so
// that the worker's CPU and memory are its own.
type Local struct {
	*Target
	// Dir is where their configuration, data and logs are.
	Dir string

	processes []*process // the worker first, once it has started
}

type process struct {
	*exec.Cmd
	ended chan struct{}
}

// StartLocal runs program as simulators, with arguments of its command
// simulate, and as a worker for them. The caller closes it.
func StartLocal(ctx context.Context, program string, arguments []string) (l *Local, err error) {
	l = &Local{}
	defer func() {
		if err != nil {
			_ = l.Close()
			err = errors.Join(err, l.Remove())
		}
	}()
	if l.Dir, err = os.MkdirTemp("", "crmsync-stress-"); err != nil {
		return l, err
	}
	info, err := l.simulate(program, arguments)
	if err != nil {
		return l, err
	}
	worker := exec.Command(program, "serve", "--config", info.Config) //nolint:gosec // it is this program
	p, err := l.run(worker, "worker.log")
	if err != nil {
		return l, fmt.Errorf("start a worker: %w", err)
	}
	l.Target = target(info)
	l.Name = "sandbox"
	l.PID, l.Ended = worker.Process.Pid, p.ended
	return l, ctx.Err()
}

// simulate starts the simulators and waits until they say where they are.
func (l *Local) simulate(program string, arguments []string) (info sandbox.Info, err error) {
	c := exec.Command(program, append([]string{"simulate", "--output", "json", "--write-config", l.Dir}, arguments...)...) //nolint:gosec // it is this program
	out, err := c.StdoutPipe()
	if err != nil {
		return info, err
	}
	if _, err := l.run(c, "simulators.log"); err != nil {
		return info, fmt.Errorf("start simulators: %w", err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &info)
	}
	if err != nil {
		said, _ := os.ReadFile(filepath.Join(l.Dir, "simulators.log")) // what it said is better than that it ended
		return info, fmt.Errorf("start simulators: %w\n%s", err, said)
	}
	return info, nil
}

func (l *Local) run(c *exec.Cmd, log string) (*process, error) {
	file, err := os.OpenFile(filepath.Join(l.Dir, log), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c.Stderr = file
	c.SysProcAttr = apart()
	if err := c.Start(); err != nil {
		return nil, err
	}
	p := &process{c, make(chan struct{})}
	l.processes = append([]*process{p}, l.processes...)
	go func() {
		_, _ = c.Process.Wait() // how it ended does not matter
		close(p.ended)
	}()
	return p, nil
}

// Log is where the worker's log is.
func (l *Local) Log() string { return filepath.Join(l.Dir, "worker.log") }

// Close stops the worker, then the simulators.
func (l *Local) Close() error {
	var all error
	for _, p := range l.processes {
		_ = p.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-p.ended:
		case <-time.After(15 * time.Second):
			all = errors.Join(all, fmt.Errorf("process %d had to be killed", p.Process.Pid), p.Process.Kill())
			<-p.ended
		}
	}
	return all
}

// Remove removes all that they have left.
func (l *Local) Remove() error { return os.RemoveAll(l.Dir) }
