package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gabion/gabion"
)

// JoinToken lets one host join, once. Its text is
//
//	<host>.<secret, base64url>.<SHA-256 of the authority's certificate, hexadecimal>
//
// The last part lets the host know its server before it says the secret.
type JoinToken struct {
	Host   string
	Secret [32]byte
	CA     [32]byte
}

// ErrWrongCA reports a server that the join token was not made by.
var ErrWrongCA = errors.New("the server's certificate is not of the authority that the token names")

// MintToken makes a token for the host. Who keeps it stores only its Hash.
func (ca *CA) MintToken(host string) (JoinToken, error) {
	if err := gabion.ValidateHostName("host", host); err != nil {
		return JoinToken{}, err
	}
	t := JoinToken{Host: host, CA: ca.Hash()}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return JoinToken{}, fmt.Errorf("make secret: %w", err)
	}
	return t, nil
}

// Hash is what the store knows the token by.
func (t JoinToken) Hash() [32]byte { return sha256.Sum256(t.Secret[:]) }

func (t JoinToken) String() string {
	return t.Host + "." + base64.RawURLEncoding.EncodeToString(t.Secret[:]) + "." + hex.EncodeToString(t.CA[:])
}

// ParseToken reads a token's text. Space around it, such as the end of a line, does not matter.
func ParseToken(text string) (JoinToken, error) {
	refused := gabion.Invalid("token", "is not a join token; get one with: gabion host token NAME")
	rest, ca, ok := cutLast(strings.TrimSpace(text), ".")
	host, secret, ok2 := cutLast(rest, ".")
	if !ok || !ok2 || gabion.ValidateHostName("host", host) != nil {
		return JoinToken{}, refused
	}
	t := JoinToken{Host: host}
	secretBytes, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || copy(t.Secret[:], secretBytes) != len(t.Secret) || len(secretBytes) != len(t.Secret) {
		return JoinToken{}, refused
	}
	caBytes, err := hex.DecodeString(ca)
	if err != nil || copy(t.CA[:], caBytes) != len(t.CA) || len(caBytes) != len(t.CA) {
		return JoinToken{}, refused
	}
	return t, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// TLS is the configuration to join with: it trusts the authority that the token
// names, which the server has to send in its chain.
func (t JoinToken) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         ServerName,
		InsecureSkipVerify: true, // the authority is known by its hash only: verify does it
		VerifyConnection:   t.verify,
	}
}

func (t JoinToken) verify(state tls.ConnectionState) error {
	for _, cert := range state.PeerCertificates[1:] {
		if sha256.Sum256(cert.Raw) != t.CA {
			continue
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
			DNSName:   ServerName,
			Roots:     pool(cert),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		return err
	}
	return ErrWrongCA
}
