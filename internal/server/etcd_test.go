package server_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/server"
)

// startEtcd runs an etcd that speaks TLS and wants its clients to prove who they
// are, both by the authority. It returns its endpoint.
func startEtcd(t *testing.T, a authority) string {
	t.Helper()
	c := embed.NewConfig()
	c.Dir, c.LogLevel = filepath.Join(t.TempDir(), "etcd"), "panic"
	c.ListenClientUrls = []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Host: "embedded"}}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = a.server(t, "127.0.0.1")
	c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = a.file, true
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return "https://" + e.Clients[0].Addr().String()
}

// client writes a client's certificate and its key.
func (a authority) client(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.Request(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := a.ca.SignHost("gabion", request)
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(private, der, a.ca.Raw())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "client.pem") // key, certificate and chain in one
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	return path, path
}

func TestEtcdOverTLS(t *testing.T) {
	ours, strangers := newAuthority(t), newAuthority(t)
	endpoint := startEtcd(t, ours)
	with := func(ca string, client authority) server.EtcdTLS {
		cert, key := client.client(t)
		return server.EtcdTLS{CA: ca, Cert: cert, Key: key}
	}
	for name, tt := range map[string]struct {
		tls  server.EtcdTLS
		says string // empty: it works
	}{
		"as it should be":       {with(ours.file, ours), ""},
		"no client certificate": {server.EtcdTLS{CA: ours.file}, "certificate required"},
		"a stranger's":          {with(ours.file, strangers), "unknown certificate authority"},
		"a cluster of others":   {with(strangers.file, ours), "signed by unknown authority"},
		"system's authorities":  {server.EtcdTLS{}, "signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configure(t)
			c.EtcdEndpoints, c.EtcdTLS = []string{endpoint}, tt.tls
			s, err := server.New(t.Context(), c)
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer runs(t, s)()
				awaitReady(t, c.DataDir, s.Addr())
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line that says %q", err, tt.says)
			}
		})
	}
}

func TestWhatIsWithoutTLSIsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, "")
	for name, tt := range map[string]struct {
		change func(c *server.Config)
		says   string // empty: it is accepted
	}{
		"etcd beyond this machine":   {etcd(false, "http://192.0.2.1:2379"), "say --insecure-etcd-without-tls"},
		"etcd by a name":             {etcd(false, "http://etcd.example:2379"), "say --insecure-etcd-without-tls"},
		"one of three":               {etcd(false, "https://192.0.2.1:1", "https://192.0.2.2:1", "http://192.0.2.3:1"), "say --insecure-etcd-without-tls"},
		"etcd of both kinds":         {etcd(true, "https://192.0.2.1:1", "http://192.0.2.3:1"), "all of them over https://, or none"},
		"etcd without a scheme":      {etcd(true, "192.0.2.1:2379"), "is not a URL of etcd"},
		"etcd that is told to":       {etcd(true, "http://192.0.2.1:2379"), ""},
		"etcd on loopback":           {etcd(false, "http://127.0.0.1:2379", "http://localhost:2379", "http://[::1]:2379"), ""},
		"etcd on a socket":           {etcd(false, "unix:///run/etcd.sock"), ""},
		"HTTP on every address":      {plain("0.0.0.0:8080"), "is not an address of loopback"},
		"HTTP on every address, too": {plain(":8080"), "is not an address of loopback"},
		"HTTP on one of the network": {plain("192.0.2.1:8080"), "is not an address of loopback"},
		"HTTP on a name":             {plain("localhost:8080"), "is not an address of loopback"},
		"HTTP on an IPv6 network":    {plain("[2001:db8::1]:8080"), "is not an address of loopback"},
		"HTTP on loopback":           {plain("127.0.0.1:8080"), ""},
		"HTTP on IPv6 loopback":      {plain("[::1]:8080"), ""},
		"HTTP without a port":        {plain("127.0.0.1"), "is not HOST:PORT"},
		"certificate without key":    {func(c *server.Config) { c.TLSCert = "x" }, "belong together"},
		"key without certificate":    {func(c *server.Config) { c.TLSKey = "x" }, "belong together"},
		"etcd's certificate, no key": {func(c *server.Config) { etcd(false, "https://192.0.2.1:1")(c); c.EtcdTLS.Cert = "x" }, "belong together"},
		"etcd's authority, no TLS":   {func(c *server.Config) { etcd(false, "http://127.0.0.1:1")(c); c.EtcdTLS.CA = "x" }, "begin with https://"},
		"etcd's authority, embedded": {func(c *server.Config) { c.EtcdTLS.CA = "x" }, "begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			c := configure(t)
			tt.change(&c)
			err := c.Check()
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

func etcd(insecure bool, endpoints ...string) func(*server.Config) {
	return func(c *server.Config) { c.EtcdEndpoints, c.EtcdTLS.Insecure = endpoints, insecure }
}

func plain(listen string) func(*server.Config) {
	return func(c *server.Config) { c.ListenHTTP = listen }
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	a := newAuthority(t)
	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, "")
	for name, tt := range map[string]struct {
		change func(c *server.Config)
		says   string
	}{
		"authorities of etcd, missing": {func(c *server.Config) { c.EtcdTLS.CA = "/nonexistent" }, "use --etcd-cacert: open /nonexistent"},
		"authorities of etcd, empty":   {func(c *server.Config) { c.EtcdTLS.CA = empty }, "holds no certificate in PEM"},
		"certificate for etcd, of a server": {func(c *server.Config) {
			c.EtcdTLS.Cert, c.EtcdTLS.Key = a.server(t, "x.example")
		}, "a client clientAuth"},
		"certificate of the API, missing": {func(c *server.Config) { c.TLSCert, c.TLSKey = "/nonexistent", "/nonexistent" }, "read certificate /nonexistent"},
		"key of the API, for all to read": {func(c *server.Config) {
			c.TLSCert, c.TLSKey = a.server(t, "x.example")
			if err := os.Chmod(c.TLSKey, 0o604); err != nil {
				t.Fatal(err)
			}
		}, "chmod 0600"},
	} {
		t.Run(name, func(t *testing.T) {
			c := configure(t)
			c.EtcdEndpoints = []string{"https://127.0.0.1:1"}
			tt.change(&c)
			_, err := server.New(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line that says %q", err, tt.says)
			}
		})
	}
}
