package server_test

import (
	"crypto/x509"
	"net"
	"testing"

	"github.com/gabion/gabion/internal/server"
)

// What admin.env names is an address by which the machine reaches the API, and a
// name that the certificate is good for.
func TestReachable(t *testing.T) {
	cert := func(ip string, names ...string) *x509.Certificate {
		c := &x509.Certificate{DNSNames: names}
		if ip != "" {
			c.IPAddresses = []net.IP{net.ParseIP(ip)}
		}
		return c
	}
	for _, tt := range []struct {
		listening string
		given     *x509.Certificate
		want      string
	}{
		{"192.0.2.1", nil, "192.0.2.1:8443"},
		{"0.0.0.0", nil, "127.0.0.1:8443"},
		{"::", nil, "127.0.0.1:8443"},
		{"2001:db8::1", nil, "[2001:db8::1]:8443"},
		{"192.0.2.1", cert("192.0.2.1", "api.example"), "192.0.2.1:8443"},
		{"0.0.0.0", cert("192.0.2.1", "api.example"), "192.0.2.1:8443"},
		{"0.0.0.0", cert("", "*.example", "api.example"), "api.example:8443"},
		{"0.0.0.0", cert("", "*.example"), "127.0.0.1:8443"},
	} {
		listening := &net.TCPAddr{IP: net.ParseIP(tt.listening), Port: 8443}
		if got := server.Reachable(listening, tt.given); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.listening, got, tt.want)
		}
	}
}
