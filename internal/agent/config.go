package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// Config says how an agent runs.
type Config struct {
	Servers   []string // host:port of the stream of each server of the zone
	TokenFile string   // holds the join token; needed until the host has joined
	StateDir  string   // everything that must survive a restart
	// Name tells agents of one kernel apart; by default it is the host's name.
	Name        string
	DHCPServers []netip.Addr // that may answer instances; none means any
	Routers     []netip.Addr // that may advertise themselves to instances; none means any
	// InstancePrefixes begin names of interfaces that are instances' although no
	// policy names them: they pass nothing.
	InstancePrefixes []string
	Uplinks          []string // patterns of names of ports of bridges that are no instance's
	// VLAN is what the agent lets instances' interfaces into on bridges that filter
	// VLANs and give new ports none; 0: none.
	VLAN    uint16
	FlowLog string // file for flow events, one JSON object a line; "-" is standard output; empty is none
	// FlowLogAllowed logs first packets that pass, too.
	FlowLogAllowed bool
	MetricsListen  string // host:port for Prometheus; empty is none
	Version        string
	Log            *slog.Logger
}

// Check reports the first thing that makes no sense, whatever the machine is like.
func (c *Config) Check() error {
	if len(c.Servers) == 0 {
		return errors.New("--server is missing; name the server's HOST:PORT for agents")
	}
	for _, server := range c.Servers {
		if !isHostPort(server) {
			return fmt.Errorf("--server %q is not HOST:PORT; write one like 192.0.2.10:8444", server)
		}
	}
	switch {
	case c.StateDir == "":
		return errors.New("--state-dir is missing; name the directory that holds the host's state")
	case c.MetricsListen != "" && !isHostPort(c.MetricsListen):
		return fmt.Errorf("--metrics-listen %q is not HOST:PORT; write one like 127.0.0.1:9485", c.MetricsListen)
	case c.Name != "":
		if err := gabion.ValidateHostName("--name", c.Name); err != nil {
			return err
		}
	}
	return c.checkInterfaces()
}

// checkInterfaces refuses what would hold back everything, or nothing.
func (c *Config) checkInterfaces() error {
	for _, prefix := range c.InstancePrefixes {
		if prefix == "" || len(prefix) > maxInterface || strings.ContainsAny(prefix, "*?[/ ") {
			return fmt.Errorf("--instance-interface %q is not how an interface's name begins; write for example vnet", prefix)
		}
	}
	for _, pattern := range c.Uplinks {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("--uplink %q is no pattern of names; write for example bond0 or ext*", pattern)
		}
	}
	if c.VLAN > maxVLAN {
		return fmt.Errorf("--vlan %d is no VLAN; give 1 to %d", c.VLAN, maxVLAN)
	}
	return nil
}

const (
	maxInterface = 15 // of an interface's name
	maxVLAN      = 4094
)

func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

const lockFile = "lock"

// stateDir is the directory that the agent keeps everything in, locked: one agent
// uses it.
type stateDir struct {
	path  string
	lock  *os.File
	fresh bool // it was not there before
}

func openStateDir(path string) (*stateDir, error) {
	_, absent := os.Stat(path)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock state directory %s: another agent uses it; stop that one, or name another directory", path), f.Close())
	}
	return &stateDir{path, f, absent != nil}, nil
}

// file is the path of a file in the directory.
func (d *stateDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *stateDir) close() error { return d.lock.Close() }

// undo removes the directory if it is new and nothing has come into it.
func (d *stateDir) undo() error {
	if _, err := os.Stat(d.file(identityFile)); err == nil || !d.fresh {
		return nil
	}
	return errors.Join(os.Remove(d.file(lockFile)), os.Remove(d.path))
}
