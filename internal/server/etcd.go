package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gabion/gabion/internal/pki"
)

// EtcdTLS says how a cluster of the operator's is known, and how we prove who we
// are to it. All are files in PEM.
type EtcdTLS struct {
	CA        string // whom the cluster's certificates are signed by; empty means the system's authorities
	Cert, Key string // our own; empty if the cluster asks for none
	// Insecure lets the whole state cross a network that others can read and change.
	Insecure bool
}

// etcdAsk is how long an endpoint may take to say what it does not like.
const etcdAsk = 2 * time.Second

// checkEtcd reports endpoints and files that make no sense together.
func (c *Config) checkEtcd() error {
	secure, err := c.secureEtcd()
	files := c.EtcdTLS.CA != "" || c.EtcdTLS.Cert != "" || c.EtcdTLS.Key != ""
	switch {
	case err != nil:
		return err
	case (c.EtcdTLS.Cert == "") != (c.EtcdTLS.Key == ""):
		return errors.New("--etcd-cert and --etcd-key belong together: name both, or none")
	case files && !secure:
		return errors.New("--etcd-cacert, --etcd-cert and --etcd-key are for --etcd-endpoints that begin with https://")
	}
	return nil
}

// secureEtcd tells whether the endpoints are reached over TLS: all of them, or none.
func (c *Config) secureEtcd() (bool, error) {
	secure := 0
	for _, endpoint := range c.EtcdEndpoints {
		u, err := url.Parse(endpoint)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "unix":
			return false, fmt.Errorf("--etcd-endpoints %q is not a URL of etcd; write one like https://192.0.2.10:2379", endpoint)
		case u.Scheme == "https":
			secure++
		case u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.EtcdTLS.Insecure:
			return false, fmt.Errorf("--etcd-endpoints %s is without TLS: whoever is on the way to it can read and change the whole policy; use https://, or say --insecure-etcd-without-tls", endpoint)
		}
	}
	if secure != 0 && secure != len(c.EtcdEndpoints) {
		return false, errors.New("--etcd-endpoints are of one cluster: reach all of them over https://, or none")
	}
	return secure != 0, nil
}

// isLoopback tells whether the host is this machine.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// etcdTLS is the configuration to reach the cluster with; nil without TLS.
func (c *Config) etcdTLS() (*tls.Config, error) {
	secure, err := c.secureEtcd()
	if err != nil || !secure {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if c.EtcdTLS.CA != "" {
		if config.RootCAs, err = readAuthorities(c.EtcdTLS.CA); err != nil {
			return nil, fmt.Errorf("use --etcd-cacert: %w", err)
		}
	}
	if c.EtcdTLS.Cert != "" {
		files, err := pki.OpenClientFiles(c.EtcdTLS.Cert, c.EtcdTLS.Key)
		if err != nil {
			return nil, fmt.Errorf("use --etcd-cert and --etcd-key: %w", err)
		}
		config.GetClientCertificate = files.ClientCertificate
	}
	return config, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// explainEtcd is why a cluster does not answer: TLS's own reason where there is
// one, which etcd's client keeps for itself.
func explainEtcd(ctx context.Context, endpoints []string, config *tls.Config, err error) error {
	if config == nil {
		return err
	}
	for _, endpoint := range endpoints {
		if reason := askEtcd(ctx, strings.TrimPrefix(endpoint, "https://"), config); reason != nil {
			return fmt.Errorf("connect to etcd at %s: %w", endpoint, reason)
		}
	}
	return err
}

// askEtcd reports what an endpoint or we have against the connection. The peer's
// objections come after the handshake, in place of its first byte.
func askEtcd(ctx context.Context, address string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, etcdAsk)
	defer cancel()
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err
}
