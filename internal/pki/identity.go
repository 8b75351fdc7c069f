package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"

	"github.com/gabion/gabion/internal/atomicfile"
)

// Identity is what a host proves who it is with, and knows its servers by.
type Identity struct {
	Host string

	cert *x509.Certificate
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request makes a certificate request (DER) for the key. It carries no name:
// the server decides that.
func Request(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}}, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return der, nil
}

// NewIdentity puts together what a server answered (DER) with the key that was
// asked for, and refuses what does not fit together.
func NewIdentity(key *ecdsa.PrivateKey, certDER, caDER []byte) (*Identity, error) {
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("read certificate of host: %w", err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("read certificate of authority: %w", err)
	}
	return newIdentity(key, cert, ca)
}

func newIdentity(key *ecdsa.PrivateKey, cert, ca *x509.Certificate) (*Identity, error) {
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the certificate is for another key")
	}
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return nil, fmt.Errorf("check certificate of host: %w", err)
	}
	host, err := HostOf(cert)
	if err != nil {
		return nil, err
	}
	return &Identity{Host: host, cert: cert, ca: ca, key: key}, nil
}

// LoadIdentity reads the identity in the file at path; the error is an
// fs.ErrNotExist where there is none.
func LoadIdentity(path string) (*Identity, error) {
	data, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	certs, key, err := decode(data)
	if err == nil && (len(certs) != 2 || key == nil) {
		err = errors.New("it is incomplete")
	}
	if err != nil {
		return nil, fmt.Errorf("read identity %s: %w", path, err)
	}
	return newIdentity(key, certs[0], certs[1])
}

// Save writes the identity to one file, so that key and certificate never part.
func (id *Identity) Save(path string) error {
	data, err := encodeKey(id.key)
	if err != nil {
		return err
	}
	data = append(data, encodeCertificate(id.cert.Raw)...)
	data = append(data, encodeCertificate(id.ca.Raw)...)
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// Certificate is the host's certificate.
func (id *Identity) Certificate() *x509.Certificate { return id.cert }

// Authority is the certificate of the authority that servers are trusted by.
func (id *Identity) Authority() *x509.Certificate { return id.ca }

// TLS is the configuration to reach servers with.
func (id *Identity) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ServerName,
		RootCAs:    pool(id.ca),
		Certificates: []tls.Certificate{{
			Certificate: [][]byte{id.cert.Raw},
			PrivateKey:  id.key,
			Leaf:        id.cert,
		}},
	}
}
