package policy_test

import (
	"net/netip"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// town is a world of two organizations. "web" admits HTTPS from everyone, "db"
// admits PostgreSQL from "web" and lets out nothing but DNS.
func town() *policy.World {
	everyone := gabion.Peer{Network: netip.MustParsePrefix("0.0.0.0/0")}
	w := policy.NewWorld()
	w.Apply(policy.Change{
		Revision: 1,
		Groups: []*gabion.Group{
			{ID: "web", Organization: "blue"},
			{ID: "db", Organization: "blue"},
			{ID: "their-web", Organization: "red"},
			{ID: "offices", Organization: "blue", Sources: prefixes("198.51.100.0/24")},
		},
		Rules: []*gabion.Rule{
			{ID: "https", Group: "web", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 443, End: 443}, Peer: everyone},
			{ID: "postgres", Group: "db", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 5432, End: 5432}, Peer: gabion.Peer{Group: "web"}},
			{ID: "admin", Group: "db", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 22, End: 22}, Peer: gabion.Peer{Group: "offices"}},
			{ID: "resolve", Group: "db", Direction: gabion.Egress, Protocol: gabion.UDP, Ports: gabion.PortRange{Start: 53, End: 53}, Peer: everyone},
		},
		Instances: []*gabion.Instance{
			resident("web1", "blue", "10.0.0.1", "web"),
			resident("db1", "blue", "10.0.0.2", "db"),
			resident("theirs", "red", "10.0.0.1", "their-web"), // the same address as web1
			resident("lost", "blue", "10.0.0.4", "nowhere"),
		},
	})
	return w
}

func resident(id, organization, address string, groups ...string) *gabion.Instance {
	return &gabion.Instance{
		ID: id, Organization: organization, Groups: groups,
		NICs: []gabion.NIC{{Interface: id, Addresses: []netip.Addr{netip.MustParseAddr(address)}}},
	}
}

func TestExplain(t *testing.T) {
	w := town()
	end := func(who string) policy.End {
		if i := w.Instance(who); i != nil {
			return policy.End{Instance: i, Address: i.NICs[0].Addresses[0]}
		}
		return policy.End{Address: netip.MustParseAddr(who)}
	}
	const outside, office = "203.0.113.1", "198.51.100.7"
	for _, c := range []struct {
		from, to string
		protocol gabion.Protocol
		port     uint16
		reason   gabion.Reason
		rule     string
	}{
		{outside, "web1", gabion.TCP, 443, gabion.PassRule, "https"},
		{outside, "web1", gabion.TCP, 80, gabion.DropDeniedIngress, ""},
		{"web1", "db1", gabion.TCP, 5432, gabion.PassRule, "postgres"},
		{"web1", "db1", gabion.UDP, 5432, gabion.DropDeniedIngress, ""},
		{outside, "db1", gabion.TCP, 5432, gabion.DropDeniedIngress, ""},
		{office, "db1", gabion.TCP, 22, gabion.PassRule, "admin"},
		{outside, "db1", gabion.TCP, 22, gabion.DropDeniedIngress, ""},
		{"db1", "web1", gabion.TCP, 443, gabion.DropDeniedEgress, ""},
		{"db1", outside, gabion.UDP, 53, gabion.PassRule, "resolve"},
		{"db1", "web1", gabion.UDP, 53, gabion.DropDeniedIngress, ""},
		{"web1", outside, gabion.TCP, 25, gabion.PassEgressOpen, ""},
		{"web1", "lost", gabion.TCP, 443, gabion.DropNoPolicy, ""},
		{"lost", "web1", gabion.TCP, 443, gabion.DropNoPolicy, ""},
		// By its address it is web1, and that is all that the receiver sees.
		{"theirs", "db1", gabion.TCP, 5432, gabion.PassRule, "postgres"},
		{outside, office, gabion.TCP, 1, gabion.PassEgressOpen, ""},
	} {
		e := w.Explain(end(c.from), end(c.to), policy.Service{Protocol: c.protocol, Port: c.port})
		got := e.Deciding()
		rule := ""
		if got.Rule != nil {
			rule = got.Rule.ID
		}
		if got.Reason != c.reason || rule != c.rule || e.Verdict() != c.reason.Verdict() {
			t.Errorf("%s to %s %s %d: %s by %q, want %s by %q", c.from, c.to, c.protocol, c.port, got.Reason, rule, c.reason, c.rule)
		}
	}
}
