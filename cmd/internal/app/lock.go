package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockData makes the data directory this process's own and returns the name
// under which it goes among replicas: the same at every start, so that a
// restart takes its leases over at once. The lock ends with the process,
// however it ends.
//
// It waits a little for one that only has a look, as an audit does.
func lockData(dir string, wait time.Duration) (holder string, unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("create the data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := flock(lock, wait); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return "", nil, fmt.Errorf("another crmsync is running on the data directory %s; stop it, or give this one a data_dir of its own", dir)
		}
		return "", nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	holder, err = instance(filepath.Join(dir, "instance"))
	if err != nil {
		lock.Close()
		return "", nil, err
	}
	return holder, func() { lock.Close() }, nil
}

func flock(file *os.File, wait time.Duration) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) >= wait {
			return err
		}
	}
}

// instance reads the name of the data directory, or makes one up and keeps it.
func instance(file string) (string, error) {
	name, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(name))) > 0 {
		return strings.TrimSpace(string(name)), nil
	}
	fresh := rand.Text()
	if err := os.WriteFile(file, []byte(fresh+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("name the data directory: %w", err)
	}
	return fresh, nil
}
