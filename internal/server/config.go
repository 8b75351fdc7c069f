package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
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

// Check reports the first thing that makes no sense, whatever the machine is like.
func (c *Config) Check() error {
	if c.DataDir == "" {
		return errors.New("--data-dir is missing; name the directory that holds the server's state")
	}
	for _, listen := range [][2]string{{"--listen", c.Listen}, {"--agent-listen", c.AgentListen}} {
		if !isHostPort(listen[1]) {
			return fmt.Errorf("%s %q is not HOST:PORT; write one like 127.0.0.1:8443", listen[0], listen[1])
		}
	}
	if c.Zone == "" {
		return errors.New("--zone is empty; name the zone, such as ch-gva-2")
	}
	return nil
}

func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}
