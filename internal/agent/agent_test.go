package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/privilege"
)

func config(t *testing.T) agent.Config {
	t.Helper()
	return agent.Config{
		Servers: []string{"127.0.0.1:1"}, StateDir: filepath.Join(t.TempDir(), "state"),
		Name: "agent.test" + strconv.Itoa(os.Getpid()), Log: slog.New(slog.DiscardHandler),
	}
}

// refused runs an agent that can't run, and checks that it says why in one line
// and leaves nothing in the kernel.
func refused(t *testing.T, c agent.Config, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), agent.Patience)
	defer cancel()
	_, fresh := os.Stat(c.StateDir)
	err := agent.Run(ctx, c)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that says %q", err, says)
	}
	if _, err := os.Stat(agent.PinsOf(c.Name)); err == nil {
		t.Error("it left pins behind")
	}
	if _, err := os.Stat(c.StateDir); c.StateDir != "" && fresh != nil && err == nil {
		t.Error("it left a state directory behind")
	}
}

func TestBadConfig(t *testing.T) {
	for says, change := range map[string]func(c *agent.Config){
		"--server is missing":    func(c *agent.Config) { c.Servers = nil },
		"is not HOST:PORT":       func(c *agent.Config) { c.Servers = []string{"localhost"} },
		`"h:99999" is not`:       func(c *agent.Config) { c.Servers = []string{"h:1", "h:99999"} },
		"--state-dir is missing": func(c *agent.Config) { c.StateDir = "" },
		"--name":                 func(c *agent.Config) { c.Name = "../x" },
		"has not joined":         func(*agent.Config) {},
		"read join token":        func(c *agent.Config) { c.TokenFile = "/nonexistent" },
		"is not a join token":    func(c *agent.Config) { c.TokenFile = os.DevNull },
	} {
		c := config(t)
		change(&c)
		refused(t, c, says)
	}
}

func TestEachHostPinsInADirectoryOfItsOwn(t *testing.T) {
	owners := map[string]string{}
	for _, name := range []string{"n1", "n1.example", "n1_example", "n1-example", "n1..example", "N1"} {
		dir := agent.PinsOf(name)
		if filepath.Dir(dir) != agent.PinDir || strings.Contains(filepath.Base(dir), ".") {
			t.Errorf("%s pins in %s, want a name without dots in %s", name, dir, agent.PinDir)
		}
		if other, taken := owners[dir]; taken {
			t.Errorf("%s and %s both pin in %s", name, other, dir)
		}
		owners[dir] = name
	}
}

func TestDamagedIdentity(t *testing.T) {
	c := config(t)
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.StateDir, "identity.pem"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, c, "join again")
}

// joining is a store that knows no token.
type joining struct{ feed.Store }

func (joining) RedeemJoinToken(context.Context, string, [32]byte, time.Time, [32]byte) error {
	return gabion.Forbidden("the join token is unknown or used")
}

func (joining) Deny(context.Context, gabion.AuditEntry) error { return nil }

func TestJoinRefused(t *testing.T) {
	privilege.Require(t)
	dir := t.TempDir()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.ServerCertificate(dir, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server := feed.NewServer(joining{}, ca, slog.New(slog.DiscardHandler))
	g := server.GRPC(cert.MutualTLS())
	t.Cleanup(g.Stop)
	go func() { _ = g.Serve(l) }()

	for name, tt := range map[string]struct {
		mint   *pki.CA
		server string
		says   string
	}{
		"used":               {ca, l.Addr().String(), "unknown or used"},
		"wrong authority":    {stranger, l.Addr().String(), pki.ErrWrongCA.Error()},
		"server unreachable": {ca, "127.0.0.1:1", "reach server 127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			c.Servers = []string{tt.server}
			c.TokenFile = filepath.Join(t.TempDir(), "token")
			token, err := tt.mint.MintToken("hv1")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.TokenFile, []byte(token.String()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, c, tt.says)
		})
	}
}

func TestTwoAgentsOfOneDirectory(t *testing.T) {
	c := config(t)
	unlock, err := agent.LockDir(c.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, c, "another agent uses it")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	refused(t, c, "has not joined")
}

func TestProbe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // what a crash left
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var problem error
	done := make(chan error, 1)
	go func() { done <- agent.Probe(ctx, path, func() error { return problem }) }()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	ask := func(what string) int {
		reply, err := client.Get("http://agent" + what)
		if err != nil {
			return 0
		}
		defer reply.Body.Close()
		return reply.StatusCode
	}
	for deadline := time.Now().Add(agent.Patience); ask("/healthz") != http.StatusOK; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not answer")
		}
	}
	if got := ask("/readyz"); got != http.StatusOK {
		t.Errorf("ready: got %d", got)
	}
	problem = errors.New("no policy")
	if got := ask("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("not ready: got %d", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
