package client

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gabion/gabion"
)

// Config says where the server is, who calls, and whom to trust.
type Config struct {
	Endpoint    string // base URL of the API, such as https://127.0.0.1:8443/v2
	Key, Secret string
	CAFile      string // PEM file of the authority that signed the server's certificate; empty means the system's
	UserAgent   string // says who calls, in the server's logs; optional
	OnStale     func() // is called with each answer that may be out of date, since the store lacks its quorum; optional
}

// ConfigFromEnv reads the variables that a server writes to admin.env and that
// the public API's other clients read too: EXOSCALE_API_ENDPOINT,
// EXOSCALE_API_KEY, EXOSCALE_API_SECRET and SSL_CERT_FILE.
func ConfigFromEnv(getenv func(string) string) (Config, error) {
	config := Config{CAFile: getenv("SSL_CERT_FILE")}
	for _, variable := range []struct {
		name   string
		target *string
	}{
		{"EXOSCALE_API_KEY", &config.Key},
		{"EXOSCALE_API_SECRET", &config.Secret},
		{"EXOSCALE_API_ENDPOINT", &config.Endpoint},
	} {
		if *variable.target = getenv(variable.name); *variable.target == "" {
			return Config{}, &gabion.Error{
				Code: gabion.CodeForbidden, Field: variable.name,
				Message: "no credentials: " + variable.name + " is not set; source admin.env from the server's data directory",
			}
		}
	}
	return config, nil
}

// endpoint is the base URL, checked: a mistake in it should not look like a
// server that is down.
func (c *Config) endpoint() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, gabion.Invalid("endpoint", "%q is not a URL; write one like https://127.0.0.1:8443/v2", c.Endpoint)
	}
	return u, nil
}

// httpClient trusts what the configuration says, and signs.
func (c *Config) httpClient() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	if c.CAFile != "" {
		pool, err := readCA(c.CAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport: &signer{key: c.Key, secret: c.Secret, now: time.Now, next: &staleness{c.OnStale, transport}},
		Timeout:   time.Minute,
	}, nil
}

// staleness is a transport that tells of answers that say that they are stale.
type staleness struct {
	tell func()
	next http.RoundTripper
}

// RoundTrip passes the request on. RFC 7234, section 5.5.1: 110 is stale.
func (s *staleness) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(req)
	if err == nil && s.tell != nil && strings.HasPrefix(response.Header.Get("Warning"), "110 ") {
		s.tell()
	}
	return response, err
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, gabion.Invalid("SSL_CERT_FILE", "%v; source admin.env from the server's data directory", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, gabion.Invalid("SSL_CERT_FILE", "%s holds no certificate in PEM", file)
	}
	return pool, nil
}
