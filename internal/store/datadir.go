package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// schema is the version of the layout of keys and values.
const schema = "1"

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
		return nil, errors.Join(fmt.Errorf("another server runs on %s: stop it or choose another data directory", dir), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// checkVersion compares the version that the file names with ours; a new
// directory gets ours.
func checkVersion(path string) error {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.WriteFile(path, []byte(schema+"\n"), 0o600); err != nil {
			return fmt.Errorf("write schema version: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read schema version: %w", err)
	}
	return compareSchema(filepath.Dir(path), string(bytes.TrimSpace(content)))
}

func compareSchema(where, found string) error {
	if found == schema {
		return nil
	}
	return fmt.Errorf("%s has data of schema version %q and this program reads version %s: run the release that wrote it, or restore a backup into a new data directory",
		where, found, schema)
}
