package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/atomicfile"
)

// Names of the authority's files in the server's data directory.
const (
	CAFile    = "ca.pem"
	caKeyFile = "ca.key"
)

// hostUnit is the organizational unit of hosts' certificates.
const hostUnit = "host"

// CA is the certificate authority.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenCA loads the authority from dir, and makes one where there is none yet.
func OpenCA(dir string) (*CA, error) {
	key, err := openKey(filepath.Join(dir, caKeyFile), filepath.Join(dir, CAFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, CAFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createCA(path, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	certs, _, err := decode(data)
	if err != nil || len(certs) != 1 {
		return nil, fmt.Errorf("read authority: %s does not hold one certificate; restore it from a backup", path)
	}
	if !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("read authority: %s and %s do not belong together; restore them from a backup", path, caKeyFile)
	}
	return &CA{cert: certs[0], key: key}, nil
}

// openKey loads the key at path, or makes one. A key without a certificate is
// what a crash in the first start leaves: nobody trusts it yet, so it is used.
// A certificate without its key is a loss that a new key would only hide.
func openKey(path, certPath string) (*ecdsa.PrivateKey, error) {
	data, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(certPath); err == nil {
			return nil, fmt.Errorf("read key of authority: %s is missing beside %s; restore it from a backup", path, certPath)
		}
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key of authority: %w", err)
	}
	_, key, err := decode(data)
	if err != nil || key == nil {
		return nil, fmt.Errorf("read key of authority: %s does not hold an ECDSA key; restore it from a backup", path)
	}
	return key, nil
}

func createKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	data, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return key, nil
}

func createCA(path string, key *ecdsa.PrivateKey) (*CA, error) {
	t, err := template(time.Now(), caLife)
	if err != nil {
		return nil, err
	}
	t.Subject = pkix.Name{CommonName: "Gabion"}
	t.IsCA = true
	t.MaxPathLenZero = true
	t.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of authority: %w", err)
	}
	if err := atomicfile.Write(path, encodeCertificate(der), 0o644); err != nil {
		return nil, fmt.Errorf("write certificate of authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back certificate of authority: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// Raw is the authority's own certificate, DER.
func (ca *CA) Raw() []byte { return ca.cert.Raw }

// Certificate is the authority's own certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Hash is what a join token names the authority by: SHA-256 of its certificate.
func (ca *CA) Hash() [32]byte { return sha256.Sum256(ca.cert.Raw) }

// Pool trusts the authority and nobody else.
func (ca *CA) Pool() *x509.CertPool { return pool(ca.cert) }

func pool(cert *x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(cert)
	return p
}

// SignHost makes the certificate (DER) of a host from its request (DER). Of the
// request only the key counts: the name is the one the caller vouches for.
func (ca *CA) SignHost(host string, request []byte) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, gabion.Invalid("csr", "is not a certificate request")
	}
	public, ok := csr.PublicKey.(*ecdsa.PublicKey) // before anything is computed with it: anybody may ask
	if !ok {
		return nil, gabion.Invalid("csr", "holds a key that is not ECDSA; make an ECDSA P-256 key")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, gabion.Invalid("csr", "is not signed by its key")
	}
	t, err := template(time.Now(), hostLife)
	if err != nil {
		return nil, err
	}
	t.Subject = pkix.Name{CommonName: host, OrganizationalUnit: []string{hostUnit}}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.sign(t, public)
}

func (ca *CA) sign(t *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", t.Subject.CommonName, err)
	}
	return der, nil
}

// HostOf is the host that a verified client certificate belongs to.
func HostOf(cert *x509.Certificate) (string, error) {
	if units := cert.Subject.OrganizationalUnit; len(units) != 1 || units[0] != hostUnit {
		return "", gabion.Forbidden("the certificate of %q is not a host's", cert.Subject.CommonName)
	}
	return cert.Subject.CommonName, nil
}
