package gabion

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Direction is the instance's view of where traffic goes.
type Direction uint8

// The directions. The values are part of the datapath's map layout.
const (
	Ingress Direction = 0 // to the instance
	Egress  Direction = 1 // from the instance
)

func (d Direction) String() string {
	if d == Egress {
		return "egress"
	}
	return "ingress"
}

// Opposite is the direction of the reply.
func (d Direction) Opposite() Direction { return 1 - d }

// ParseDirection reads "ingress" or "egress", in any case.
func ParseDirection(s string) (Direction, error) {
	switch strings.ToLower(s) {
	case "ingress":
		return Ingress, nil
	case "egress":
		return Egress, nil
	}
	return 0, Invalid("flow-direction", "%q is neither; write \"ingress\" or \"egress\"", s)
}

// Protocol is an IP protocol number that a rule can name.
type Protocol uint8

// The protocols of rules, by their IANA numbers.
const (
	ICMP   Protocol = 1
	IPIP   Protocol = 4
	TCP    Protocol = 6
	UDP    Protocol = 17
	GRE    Protocol = 47
	ESP    Protocol = 50
	AH     Protocol = 51
	ICMPv6 Protocol = 58
)

var protocolNames = map[Protocol]string{
	TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPv6: "icmpv6",
	AH: "ah", ESP: "esp", GRE: "gre", IPIP: "ipip",
}

