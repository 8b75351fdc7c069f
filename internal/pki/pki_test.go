package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/pki"
)

func openCA(t *testing.T, dir string) *pki.CA {
	t.Helper()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// identity is that of a host which the authority has let join.
func identity(t *testing.T, ca *pki.CA, host string) *pki.Identity {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.Request(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignHost(host, request)
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(key, cert, ca.Certificate().Raw)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// handshake connects a client to a server and tells each side's error, and whom the server saw.
func handshake(t *testing.T, server, client *tls.Config) (seen *x509.Certificate, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error)
	var s *tls.Conn
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		s = tls.Server(conn, server)
		done <- s.Handshake()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr != nil {
		conn.Close()
	}
	serverErr = <-done
	defer c.Close()
	defer s.Close()
	if certs := s.ConnectionState().PeerCertificates; serverErr == nil && len(certs) > 0 {
		seen = certs[0]
	}
	return seen, serverErr, clientErr
}

func TestAuthorityIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, again := openCA(t, dir), openCA(t, dir)
	if first.Hash() != again.Hash() {
		t.Error("the second start made another authority")
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("ca.key has mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestDamagedAuthorityIsRefused(t *testing.T) {
	other := t.TempDir()
	openCA(t, other)
	for name, damage := range map[string]func(dir string) error{
		"key is missing":           func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) },
		"key is empty":             func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.key"), nil, 0o600) },
		"certificate is truncated": func(dir string) error { return os.Truncate(filepath.Join(dir, "ca.pem"), 100) },
		"key is another's": func(dir string) error {
			return os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openCA(t, dir)
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := pki.OpenCA(dir); err == nil {
				t.Error("opened")
			}
		})
	}
}

func TestFirstStartInterruptedBeforeTheCertificate(t *testing.T) {
	dir := t.TempDir()
	openCA(t, dir)
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	openCA(t, dir)
}

func TestServerCertificateNames(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	always := []string{pki.ServerName, "localhost", "127.0.0.1", "::1", hostname}
	for _, tt := range []struct {
		listen []string
		names  []string
	}{
		{listen: []string{"127.0.0.1:8443"}, names: nil},
		{listen: []string{"192.0.2.7:8443", "gate.example:1"}, names: []string{"192.0.2.7", "gate.example"}},
		{listen: []string{"0.0.0.0:8443", ":1"}, names: localAddresses(t)},
	} {
		cert := leaf(t, ca, dir, tt.listen...)
		for _, name := range append(always, tt.names...) {
			if err := cert.VerifyHostname(name); err != nil {
				t.Errorf("listen %v: %v", tt.listen, err)
			}
		}
	}
}

func localAddresses(t *testing.T) []string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range addrs {
		all = append(all, a.(*net.IPNet).IP.String())
	}
	return all
}

