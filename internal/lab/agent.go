package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Agent is the agent of one host.
type Agent struct {
	host    *Host
	server  *Server
	args    []string
	process *Process
}

// StartAgent joins the host to the server and starts its agent. It does not wait
// until the agent is in sync. Further arguments are the agent's own.
func (h *Host) StartAgent(ctx context.Context, s *Server, args ...string) (*Agent, error) {
	token, err := s.Run(ctx, "host", "token", h.Name)
	if err != nil {
		return nil, fmt.Errorf("join host %s: %w", h.Name, err)
	}
	file := filepath.Join(h.lab.Dir(), h.Name+".token")
	if err := os.WriteFile(file, []byte(strings.TrimSpace(token)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write join token: %w", err)
	}
	a := &Agent{host: h, server: s}
	a.args = append([]string{
		s.binary, "agent", "--server", s.agents.String(), "--token-file", file,
		"--state-dir", a.StateDir(), "--name", h.lab.Name(h.Name),
	}, args...)
	return a, a.Start()
}

// Start starts the agent again with what it has in its state directory.
func (a *Agent) Start() (err error) {
	a.process, err = a.host.lab.Start(a.host.namespace, a.host.Name, a.args...)
	return err
}

// StartAsService starts the agent again and waits until it says that it has started,
// as the service manager does before it starts what comes after.
func (a *Agent) StartAsService(ctx context.Context) error {
	ctx, cancel := awaiting(ctx)
	defer cancel()
	address := &net.UnixAddr{Name: filepath.Join(a.host.lab.Dir(), a.host.Name+".notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram(address.Net, address)
	if err != nil {
		return fmt.Errorf("listen for host %s: %w", a.host.Name, err)
	}
	defer os.Remove(address.Name)
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	args := append([]string{"env", "NOTIFY_SOCKET=" + address.Name}, a.args...)
	if a.process, err = a.host.lab.Start(a.host.namespace, a.host.Name, args...); err != nil {
		return err
	}
	said := make([]byte, len(ready))
	if _, err := socket.Read(said); err != nil {
		return fmt.Errorf("wait for the agent of host %s to start: %w", a.host.Name, err)
	}
	if string(said) != ready {
		return fmt.Errorf("the agent of host %s says %q, not that it has started", a.host.Name, said)
	}
	return nil
}

// ready is what a service says that has started.
const ready = "READY=1"

// AwaitOnline waits until the server hears of the host.
func (a *Agent) AwaitOnline(ctx context.Context) error {
	ctx, cancel := awaiting(ctx)
	defer cancel()
	err := poll(ctx, a.process, func() error { return a.online(ctx) })
	if err != nil {
		return fmt.Errorf("wait for host %s: %w", a.host.Name, err)
	}
	return nil
}

func (a *Agent) online(ctx context.Context) error {
	out, err := a.server.Run(ctx, "host", "list", "-o", "json")
	if err != nil {
		return err
	}
	var hosts []struct{ Name, State, Error string }
	if err := json.Unmarshal([]byte(out), &hosts); err != nil {
		return fmt.Errorf("read hosts: %w", err)
	}
	for _, h := range hosts {
		if h.Name != a.host.Name {
			continue
		}
		if h.State == "online" {
			return nil
		}
		return fmt.Errorf("it is %s %s", h.State, h.Error)
	}
	return errors.New("it has not joined")
}

// Process is what runs the agent now.
func (a *Agent) Process() *Process { return a.process }

// Replace lets the next Start run another gabion, as an upgrade does.
func (a *Agent) Replace(binary string) { a.args[0] = binary }

// StateDir is where the agent keeps what outlives it.
func (a *Agent) StateDir() string { return filepath.Join(a.host.lab.Dir(), a.host.Name) }

// Kill ends the agent as a crash does.
func (a *Agent) Kill() error { return a.process.Kill() }

// Stop ends the agent as an operator does.
func (a *Agent) Stop() error { return a.process.Stop() }