func (p Protocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// HasPorts tells whether rules of the protocol may carry ports.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP }

// IsICMP tells whether rules of the protocol may carry an ICMP type and code.
func (p Protocol) IsICMP() bool { return p == ICMP || p == ICMPv6 }

// ParseProtocol reads a protocol by name, in any case.
func ParseProtocol(s string) (Protocol, error) {
	for p, name := range protocolNames {
		if strings.EqualFold(s, name) {
			return p, nil
		}
	}
	return 0, Invalid("protocol", "%q is not one of tcp, udp, icmp, icmpv6, ah, esp, gre, ipip", s)
}

// PortRange is a range of TCP or UDP destination ports, both ends included.
// The zero value means every port.
type PortRange struct{ Start, End uint16 }

// IsAny tells whether the range means every port.
func (r PortRange) IsAny() bool { return r == PortRange{} }

// Contains tells whether the range holds port.
func (r PortRange) Contains(port uint16) bool {
	return r.IsAny() || r.Start <= port && port <= r.End
}

func (r PortRange) String() string {
	switch {
	case r.IsAny():
		return "any"
	case r.Start == r.End:
		return strconv.Itoa(int(r.Start))
	}
	return fmt.Sprintf("%d-%d", r.Start, r.End)
}

// ICMPMatch is what an ICMP rule asks of a packet: -1 means any.
// A type of -1 with a code other than -1 is invalid. 0/0 is echo reply, not "any".
type ICMPMatch struct{ Type, Code int }

// AnyICMP matches every ICMP packet.
var AnyICMP = ICMPMatch{Type: -1, Code: -1}

// Contains tells whether a packet of that type and code is meant.
func (m ICMPMatch) Contains(typ, code uint8) bool {
	return (m.Type == -1 || m.Type == int(typ)) && (m.Code == -1 || m.Code == int(code))
}

// Peer is the other end of a rule: exactly one of a network and a group.
type Peer struct {
	Network netip.Prefix // valid, masked, if the peer is a network
	Group   string       // id, if the peer is a group
}

// IsGroup tells whether the peer is a group.
func (p Peer) IsGroup() bool { return p.Group != "" }

func (p Peer) String() string {
	if p.IsGroup() {
		return "group " + p.Group
	}
	return p.Network.String()
}

// Rule allows the traffic that it describes. There are no rules that deny, so
// rules have no order, and adding one never takes an access away (but the first
// egress rule, which turns the egress switch).
type Rule struct {
	ID          string
	Group       string // id of the group that holds the rule
	Direction   Direction
	Protocol    Protocol
	Ports       PortRange // TCP and UDP only
	ICMP        ICMPMatch // ICMP and ICMPv6 only; zero otherwise
	Peer        Peer
	Description string
}

// Key is the rule's canonical key within its group: two rules with one key are
// the same rule, whatever their ids and descriptions.
func (r *Rule) Key() string {
	what := r.Ports.String()
	if r.Protocol.IsICMP() {
		what = fmt.Sprintf("%d/%d", r.ICMP.Type, r.ICMP.Code)
	}
	return fmt.Sprintf("%s %s %s %s", r.Direction, r.Protocol, what, r.Peer)
}

// Validate reports the first thing that keeps the rule from being stored.
func (r *Rule) Validate() error {
	for _, check := range []func() error{r.validatePorts, r.validateICMP, r.validatePeer} {
		if err := check(); err != nil {
			return err
		}
	}
	return ValidateDescription("description", r.Description)
}

func (r *Rule) validatePorts() error {
	switch {
	case r.Ports.IsAny():
		return nil
	case !r.Protocol.HasPorts():
		return Invalid("start-port", "%s has no ports; leave start-port and end-port out", r.Protocol)
	case r.Ports.Start == 0 || r.Ports.End == 0:
		return Invalid("start-port", "give start-port and end-port from 1 to 65535, or neither for every port")
	case r.Ports.Start > r.Ports.End:
		return Invalid("end-port", "%d is below start-port %d; swap them", r.Ports.End, r.Ports.Start)
	}
	return nil
}

func (r *Rule) validateICMP() error {
	switch {
	case !r.Protocol.IsICMP():
		if r.ICMP != (ICMPMatch{}) {
			return Invalid("icmp", "%s has no ICMP type and code; leave icmp out", r.Protocol)
		}
		return nil
	case r.ICMP.Type < -1 || r.ICMP.Type > 255:
		return Invalid("icmp.type", "%d is out of range; give 0 to 255, or -1 for any", r.ICMP.Type)
	case r.ICMP.Code < -1 || r.ICMP.Code > 255:
		return Invalid("icmp.code", "%d is out of range; give 0 to 255, or -1 for any", r.ICMP.Code)
	case r.ICMP.Type == -1 && r.ICMP.Code != -1:
		return Invalid("icmp.type", "code %d needs a type; give the type, or -1 for both", r.ICMP.Code)
	}
	return nil
}

func (r *Rule) validatePeer() error {
	n := r.Peer.Network
	switch {
	case r.Peer.IsGroup() == n.IsValid():
		return Invalid("network", "give exactly one of network and security-group")
	case r.Peer.IsGroup():
		return nil
	case n != n.Masked():
		return Invalid("network", "%s has host bits set; write %s", n, n.Masked())
	case r.Protocol == ICMP && n.Addr().Is6():
		return Invalid("protocol", "icmp does not run over IPv6; write icmpv6 for %s", n)
	case r.Protocol == ICMPv6 && n.Addr().Is4():
		return Invalid("protocol", "icmpv6 does not run over IPv4; write icmp for %s", n)
	}
	return nil
}

// ParseNetwork reads a network of a rule or an external source. A bare address
// stands for itself alone; host bits, zones and IPv4-mapped IPv6 are refused
// with what to write instead.
func ParseNetwork(field, s string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, Invalid(field, "%q is not a network; write one like 203.0.113.0/24 or 2001:db8::/32", s)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if mapped := prefix.Addr(); mapped.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, Invalid(field, "%s covers IPv4-mapped addresses; write the IPv4 network instead", s)
		}
		return netip.Prefix{}, Invalid(field, "%s is IPv4 written as IPv6; write %s", s,
			netip.PrefixFrom(mapped.Unmap(), prefix.Bits()-96).Masked())
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, Invalid(field, "%s has host bits set; write %s", s, prefix.Masked())
	}
	return prefix, nil
}
