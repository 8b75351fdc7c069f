package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// Files is a certificate and its key that somebody else makes and renews: two PEM
// files, which may change at any time.
type Files struct {
	certPath, keyPath string
	usage             x509.ExtKeyUsage

	mu      sync.Mutex
	seen    [2][]byte // content of both files when they were last read whole
	current *tls.Certificate
}

// OpenServerFiles reads a server's certificate, its chain behind it, and its key.
// It refuses what no client could be served with, and says what to do.
func OpenServerFiles(certPath, keyPath string) (*Files, error) {
	return openFiles(certPath, keyPath, x509.ExtKeyUsageServerAuth)
}

// OpenClientFiles reads a client's certificate, its chain behind it, and its key.
func OpenClientFiles(certPath, keyPath string) (*Files, error) {
	return openFiles(certPath, keyPath, x509.ExtKeyUsageClientAuth)
}

func openFiles(certPath, keyPath string, usage x509.ExtKeyUsage) (*Files, error) {
	f := &Files{certPath: certPath, keyPath: keyPath, usage: usage}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload takes what the files hold now, and tells whether that is new. If it is of
// no use, the certificate before stays, and the error is told once: as long as the
// files stay as they are, nothing is new.
func (f *Files) Reload() (changed bool, err error) {
	cert, err := os.ReadFile(f.certPath)
	if err != nil {
		return f.unreadable("certificate", f.certPath, err)
	}
	key, err := readKey(f.keyPath)
	if err != nil {
		return f.unreadable("key", f.keyPath, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Equal(cert, f.seen[0]) && bytes.Equal(key, f.seen[1]) {
		return false, nil
	}
	f.seen = [2][]byte{cert, key}
	pair, err := f.pair(cert, key)
	if err != nil {
		return false, err
	}
	f.current = pair
	return true, nil
}

// unreadable is the error of a file that can't be read: once, since its reason
// takes the place of what was seen.
func (f *Files) unreadable(what, path string, err error) (bool, error) {
	err = fmt.Errorf("read %s %s: %w", what, path, err)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; let the user that the server runs as (uid %d) read it", err, os.Geteuid())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	reason := [2][]byte{nil, []byte(err.Error())}
	if bytes.Equal(f.seen[1], reason[1]) {
		return false, nil
	}
	f.seen = reason
	return false, err
}

// readKey reads a key that others can't: its owner and, as is the habit with keys
// that several services share, its group may.
func readKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o037 != 0 {
		return nil, fmt.Errorf("its mode %04o lets others than its owner and group have it: chmod 0600 %s, and make a new key if somebody may have read this one", mode, path)
	}
	return os.ReadFile(path)
}

// pair makes of the files what can be served, or says why it can't be.
func (f *Files) pair(cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s and key %s: %w", f.certPath, f.keyPath, explain(err))
	}
	if err := usable(pair.Leaf, f.usage, time.Now()); err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", f.certPath, err)
	}
	return &pair, nil
}

// explain says more of an error that crypto/tls words for programmers.
func explain(err error) error {
	if err.Error() == "tls: private key does not match public key" {
		return errors.New("the key is not the certificate's: name the key that the certificate was requested with")
	}
	return err
}

// usable tells whether the certificate can be used for that, now.
func usable(leaf *x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it expired at %s: renew it", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it is good from %s on: wait, or set the clock", leaf.NotBefore.Format(time.RFC3339))
	case len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, usage) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return errors.New("it is not made for this: a server needs the extended key usage serverAuth, a client clientAuth")
	}
	return nil
}

// Leaf is the certificate in use.
func (f *Files) Leaf() *x509.Certificate { return f.get().Leaf }

func (f *Files) get() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// TLS is the configuration to serve with. It asks for no client certificate.
func (f *Files) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.get(), nil },
	}
}

// ClientCertificate is what a tls.Config's GetClientCertificate wants. It reads the
// files anew, so that a renewed certificate is used by the next connection; one
// that is of no use leaves the one before.
func (f *Files) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	_, _ = f.Reload() // the peer says what it does not like about the old one
	return f.get(), nil
}
