package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// Config says how an agent runs.
type Config struct {
	Server    string // host:port of the server's stream
	TokenFile string // holds the join token; needed until the host has joined
	StateDir  string // everything that must survive a restart
	// Name tells agents of one kernel apart; by default it is the host's name.
	Name        string
	DHCPServers []netip.Addr // that may answer instances; none means any
	Routers     []netip.Addr // that may advertise themselves to instances; none means any
	Version     string
	Log         *slog.Logger
}

func (c *Config) check() error {
	switch _, _, err := net.SplitHostPort(c.Server); {
	case c.Server == "":
		return errors.New("--server is missing: name the server's HOST:PORT for agents")
	case err != nil:
		return fmt.Errorf("--server %q is not HOST:PORT: write one like 192.0.2.10:8444", c.Server)
	case c.StateDir == "":
		return errors.New("--state-dir is missing: name the directory that holds the host's state")
	case c.Name != "":
		return gabion.ValidateHostName("--name", c.Name)
	}
	return nil
}

const lockFile = "lock"

// lockDir makes the state directory and makes sure that one agent uses it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock state directory %s: another agent uses it; stop that one, or name another directory", dir), f.Close())
	}
	return f, nil
}
