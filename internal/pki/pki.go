// Package pki is the certificate authority of one Gabion installation and what
// hangs off it: the servers' certificate, the hosts' certificates, and the join
// tokens that trade a short secret for the latter.
//
// All keys are ECDSA P-256. A server's certificate is good for serving only, a
// host's for being a client only, so neither can play the other. It must not
// know of the store, gRPC or HTTP: who may have a certificate is decided elsewhere.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ServerName is in every server's certificate. Agents ask for it, so they can
// reach a server by any address, through any balancer.
const ServerName = "server.gabion.internal"

const (
	caLife     = 20 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	hostLife   = 365 * 24 * time.Hour

	// clockSkew is by how much a peer's clock may be behind ours.
	clockSkew = time.Hour
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// NewKey makes a private key. It never leaves the machine that made it.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

// RenewalDue tells whether a third of the certificate's life or less is left, or
// the clock says that its life has not begun.
func RenewalDue(cert *x509.Certificate, now time.Time) bool {
	return now.Before(cert.NotBefore) || !now.Before(RenewalTime(cert))
}

// RenewalTime is when two thirds of the certificate's life are over.
func RenewalTime(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(life / 3 * 2)
}

// template is what all certificates have in common.
func template(now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(life - clockSkew),
		BasicConstraintsValid: true,
	}, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// decode reads PEM blocks: certificates in their order, and at most one key.
func decode(data []byte) (certs []*x509.Certificate, key *ecdsa.PrivateKey, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case pemCertificate:
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certs = append(certs, cert)
		case pemKey:
			if key, err = parseKey(block.Bytes); err != nil {
				return nil, nil, err
			}
		}
	}
	return certs, key, nil
}

func parseKey(der []byte) (*ecdsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not an ECDSA key")
	}
	return key, nil
}
