package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A Server is a PostgreSQL that a test may stop, kill and start again. It
// listens on loopback.
type Server struct {
	t     testing.TB
	dir   string
	owner *syscall.Credential
	run   *exec.Cmd
	// Address is host:port.
	Address string
}

// NewServer starts one. Where there is no PostgreSQL the test is skipped, in
// CI it fails.
func NewServer(t testing.TB) *Server {
	t.Helper()
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no PostgreSQL: %v", err)
		}
		t.Skipf("NOT RUN: no PostgreSQL: %v", err)
	}
	dir, err := os.MkdirTemp("", "crmsync-pg-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, Address: "127.0.0.1:" + strconv.Itoa(FreePort(t))}
	if s.owner, err = unprivileged(dir); err != nil {
		t.Fatal(err)
	}
	create := exec.Command(initdb, "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", s.data())
	create.Dir, create.SysProcAttr = dir, &syscall.SysProcAttr{Credential: s.owner}
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(dir)
	})
	s.Start()
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL is that of its database, reached at an address, such as its own or that
// of a proxy.
func (s *Server) URL(address string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: address, Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// Start starts the server and waits until it answers. After Kill it may have
// to wait for the former one's children to end.
func (s *Server) Start() {
	s.t.Helper()
	server, err := exec.LookPath("postgres")
	if err != nil {
		s.t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.Address)
	for deadline := time.Now().Add(20 * time.Second); ; {
		s.run = exec.Command(server, "-D", s.data(), "-k", s.dir, "-h", host, "-p", port, "-c", "fsync=off", "-c", "max_connections=100")
		s.run.Dir, s.run.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGQUIT}
		if err := launch(s.run); err != nil {
			s.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func(run *exec.Cmd) { _ = run.Wait(); close(ended) }(s.run)
		for {
			if s.ping() == nil {
				return
			}
			if time.Now().After(deadline) {
				s.t.Fatal("PostgreSQL does not start")
			}
			select {
			case <-ended:
			case <-time.After(50 * time.Millisecond):
				continue
			}
			break
		}
	}
}

func (s *Server) ping() error {
	db, err := sql.Open("pgx", s.URL(s.Address))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// Kill is kill -9 of the server.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Stop stops the server at once and in good order.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

func (s *Server) signal(signal syscall.Signal) {
	_ = s.run.Process.Signal(signal)
	for deadline := time.Now().Add(10 * time.Second); s.run.Process.Signal(syscall.Signal(0)) == nil && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// Execute executes a statement.
func (s *Server) Execute(statement string) error {
	db, err := sql.Open("pgx", s.URL(s.Address))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
