package server

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
)

// Config says how a server runs.
type Config struct {
	DataDir       string   // everything that must survive a restart
	Listen        string   // host:port of the API
	AgentListen   string   // host:port of the agents' stream
	EtcdEndpoints []string // of an external cluster; none means the embedded member
	Zone          string   // name of the one zone, such as ch-gva-2
	// LiveGroupChanges lets running instances change their groups.
	LiveGroupChanges bool
	Log              *slog.Logger
}

// check reports the first thing that keeps a server from running so, and makes
// the data directory absolute: its name goes into admin.env.
func (c *Config) check() error {
	if c.DataDir == "" {
		return fmt.Errorf("--data-dir is missing: name the directory that holds the server's state")
	}
	for flag, address := range map[string]string{"--listen": c.Listen, "--agent-listen": c.AgentListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s %q is not HOST:PORT: write one like 127.0.0.1:8443", flag, address)
		}
	}
	if c.Zone == "" {
		return fmt.Errorf("--zone is empty: name the zone, such as ch-gva-2")
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return fmt.Errorf("find data directory: %w", err)
	}
	c.DataDir = dir
	return nil
}
