package server_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/server"
)

// authority is one that is not ours.
type authority struct {
	ca   *pki.CA
	file string // with its certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return authority{ca, filepath.Join(dir, pki.CAFile)}
}

// server writes a server's certificate that is good for the name, and its key.
func (a authority) server(t *testing.T, name string) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := a.ca.ServerCertificate(dir, net.JoinHostPort(name, "1")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
}

// given is a server with a certificate for api.example that is not of its own authority.
type given struct {
	*server.Server
	authority authority
	config    server.Config
	log       *journal
}

func newGiven(t *testing.T, check time.Duration) *given {
	t.Helper()
	g := &given{authority: newAuthority(t), config: configure(t), log: &journal{}}
	g.config.TLSCert, g.config.TLSKey = g.authority.server(t, "api.example")
	g.config.Log = slog.New(slog.NewTextHandler(g.log, nil))
	s, err := server.New(t.Context(), g.config)
	if err != nil {
		t.Fatal(err)
	}
	g.Server = s
	s.CheckFilesEvery(check)
	t.Cleanup(runs(t, s))
	return g
}

// replace puts a certificate for that name in the place of the one that is served.
func (g *given) replace(t *testing.T, name string) {
	t.Helper()
	cert, key := g.authority.server(t, name)
	for from, to := range map[string]string{key: g.config.TLSKey, cert: g.config.TLSCert} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
}

// journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), s)
}

// eventually waits until the condition holds: for what no event tells of.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// serves tells whether the certificate that is shown there is good for the name.
func serves(t *testing.T, addr net.Addr, name string) bool {
	t.Helper()
	conn := secure(t, dial(t, addr, "127.0.0.1"))
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].VerifyHostname(name) == nil
}

func TestGivenCertificate(t *testing.T) {
	g := newGiven(t, time.Hour)
	if !serves(t, g.Addr(), "api.example") {
		t.Error("the API shows another certificate")
	}
	if serves(t, g.AgentAddr(), "api.example") {
		t.Error("hosts are shown a certificate that they don't know")
	}
	env, err := os.ReadFile(filepath.Join(g.config.DataDir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "SSL_CERT_FILE") {
		t.Error("admin.env makes clients trust our authority, which does not sign for the API")
	}
}

// The endpoint of admin.env is a name that the certificate is good for.
func TestEndpointOfAGivenCertificate(t *testing.T) {
	g := newGiven(t, time.Hour)
	env, err := os.ReadFile(filepath.Join(g.config.DataDir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	var endpoint string
	for line := range strings.Lines(string(env)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "export EXOSCALE_API_ENDPOINT="); ok {
			endpoint = strings.Trim(value, "'")
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(g.authority.ca.Certificate())
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	resp, err := client.Get(strings.TrimSuffix(endpoint, "/v2") + "/healthz")
	if err != nil {
		t.Fatalf("%s: %v", endpoint, err)
	}
	resp.Body.Close()
}

func TestChangedFilesAreTakenOver(t *testing.T) {
	g := newGiven(t, 10*time.Millisecond)
	g.replace(t, "renewed.example")
	eventually(t, "the new certificate is served", func() bool { return serves(t, g.Addr(), "renewed.example") })

	other := newAuthority(t)
	_, key := other.server(t, "other.example")
	if err := os.Rename(key, g.config.TLSKey); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says what is wrong", func() bool { return g.log.count("the key is not the certificate's") > 0 })
	if !serves(t, g.Addr(), "renewed.example") {
		t.Error("the old certificate did not stay")
	}
	g.replace(t, "repaired.example")
	eventually(t, "the repaired certificate is served", func() bool { return serves(t, g.Addr(), "repaired.example") })
}

func TestHangupReloads(t *testing.T) {
	g := newGiven(t, time.Hour)
	mine := make(chan os.Signal, 1) // the signal ends a process that nobody in waits for it
	signal.Notify(mine, syscall.SIGHUP)
	defer signal.Stop(mine)
	g.replace(t, "renewed.example")
	eventually(t, "the new certificate is served", func() bool {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		return serves(t, g.Addr(), "renewed.example")
	})
}

func TestPlainListenerServesTheSame(t *testing.T) {
	c := configure(t)
	c.ListenHTTP = "127.0.0.1:0"
	s, end := run(t, c)
	defer end()
	resp, err := http.Get("http://" + s.PlainAddr().String() + "/v2/zone")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err != nil {
		t.Errorf("got %s, %s, %v", resp.Status, body, err)
	}
	// The other one speaks nothing but TLS.
	if got := answer(t, dial(t, s.Addr(), "127.0.0.1"), health); got != http.StatusBadRequest {
		t.Errorf("plain HTTP where TLS is: %d", got)
	}
}

func TestTLSBelow13IsRefused(t *testing.T) {
	s, end := run(t, configure(t))
	defer end()
	for name, addr := range map[string]net.Addr{"API": s.Addr(), "agents": s.AgentAddr()} {
		conn := tls.Client(dial(t, addr, "127.0.0.1"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err := conn.Handshake(); err == nil {
			t.Errorf("%s: TLS 1.2 was accepted", name)
		}
		secure(t, dial(t, addr, "127.0.0.1")).Close() // what this client speaks otherwise
	}
}
