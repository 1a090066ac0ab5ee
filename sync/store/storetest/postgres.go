// Package storetest gives tests a PostgreSQL of their own.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver named pgx
)

// DSNVariable names the environment variable with the url of a PostgreSQL
// whose user may create databases. Without it the installed initdb and
// postgres are used.
const DSNVariable = "CRMSYNC_TEST_POSTGRES"

var (
	cluster     = sync.OnceValues(start)
	databases   atomic.Int64
	stopCluster = func() {}
)

// Run runs a package's tests, stops the cluster after them and returns the
// exit code.
func Run(m *testing.M) int {
	defer func() { stopCluster() }()
	return m.Run()
}

// Postgres returns the url of an empty database. Where there is no PostgreSQL
// the test is skipped, in CI it fails.
func Postgres(t testing.TB) string {
	t.Helper()
	base, err := cluster()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no PostgreSQL: %v", err)
		}
		t.Skipf("NOT RUN ON POSTGRESQL: %v; install it or set %s", err, DSNVariable)
	}
	name := fmt.Sprintf("crmsync_test_%d_%d", os.Getpid(), databases.Add(1))
	execute(t, base, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, base, "DROP DATABASE "+name+" WITH (FORCE)") })
	u := *base
	u.Path = "/" + name
	return u.String()
}

func execute(t testing.TB, base *url.URL, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", base.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// start returns the url of a running PostgreSQL.
func start() (*url.URL, error) {
	if dsn := os.Getenv(DSNVariable); dsn != "" {
		return url.Parse(dsn)
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return nil, err
	}
	server, err := exec.LookPath("postgres")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "crmsync-pg-")
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	create := exec.Command(initdb, "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", data)
	create.Dir, create.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner}
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	run := exec.Command(server, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
	run.Dir, run.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
	if err := launch(run); err != nil {
		return nil, err
	}
	stopCluster = func() {
		_ = run.Process.Signal(syscall.SIGQUIT)
		_, _ = run.Process.Wait()
		_ = os.RemoveAll(dir)
	}
	u := &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}
	return u, waitFor(u)
}

// launch starts the server on a thread that lives as long as this process:
// the server gets its signal when the thread that started it ends.
func launch(run *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- run.Start()
		select {}
	}()
	return <-started
}

func waitFor(u *url.URL) error {
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = db.PingContext(context.Background()); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// unprivileged gives dir to a user other than root, as whom the server refuses
// to run. It returns nil if we are not root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
