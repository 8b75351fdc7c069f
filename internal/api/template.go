package api

import (
	"net/http"

	"github.com/gabion/gabion/internal/api/openapi"
)

// templates are the usual reasons to open something, in the order in which
// people look for them.
var templates = openapi.TemplateRuleList{TemplateRules: []openapi.TemplateRule{
	quick("ping", "PING", "Echo requests, to see whether a machine answers", echo("icmp", 8), echo("icmpv6", 128)),
	quick("ssh", "SSH", "Remote shell", tcp(22)),
	quick("rdp", "RDP", "Remote desktop of Windows", tcp(3389), udp(3389)),
	quick("http", "HTTP", "Web without encryption", tcp(80)),
	quick("https", "HTTPS", "Web, also over QUIC", tcp(443), udp(443)),
	quick("dns", "DNS", "Name service", udp(53), tcp(53)),
	quick("ntp", "NTP", "Time service", udp(123)),
	quick("smtp", "SMTP", "Mail between servers", tcp(25)),
	quick("submission", "Submission", "Mail from clients", tcp(587), tcp(465)),
	quick("imap", "IMAP", "Mailboxes, encrypted", tcp(993)),
	quick("ldap", "LDAP", "Directory, plain and encrypted", tcp(389), tcp(636)),
	quick("postgresql", "PostgreSQL", "Database", tcp(5432)),
	quick("mysql", "MySQL", "Database, also MariaDB", tcp(3306)),
	quick("mssql", "SQL Server", "Database", tcp(1433)),
	quick("mongodb", "MongoDB", "Database", tcp(27017)),
	quick("redis", "Redis", "Cache, also Valkey", tcp(6379)),
	quick("memcached", "Memcached", "Cache", tcp(11211)),
	quick("kubernetes", "Kubernetes", "API of a cluster", tcp(6443)),
	quick("wireguard", "WireGuard", "Virtual private network", udp(51820)),
}}

// ListTemplateRules answers the quick templates.
func (a *api) ListTemplateRules(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, templates)
}

func quick(name, title, description string, rules ...openapi.PeerlessRule) openapi.TemplateRule {
	return openapi.TemplateRule{Name: name, Title: title, Description: description, Rules: rules}
}

func tcp(port int) openapi.PeerlessRule {
	return openapi.PeerlessRule{FlowDirection: openapi.Ingress, Protocol: openapi.ProtocolTCP, StartPort: port, EndPort: port}
}

func udp(port int) openapi.PeerlessRule {
	return openapi.PeerlessRule{FlowDirection: openapi.Ingress, Protocol: openapi.ProtocolUDP, StartPort: port, EndPort: port}
}

func echo(protocol openapi.Protocol, request int) openapi.PeerlessRule {
	return openapi.PeerlessRule{
		FlowDirection: openapi.Ingress, Protocol: protocol, ICMP: &openapi.ICMP{Type: request, Code: 0},
	}
}
