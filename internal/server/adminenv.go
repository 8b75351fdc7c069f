package server

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/internal/atomicfile"
	"github.com/gabion/gabion/internal/pki"
)

// writeAdminEnv writes what a shell sources to become the operator, for gabion
// and for the public API's other clients.
func writeAdminEnv(dir, zone string, listening net.Addr, key gabion.Key) error {
	var text strings.Builder
	text.WriteString("# Credentials of the operator. Use them with: source " + filepath.Join(dir, "admin.env") + "\n")
	for _, variable := range [][2]string{
		{"EXOSCALE_API_KEY", key.ID},
		{"EXOSCALE_API_SECRET", key.Secret},
		{"EXOSCALE_API_ENDPOINT", "https://" + reachable(listening) + api.Base},
		{"EXOSCALE_ZONE", zone},
		{"SSL_CERT_FILE", filepath.Join(dir, pki.CAFile)},
	} {
		fmt.Fprintf(&text, "export %s=%s\n", variable[0], quote(variable[1]))
	}
	if err := atomicfile.Write(filepath.Join(dir, "admin.env"), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write admin.env: %w", err)
	}
	return nil
}

// reachable is an address by which this machine reaches the listener.
func reachable(listening net.Addr) string {
	tcp, ok := listening.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return listening.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// quote makes one word of s for a shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
