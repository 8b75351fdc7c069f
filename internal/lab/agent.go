package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Agent is the agent of one host.
type Agent struct {
	host    *Host
	args    []string
	process *Process
}

// StartAgent joins the host to the server and starts its agent. It does not wait
// until the agent is in sync.
func (h *Host) StartAgent(ctx context.Context, s *Server) (*Agent, error) {
	token, err := s.Run(ctx, "host", "token", h.Name)
	if err != nil {
		return nil, fmt.Errorf("join host %s: %w", h.Name, err)
	}
	file := filepath.Join(h.lab.Dir(), h.Name+".token")
	if err := os.WriteFile(file, []byte(strings.TrimSpace(token)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write join token: %w", err)
	}
	a := &Agent{host: h, args: []string{
		s.binary, "agent", "--server", s.agents.String(), "--token-file", file,
		"--state-dir", filepath.Join(h.lab.Dir(), h.Name), "--name", h.lab.Name(h.Name),
	}}
	return a, a.Start()
}

// Start starts the agent again with what it has in its state directory.
func (a *Agent) Start() (err error) {
	a.process, err = a.host.lab.Start(a.host.namespace, a.host.Name, a.args...)
	return err
}

// Kill ends the agent as a crash does.
func (a *Agent) Kill() error { return a.process.Kill() }

// Stop ends the agent as an operator does.
func (a *Agent) Stop() error { return a.process.Stop() }