func leaf(t *testing.T, ca *pki.CA, dir string, listen ...string) *x509.Certificate {
	t.Helper()
	s, err := ca.ServerCertificate(dir, listen...)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.TLS().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func TestServerCertificateIsKeptUntilItLacksSomething(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	first := leaf(t, ca, dir, "127.0.0.1:1")
	if !leaf(t, ca, dir, "127.0.0.1:2").Equal(first) {
		t.Error("a restart made another certificate")
	}
	wider := leaf(t, ca, dir, "192.0.2.7:1")
	if wider.Equal(first) {
		t.Error("a new address did not make another certificate")
	}
	if err := os.WriteFile(filepath.Join(dir, "server.key"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if leaf(t, ca, dir, "192.0.2.7:1").Equal(wider) {
		t.Error("a certificate was kept without its key")
	}
}

func TestBadListenAddress(t *testing.T) {
	dir := t.TempDir()
	if _, err := openCA(t, dir).ServerCertificate(dir, "nonsense"); err == nil {
		t.Error("accepted")
	}
}

func TestRenewalIsDueAtTwoThirds(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(300 * time.Hour)}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{
		{-time.Second, true}, // the clock was ahead when it was made
		{0, false},
		{199 * time.Hour, false},
		{200 * time.Hour, true},
		{400 * time.Hour, true},
	} {
		if got := pki.RenewalDue(cert, begin.Add(tt.after)); got != tt.want {
			t.Errorf("after %v: got %t, want %t", tt.after, got, tt.want)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	server, err := ca.ServerCertificate(dir, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	stranger := openCA(t, t.TempDir())

	t.Run("host", func(t *testing.T) {
		seen, serverErr, clientErr := handshake(t, server.MutualTLS(), identity(t, ca, "hv1").TLS())
		if serverErr != nil || clientErr != nil {
			t.Fatal(serverErr, clientErr)
		}
		if host, err := pki.HostOf(seen); err != nil || host != "hv1" {
			t.Errorf("server sees %q, %v; want hv1", host, err)
		}
	})
	t.Run("host of another authority", func(t *testing.T) {
		config := identity(t, stranger, "hv1").TLS()
		config.RootCAs = ca.Pool()
		if _, serverErr, _ := handshake(t, server.MutualTLS(), config); serverErr == nil {
			t.Error("accepted")
		}
	})
	t.Run("server of another authority", func(t *testing.T) {
		if _, _, clientErr := handshake(t, server.MutualTLS(), identity(t, stranger, "hv1").TLS()); clientErr == nil {
			t.Error("accepted")
		}
	})
	t.Run("host plays server", func(t *testing.T) {
		id := identity(t, ca, "hv1")
		config := &tls.Config{Certificates: id.TLS().Certificates}
		if _, _, clientErr := handshake(t, config, id.TLS()); clientErr == nil {
			t.Error("accepted")
		}
	})
	t.Run("server plays host", func(t *testing.T) {
		cert, err := server.TLS().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{RootCAs: ca.Pool(), ServerName: pki.ServerName, Certificates: []tls.Certificate{*cert}}
		if _, serverErr, _ := handshake(t, server.MutualTLS(), config); serverErr == nil {
			t.Error("accepted")
		}
	})
}

func TestJoinTLS(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	server, err := ca.ServerCertificate(dir, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	token, err := ca.MintToken("hv1")
	if err != nil {
		t.Fatal(err)
	}
	if _, serverErr, clientErr := handshake(t, server.MutualTLS(), token.TLS()); serverErr != nil || clientErr != nil {
		t.Error(serverErr, clientErr)
	}

	wrong := token
	wrong.CA = openCA(t, t.TempDir()).Hash()
	if _, _, err := handshake(t, server.MutualTLS(), wrong.TLS()); !errors.Is(err, pki.ErrWrongCA) {
		t.Errorf("got %v, want ErrWrongCA", err)
	}

	// A host's certificate, although of the right authority, makes no server.
	id := identity(t, ca, "hv1").TLS().Certificates[0]
	id.Certificate = append(id.Certificate, ca.Certificate().Raw)
	if _, _, err := handshake(t, &tls.Config{Certificates: []tls.Certificate{id}}, token.TLS()); err == nil {
		t.Error("a host's certificate passed for a server's")
	}

	// Sending the authority's certificate along proves nothing by itself.
	id = identity(t, openCA(t, t.TempDir()), "hv1").TLS().Certificates[0]
	id.Certificate = append(id.Certificate, ca.Certificate().Raw)
	if _, _, err := handshake(t, &tls.Config{Certificates: []tls.Certificate{id}}, token.TLS()); err == nil {
		t.Error("a stranger's certificate beside the right authority passed")
	}
}

func TestSignHostRefuses(t *testing.T) {
	ca := openCA(t, t.TempDir())
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.Request(key)
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), request...)
	forged[len(forged)-1] ^= 1
	for name, csr := range map[string][]byte{"empty": nil, "garbage": []byte("garbage"), "forged": forged} {
		if _, err := ca.SignHost("hv1", csr); gabion.CodeOf(err) != gabion.CodeInvalid {
			t.Errorf("%s: got %v, want it refused as invalid", name, err)
		}
	}
}

func TestIdentityIsKept(t *testing.T) {
	ca := openCA(t, t.TempDir())
	id := identity(t, ca, "hv1")
	path := filepath.Join(t.TempDir(), "identity.pem")
	if _, err := pki.LoadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: got %v, want ErrNotExist", err)
	}
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := pki.LoadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Host != "hv1" || !got.Certificate().Equal(id.Certificate()) || !got.Authority().Equal(ca.Certificate()) {
		t.Error("another identity came back")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(data); n += 64 {
		if err := os.WriteFile(path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.LoadIdentity(path); err == nil {
			t.Errorf("truncated to %d bytes of %d: accepted", n, len(data))
		}
	}
}

func TestIdentityOfAnotherKeyIsRefused(t *testing.T) {
	ca := openCA(t, t.TempDir())
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert := identity(t, ca, "hv1").Certificate()
	if _, err := pki.NewIdentity(key, cert.Raw, ca.Certificate().Raw); err == nil {
		t.Error("accepted")
	}
}
