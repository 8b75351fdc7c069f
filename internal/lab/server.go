package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where clients and agents reach the server, on the management network: it is the run's
// own, and no connection takes one of these ports for itself while the server is away.
const (
	apiPort   = 8443
	agentPort = 8444
)

// Server is a Gabion server outside the lab, and the command line that talks to it.
type Server struct {
	Dir string // its data directory, with admin.env

	lab     *Lab
	binary  string
	args    []string
	api     netip.AddrPort
	agents  netip.AddrPort
	process *Process
}

// StartServer starts the server of a gabion binary and waits until it is ready.
// Further arguments are its own.
func (l *Lab) StartServer(ctx context.Context, binary string, args ...string) (*Server, error) {
	s := &Server{
		Dir: filepath.Join(l.Dir(), "server"), lab: l, binary: binary,
		api: netip.AddrPortFrom(l.ManagementAddress(), apiPort), agents: netip.AddrPortFrom(l.ManagementAddress(), agentPort),
	}
	s.args = append([]string{
		binary, "server", "--data-dir", s.Dir,
		"--listen", s.api.String(), "--agent-listen", s.agents.String(),
	}, args...)
	return s, s.Start(ctx)
}

// Start starts the server again with what it stored, and waits until it is ready.
func (s *Server) Start(ctx context.Context) (err error) {
	if s.process, err = s.lab.Start(nil, "server", s.args...); err != nil {
		return err
	}
	ctx, cancel := awaiting(ctx)
	defer cancel()
	if err := poll(ctx, s.process, func() error { return s.ready(ctx) }); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	return nil
}

// Process is what runs the server now.
func (s *Server) Process() *Process { return s.process }

// Kill ends the server as a crash does.
func (s *Server) Kill() error { return s.process.Kill() }

func (s *Server) ready(ctx context.Context) error {
	pem, err := os.ReadFile(filepath.Join(s.Dir, "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.api.String()+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", resp.Status)
	}
	return nil
}

// Environment is what the server wrote for its operator's programs.
func (s *Server) Environment() (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, "admin.env"))
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			env[name] = strings.Trim(value, `"'`)
		}
	}
	return env, nil
}

// Refusal is a command that ended with something else than 0.
type Refusal struct {
	Command string
	Code    int    // its exit code
	Message string // its standard error
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", r.Command, r.Code, r.Message)
}

// Run runs a command of the command line as the operator and returns its standard
// output. Where the command is refused, the error is a *Refusal.
func (s *Server) Run(ctx context.Context, args ...string) (string, error) {
	env, err := s.Environment()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return stdout.String(), &Refusal{"gabion " + strings.Join(args, " "), exit.ExitCode(), strings.TrimSpace(stderr.String())}
	}
	if err != nil {
		return "", fmt.Errorf("run gabion %s: %w", strings.Join(args, " "), err)
	}
	return stdout.String(), nil
}
