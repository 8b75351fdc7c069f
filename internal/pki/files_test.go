package pki_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/pki"
)

// files are a certificate and a key of somebody who is not the authority.
type files struct{ cert, key string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	return files{filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key")}
}

// put writes a certificate that lives from then to then, and its key.
func (f files) put(t *testing.T, name string, from, to time.Time, usage ...x509.ExtKeyUsage) *x509.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: from, NotAfter: to, ExtKeyUsage: usage, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, encode(t, "CERTIFICATE", der), encodeKey(t, key))
	return cert
}

func (f files) write(t *testing.T, cert, key []byte) {
	t.Helper()
	for path, data := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func encode(t *testing.T, kind string, der []byte) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, "PRIVATE KEY", der)
}

// good writes a certificate that is good for a day.
func (f files) good(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	return f.put(t, name, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), x509.ExtKeyUsageServerAuth)
}

// served is the certificate that a client of that name meets.
func served(t *testing.T, config *tls.Config) *x509.Certificate {
	t.Helper()
	var seen *x509.Certificate
	client := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		seen = s.PeerCertificates[0]
		return nil
	}}
	if _, serverErr, clientErr := handshake(t, config, client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	return seen
}

func TestGivenCertificateIsServedAndReloaded(t *testing.T) {
	f := newFiles(t)
	first := f.good(t, "first.example")
	opened, err := pki.OpenServerFiles(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	config := opened.TLS()
	if got := served(t, config); !got.Equal(first) {
		t.Errorf("serves %v, want the first", got.DNSNames)
	}
	if changed, err := opened.Reload(); changed || err != nil {
		t.Errorf("unchanged files: got %t, %v", changed, err)
	}
	second := f.good(t, "second.example")
	if changed, err := opened.Reload(); !changed || err != nil {
		t.Errorf("changed files: got %t, %v", changed, err)
	}
	if got := served(t, config); !got.Equal(second) {
		t.Errorf("serves %v, want the second", got.DNSNames)
	}
}

// Whatever is wrong with new files is said once, and the old certificate stays.
func TestFilesThatAreOfNoUse(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, f files)
		says  string
	}{
		"certificate missing": {func(t *testing.T, f files) { remove(t, f.cert) }, "no such file"},
		"key missing":         {func(t *testing.T, f files) { remove(t, f.key) }, "no such file"},
		"certificate empty":   {func(t *testing.T, f files) { truncate(t, f.cert) }, "failed to find any PEM data"},
		"key empty":           {func(t *testing.T, f files) { truncate(t, f.key) }, "failed to find any PEM data"},
		"key of another": {func(t *testing.T, f files) {
			other := newFiles(t)
			other.good(t, "other.example")
			move(t, other.key, f.key)
		}, "the key is not the certificate's"},
		"expired": {func(t *testing.T, f files) {
			f.put(t, "old.example", now.Add(-48*time.Hour), now.Add(-time.Hour), x509.ExtKeyUsageServerAuth)
		}, "it expired at"},
		"not yet good": {func(t *testing.T, f files) {
			f.put(t, "new.example", now.Add(time.Hour), now.Add(48*time.Hour), x509.ExtKeyUsageServerAuth)
		}, "set the clock"},
		"a client's": {func(t *testing.T, f files) {
			f.put(t, "client.example", now.Add(-time.Hour), now.Add(time.Hour), x509.ExtKeyUsageClientAuth)
		}, "a server needs the extended key usage serverAuth"},
		"key for everybody": {func(t *testing.T, f files) { f.good(t, "x.example"); chmod(t, f.key, 0o644) }, "its mode 0644 lets others"},
		"key for a group to write": {func(t *testing.T, f files) {
			f.good(t, "x.example")
			chmod(t, f.key, 0o660)
		}, "its mode 0660 lets others"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFiles(t)
			first := f.good(t, "first.example")
			opened, err := pki.OpenServerFiles(f.cert, f.key)
			if err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, f)
			changed, err := opened.Reload()
			if changed || err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("reload: got %t, %v; want one line that says %q", changed, err, tt.says)
			}
			if _, err := opened.Reload(); err != nil {
				t.Errorf("it is said again: %v", err)
			}
			if got := served(t, opened.TLS()); !got.Equal(first) {
				t.Errorf("serves %v, want the first", got.DNSNames)
			}
			if _, err := pki.OpenServerFiles(f.cert, f.key); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("open: got %v, want %q", err, tt.says)
			}
			remove(t, f.key)
			repaired := f.good(t, "repaired.example")
			if changed, err := opened.Reload(); !changed || err != nil || !served(t, opened.TLS()).Equal(repaired) {
				t.Errorf("repaired files: got %t, %v", changed, err)
			}
		})
	}
}

// A client's certificate is read anew for each connection.
func TestClientFilesAreReadAnew(t *testing.T) {
	f := newFiles(t)
	now := time.Now()
	first := f.put(t, "first", now.Add(-time.Hour), now.Add(time.Hour), x509.ExtKeyUsageClientAuth)
	opened, err := pki.OpenClientFiles(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() *x509.Certificate {
		pair, err := opened.ClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	if !shown().Equal(first) {
		t.Error("another than the first is shown")
	}
	second := f.put(t, "second", now.Add(-time.Hour), now.Add(time.Hour), x509.ExtKeyUsageClientAuth)
	if !shown().Equal(second) {
		t.Error("the second is not shown")
	}
	truncate(t, f.cert)
	if !shown().Equal(second) {
		t.Error("the second did not stay")
	}
}

func TestKeyForItsGroupIsAccepted(t *testing.T) {
	f := newFiles(t)
	f.good(t, "a.example")
	chmod(t, f.key, 0o640)
	if _, err := pki.OpenServerFiles(f.cert, f.key); err != nil {
		t.Error(err)
	}
}

// Keys of our own are refused like given ones when others can read them.
func TestOwnKeysThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	leaf(t, ca, dir, "127.0.0.1:1")
	if err := identity(t, ca, "hv1").Save(filepath.Join(dir, "identity.pem")); err != nil {
		t.Fatal(err)
	}
	for file, open := range map[string]func() error{
		"ca.key":       func() error { _, err := pki.OpenCA(dir); return err },
		"server.key":   func() error { _, err := ca.ServerCertificate(dir, "127.0.0.1:1"); return err },
		"identity.pem": func() error { _, err := pki.LoadIdentity(filepath.Join(dir, "identity.pem")); return err },
	} {
		if err := open(); err != nil {
			t.Errorf("%s as it was made: %v", file, err)
		}
		chmod(t, filepath.Join(dir, file), 0o644)
		if err := open(); err == nil || !strings.Contains(err.Error(), "chmod") {
			t.Errorf("%s for everybody: got %v", file, err)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
