package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gabion/gabion/internal/atomicfile"
)

const (
	serverFile    = "server.pem"
	serverKeyFile = "server.key"
)

// ServerCertificate is a server's certificate, renewed as it ages.
type ServerCertificate struct {
	ca    *CA
	dir   string
	key   *ecdsa.PrivateKey
	names names

	mu   sync.Mutex
	leaf *x509.Certificate
}

// ServerCertificate loads the server's certificate from dir, and makes one where
// there is none, where it gets old, or where it lacks a name. It is good for
// localhost, for the machine's name, and for the hosts of the addresses listened
// on ("host:port"); where such a host is a wildcard, for all addresses of the machine.
func (ca *CA) ServerCertificate(dir string, listen ...string) (*ServerCertificate, error) {
	key, err := openServerKey(filepath.Join(dir, serverKeyFile))
	if err != nil {
		return nil, err
	}
	names, err := namesOf(listen)
	if err != nil {
		return nil, err
	}
	s := &ServerCertificate{ca: ca, dir: dir, key: key, names: names}
	s.leaf = s.load()
	if _, err := s.current(time.Now()); err != nil {
		return nil, err
	}
	return s, nil
}

// openServerKey loads the server's key. Unlike the authority's it is replaced
// without regret when it is gone or damaged: everybody trusts the authority.
func openServerKey(path string) (*ecdsa.PrivateKey, error) {
	data, err := readKey(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read key of server %s: %w", path, err)
	}
	if _, key, err := decode(data); err == nil && key != nil {
		return key, nil
	}
	return createKey(path)
}

// load reads the stored certificate; nil if it is not there or not for this key and authority.
func (s *ServerCertificate) load() *x509.Certificate {
	data, err := os.ReadFile(filepath.Join(s.dir, serverFile))
	if err != nil {
		return nil
	}
	certs, _, err := decode(data)
	if err != nil || len(certs) == 0 || !s.key.PublicKey.Equal(certs[0].PublicKey) {
		return nil
	}
	if certs[0].CheckSignatureFrom(s.ca.cert) != nil || !s.names.in(certs[0]) {
		return nil
	}
	return certs[0]
}

// TLS is the configuration to serve with. It asks for no client certificate.
func (s *ServerCertificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.current(time.Now())
		},
	}
}

// MutualTLS is the configuration to serve hosts with: a client certificate may be
// missing, since a host that joins has none yet, but one that is given is verified.
func (s *ServerCertificate) MutualTLS() *tls.Config {
	config := s.TLS()
	config.ClientCAs = s.ca.Pool()
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return config
}

// current is the certificate for a connection made now, with its chain: hosts
// that join know no more than the authority's hash.
func (s *ServerCertificate) current(now time.Time) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.renew(now); err != nil {
		return nil, err
	}
	return &tls.Certificate{
		Certificate: [][]byte{s.leaf.Raw, s.ca.cert.Raw},
		PrivateKey:  s.key,
		Leaf:        s.leaf,
	}, nil
}

// renew makes a new certificate when the one in use gets old. If it can't, because
// the disk is full, say, the old one is used as long as it is good.
func (s *ServerCertificate) renew(now time.Time) error {
	if s.leaf != nil && !RenewalDue(s.leaf, now) {
		return nil
	}
	leaf, err := s.issue(now)
	if err == nil {
		s.leaf = leaf
		return nil
	}
	if s.leaf != nil && now.Before(s.leaf.NotAfter) {
		return nil
	}
	return err
}

func (s *ServerCertificate) issue(now time.Time) (*x509.Certificate, error) {
	t, err := template(now, serverLife)
	if err != nil {
		return nil, err
	}
	t.Subject = pkix.Name{CommonName: ServerName}
	t.DNSNames, t.IPAddresses = s.names.dns, s.names.ips
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := s.ca.sign(t, &s.key.PublicKey)
	if err != nil {
		return nil, err
	}
	chain := append(encodeCertificate(der), encodeCertificate(s.ca.cert.Raw)...)
	if err := atomicfile.Write(filepath.Join(s.dir, serverFile), chain, 0o644); err != nil {
		return nil, fmt.Errorf("write certificate of server: %w", err)
	}
	return x509.ParseCertificate(der)
}

// names are what a server is reached by.
type names struct {
	dns []string
	ips []net.IP
}

func namesOf(listen []string) (names, error) {
	n := names{
		dns: []string{ServerName, "localhost"},
		ips: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if host, err := os.Hostname(); err == nil {
		n.addDNS(host)
	}
	for _, addr := range listen {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return names{}, fmt.Errorf("read address %q to listen on: %w", addr, err)
		}
		n.addHost(host)
	}
	return n, nil
}

func (n *names) addHost(host string) {
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
		n.addLocal()
	case ip != nil:
		n.addIP(ip)
	default:
		n.addDNS(host)
	}
}

// addLocal adds every address of the machine. One that can't be listed is left
// out: the certificate is still good for the others.
func (n *names) addLocal() {
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if ipNet, ok := addr.(*net.IPNet); ok {
			n.addIP(ipNet.IP)
		}
	}
}

func (n *names) addDNS(name string) {
	if !slices.Contains(n.dns, name) {
		n.dns = append(n.dns, name)
	}
}

func (n *names) addIP(ip net.IP) {
	if !slices.ContainsFunc(n.ips, ip.Equal) {
		n.ips = append(n.ips, ip)
	}
}

// in tells whether the certificate is good for all names.
func (n *names) in(cert *x509.Certificate) bool {
	for _, name := range n.dns {
		if !slices.Contains(cert.DNSNames, name) {
			return false
		}
	}
	for _, ip := range n.ips {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}
