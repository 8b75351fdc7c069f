// Package api_test asks a real server over TLS: with the public API's own SDK,
// and with requests that no SDK would send.
package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gabion/gabion/internal/server"
	"github.com/gabion/gabion/test/contract"
)

// running is a server of one test.
type running struct {
	dir      string
	env      map[string]string // of admin.env
	endpoint string
	agents   string       // where hosts are served
	plain    string       // the endpoint without TLS; empty if there is none
	http     *http.Client // holds each answer against the contract
}

func start(t *testing.T) *running { return startAs(t, func(*server.Config) {}) }

func startAs(t *testing.T, configure func(*server.Config)) *running {
	t.Helper()
	config := server.Config{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Zone: "ch-gva-2",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	configure(&config)
	s, err := server.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended: %v", err)
		}
	})
	r := connect(t, config.DataDir)
	r.agents = s.AgentAddr().String()
	if plain := s.PlainAddr(); plain != nil {
		r.plain = "http://" + plain.String() + "/v2"
	}
	return r
}

// connect reads what the server wrote for its operator.
func connect(t *testing.T, dir string) *running {
	t.Helper()
	r := &running{dir: dir, env: readEnv(t, filepath.Join(dir, "admin.env"))}
	r.endpoint = r.env["EXOSCALE_API_ENDPOINT"]
	pem, err := os.ReadFile(r.env["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{MaxIdleConnsPerHost: askers, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &http.Client{Transport: &contract.Transport{
		Next:   tally{transport},
		Breach: func(err error) { t.Error(err) },
	}}
	return r
}

func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export ")
		if name, value, found := strings.Cut(assignment, "="); ok && found {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env
}
