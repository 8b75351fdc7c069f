package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// Member is the embedded member of a data directory, for a command beside the
// server: the one that a server runs, or ours for as long as no server does.
type Member struct {
	own    *Embedded // nil: a server's
	socket string
}

// OpenMember reaches the member of dir, and starts it if no server runs there.
func OpenMember(dir string, log *slog.Logger) (*Member, error) {
	home, err := filepath.Abs(filepath.Join(dir, "etcd"))
	if err != nil {
		return nil, fmt.Errorf("find the store: %w", err)
	}
	info, err := os.Stat(home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no store of its own: if its server uses an etcd cluster of yours, name that with --etcd-endpoints, and back it up with etcdctl snapshot save", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("find the store: %w", err)
	}
	m := &Member{socket: filepath.Join(home, "client.sock")}
	lock, err := lockDir(home)
	switch {
	case errors.Is(err, errInUse):
		return m, nil
	case err != nil:
		return nil, err
	}
	if err := errors.Join(ownedByUs(home, info), lock.Close()); err != nil {
		return nil, err
	}
	m.own, err = StartEmbedded(dir, log)
	return m, err
}

// ownedByUs refuses to write files that the server could not write any more.
func ownedByUs(dir string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%s is another user's (uid %d): run this as that user, whose server has to be able to write there, or while the server runs", dir, stat.Uid)
	}
	return nil
}

// Served tells whether a server runs the member.
func (m *Member) Served() bool { return m.own == nil }

// Endpoint is where clients reach the member.
func (m *Member) Endpoint() string { return "unix://" + m.socket }

// Close stops the member if it is ours.
func (m *Member) Close() error {
	if m.own == nil {
		return nil
	}
	return m.own.Close()
}
