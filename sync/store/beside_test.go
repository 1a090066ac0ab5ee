package store_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"crmsync/sync/store"
)

// A job of the worker opens the database a second time, and somebody looks into
// it with a tool of their own. SQLite's tools see by a lock on these bytes that
// the worker has it open; without that the last of them to close it removes the
// log with the newest commits.
func TestADatabaseThatIsOpenIsSeenToBe(t *testing.T) {
	const beside = "CRMSYNC_TEST_BESIDE"
	const firstShared, shared = 0x40000002, 510 // sqlite.org/fileformat2: the lock-byte page
	if name := os.Getenv(beside); name != "" {
		file, err := os.OpenFile(filepath.Clean(name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: firstShared, Len: shared}
		if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
			t.Fatal(err)
		}
		if lock.Type == syscall.F_UNLCK {
			t.Error("nobody has the database open, as it seems")
		}
		return
	}
	dir := t.TempDir()
	open := func() *store.DB {
		t.Helper()
		db, err := store.OpenSQLite(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	defer open().Close()
	if err := open().Close(); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestADatabaseThatIsOpenIsSeenToBe$")
	command.Env = append(os.Environ(), beside+"="+filepath.Join(dir, "crmsync.db"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
