package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// errInUse says that a process has locked a directory.
var errInUse = errors.New("another server runs")

// openDir makes the directory of the embedded member ours: it returns the lock,
// which ends when it is closed, also by the end of the process, and refuses a
// directory that another version of the schema has written.
func openDir(dir string) (lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	if lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := checkVersion(filepath.Join(dir, "VERSION")); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w on %s: stop it or choose another data directory", errInUse, dir), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}
