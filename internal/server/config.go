package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
)

// Config says how a server runs.
type Config struct {
	DataDir       string   // everything that must survive a restart
	Listen        string   // host:port of the API
	AgentListen   string   // host:port of the agents' stream
	ListenHTTP    string   // host:port of the API without TLS, on loopback; empty means none
	TLSCert       string   // file with the API's certificate and its chain; empty means our own
	TLSKey        string   // file with its key
	EtcdEndpoints []string // of an external cluster; none means the embedded member
	EtcdTLS       EtcdTLS  // of the external cluster
	Zone          string   // name of the one zone, such as ch-gva-2
	// LiveGroupChanges lets running instances change their groups.
	LiveGroupChanges bool
	Limits           Limits // of connections; zero means DefaultLimits
	// RateLimit is how many requests a key may make in a second; 0 means any number.
	RateLimit int
	Version   string // of the program, for people
	Log       *slog.Logger
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
	for _, check := range []func() error{c.checkListenHTTP, c.checkTLS, c.checkEtcd} {
		if err := check(); err != nil {
			return err
		}
	}
	if c.RateLimit < 0 {
		return fmt.Errorf("--rate-limit %d is below 0; give the requests that a key may make in a second, or 0 for any number", c.RateLimit)
	}
	if c.Zone == "" {
		return errors.New("--zone is empty; name the zone, such as ch-gva-2")
	}
	return nil
}

// checkListenHTTP refuses to let others than this machine's own programs come
// without TLS: signatures keep requests from being made up, not from being read.
func (c *Config) checkListenHTTP() error {
	if c.ListenHTTP == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.ListenHTTP)
	if err != nil || !isHostPort(c.ListenHTTP) {
		return fmt.Errorf("--listen-http %q is not HOST:PORT; write one like 127.0.0.1:8080", c.ListenHTTP)
	}
	if address, err := netip.ParseAddr(host); err != nil || !address.IsLoopback() {
		return fmt.Errorf("--listen-http %s is not an address of loopback: without TLS everybody on the way reads along; use 127.0.0.1, and --listen for others", c.ListenHTTP)
	}
	return nil
}

func (c *Config) checkTLS() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together: name both, or none")
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
