package server

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/internal/atomicfile"
	"github.com/gabion/gabion/internal/pki"
)

// writeAdminEnv writes what a shell sources to become the operator, for gabion
// and for the public API's other clients. Where the API has a certificate that was
// given (nil: our own), the endpoint is a name that it is good for, and whom its
// signer is trusted by is not for us to say.
func writeAdminEnv(dir, zone string, listening net.Addr, given *x509.Certificate, key gabion.Key) error {
	variables := [][2]string{
		{"EXOSCALE_API_KEY", key.ID},
		{"EXOSCALE_API_SECRET", key.Secret},
		{"EXOSCALE_API_ENDPOINT", "https://" + reachable(listening, given) + api.Base},
		{"EXOSCALE_ZONE", zone},
	}
	if given == nil {
		variables = append(variables, [2]string{"SSL_CERT_FILE", filepath.Join(dir, pki.CAFile)})
	}
	var text strings.Builder
	text.WriteString("# Credentials of the operator. Use them with: source " + filepath.Join(dir, "admin.env") + "\n")
	for _, variable := range variables {
		fmt.Fprintf(&text, "export %s=%s\n", variable[0], quote(variable[1]))
	}
	path := filepath.Join(dir, "admin.env")
	if isFile(path, text.String()) {
		return nil
	}
	if err := atomicfile.Write(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write admin.env: %w", err)
	}
	return nil
}

// isFile tells whether the file is as it would be written: then nothing is, for the
// disk may be full.
func isFile(path, text string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		return false
	}
	data, err := os.ReadFile(path)
	return err == nil && string(data) == text
}

// reachable is host:port by which this machine reaches the listener and likes its
// certificate.
func reachable(listening net.Addr, given *x509.Certificate) string {
	tcp, ok := listening.(*net.TCPAddr)
	if !ok {
		return listening.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	if given != nil && given.VerifyHostname(host) != nil {
		host = nameOf(given, host)
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// nameOf is the first name of the certificate that can be asked for, or else the
// host as it is. Addresses come first: clients of the public API make names of
// their own out of a host's name.
func nameOf(cert *x509.Certificate, host string) string {
	if len(cert.IPAddresses) > 0 {
		return cert.IPAddresses[0].String()
	}
	for _, name := range cert.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	return host
}

// quote makes one word of s for a shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
