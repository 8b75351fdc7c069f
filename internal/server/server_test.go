package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/server"
)

func configure(t *testing.T) server.Config {
	t.Helper()
	return server.Config{
		DataDir: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0",
		Zone: "ch-gva-2", Log: slog.New(slog.DiscardHandler),
	}
}

// run runs a server and returns what ends it.
func run(t *testing.T, c server.Config) (s *server.Server, end func()) {
	t.Helper()
	s, err := server.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s, runs(t, s)
}

func runs(t *testing.T, s *server.Server) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended with %v", err)
		}
	}
}

func TestServerWritesWhatClientsNeed(t *testing.T) {
	c := configure(t)
	s, end := run(t, c)
	defer end()
	for name, mode := range map[string]os.FileMode{
		"admin.env": 0o600, "ca.key": 0o600, "server.key": 0o600, "secret": 0o600, "ca.pem": 0o644,
	} {
		info, err := os.Stat(filepath.Join(c.DataDir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
		}
	}
	// What a shell has after it sourced the file.
	out, err := exec.Command("sh", "-c", ". "+filepath.Join(c.DataDir, "admin.env")+"; env").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"EXOSCALE_API_KEY=EXO", "EXOSCALE_API_SECRET=", "EXOSCALE_API_ENDPOINT=https://" + s.Addr().String() + "/v2",
		"EXOSCALE_ZONE=ch-gva-2", "SSL_CERT_FILE=" + filepath.Join(c.DataDir, "ca.pem"),
	} {
		if !strings.Contains("\n"+string(out), "\n"+want) {
			t.Errorf("%s is not in the environment", want)
		}
	}
	awaitReady(t, c.DataDir, s.Addr())
}

func TestRestartKeepsCredentials(t *testing.T) {
	c := configure(t)
	var before string
	for range 2 {
		s, end := run(t, c)
		text, err := os.ReadFile(filepath.Join(c.DataDir, "admin.env"))
		if err != nil {
			t.Fatal(err)
		}
		awaitReady(t, c.DataDir, s.Addr())
		end()
		c.Listen = s.Addr().String()
		if before != "" && string(text) != before {
			t.Errorf("admin.env was\n%s\nand is\n%s", before, text)
		}
		before = string(text)
	}
}

// awaitReady asks until the server is ready.
func awaitReady(t *testing.T, dir string, addr net.Addr) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get("https://" + addr.String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz: still %s", resp.Status)
		}
	}
}

func TestServerThatCannotStartSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name  string
		spoil func(t *testing.T, c *server.Config)
		says  string
	}{
		{"port taken", func(_ *testing.T, c *server.Config) { c.Listen = taken.Addr().String() }, "is taken: stop what listens there, or choose another address with --listen"},
		{"agents' port taken", func(_ *testing.T, c *server.Config) { c.AgentListen = taken.Addr().String() }, "choose another address with --agent-listen"},
		{"address of another machine", func(_ *testing.T, c *server.Config) { c.Listen = "192.0.2.1:8443" }, "is not an address of this machine"},
		{"no port", func(_ *testing.T, c *server.Config) { c.Listen = "127.0.0.1" }, "is not HOST:PORT"},
		{"a port that is none", func(_ *testing.T, c *server.Config) { c.AgentListen = "127.0.0.1:99999" }, "--agent-listen \"127.0.0.1:99999\" is not HOST:PORT"},
		{"a name that is none", func(_ *testing.T, c *server.Config) { c.Listen = "nobody.invalid:8443" }, "nobody.invalid:8443 is not an address of this machine"},
		{"no zone", func(_ *testing.T, c *server.Config) { c.Zone = "" }, "--zone is empty"},
		{"no data directory", func(_ *testing.T, c *server.Config) { c.DataDir = "" }, "--data-dir is missing"},
		{"a file in its place", func(t *testing.T, c *server.Config) { write(t, c.DataDir, "") }, "create data directory"},
		{"data of another version", func(t *testing.T, c *server.Config) { write(t, filepath.Join(c.DataDir, "etcd", "VERSION"), "99\n") }, "schema version"},
		{"etcd that is not there", func(_ *testing.T, c *server.Config) { c.EtcdEndpoints = []string{"http://127.0.0.1:1"} }, "connect to etcd at http://127.0.0.1:1: the store does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := configure(t)
			dir := c.DataDir
			tt.spoil(t, &c)
			_, err := server.New(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.says)
			}
			if _, err := os.Stat(filepath.Join(dir, "admin.env")); err == nil {
				t.Error("admin.env was written")
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
