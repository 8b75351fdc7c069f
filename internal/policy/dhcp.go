package policy

import (
	"net/netip"

	"github.com/gabion/gabion"
)

// UDP ports of DHCP.
const (
	dhcpServerPort   = 67
	dhcpClientPort   = 68
	dhcpv6ClientPort = 546
	dhcpv6ServerPort = 547
)

const (
	bootpThroughCHAddr = 34 // bytes of a BOOTP message up to the end of an Ethernet chaddr
	bootpRequest       = 1
	bootpReply         = 2
	bootpEthernet      = 1
)

// dhcpv6Servers is All_DHCP_Relay_Agents_and_Servers (RFC 8415, section 7.1).
var dhcpv6Servers = netip.MustParseAddr("ff02::1:2")

// bootp is the head of a DHCP message.
type bootp struct {
	operation, hardware, hardwareLength uint8
	chaddr                              gabion.MAC
}

func parseBOOTP(b []byte) (bootp, bool) {
	if len(b) < bootpThroughCHAddr {
		return bootp{}, false
	}
	return bootp{operation: b[0], hardware: b[1], hardwareLength: b[2], chaddr: gabion.MAC(b[28:34])}, true
}

func (p *packet) isUDPBetween(source, destination uint16) bool {
	return p.isUDP() && p.sourcePort() == source && p.destinationPort() == destination
}

func (w *walk) dhcpClientFromInstance() gabion.Reason {
	p := &w.packet
	if !p.isUDPBetween(dhcpClientPort, dhcpServerPort) || p.destination != broadcastIPv4 || p.isFragment() ||
		p.source != netip.IPv4Unspecified() && !w.owns(p.source) {
		return undecided
	}
	m, ok := parseBOOTP(p.udpPayload())
	switch {
	case !ok:
		return gabion.DropMalformed
	case m.operation != bootpRequest || m.hardware != bootpEthernet || m.hardwareLength != 6 || m.chaddr != w.MAC:
		return gabion.DropDHCPSpoof
	}
	return gabion.PassDHCP
}

func (w *walk) dhcpServerFromInstance() gabion.Reason {
	p := &w.packet
	if p.isUDP() && (p.sourcePort() == dhcpServerPort || p.sourcePort() == dhcpv6ServerPort) {
		return gabion.DropDHCPServer
	}
	return undecided
}

func (w *walk) dhcpv6ClientFromInstance() gabion.Reason {
	p := &w.packet
	if p.isUDPBetween(dhcpv6ClientPort, dhcpv6ServerPort) && w.isOwnLinkLocal(p.source) &&
		p.destination == dhcpv6Servers && !p.hasFragmentHeader {
		return gabion.PassDHCP
	}
	return undecided
}

func (w *walk) dhcpServerToInstance() gabion.Reason {
	p := &w.packet
	if !p.source.Is4() || p.isFragment() || !p.isUDPBetween(dhcpServerPort, dhcpClientPort) {
		return undecided
	}
	m, ok := parseBOOTP(p.udpPayload())
	if ok && m.operation == bootpReply && m.hardwareLength == 6 && m.chaddr == w.MAC &&
		isNamed(w.config.DHCPServers, p.source) {
		return gabion.PassDHCP
	}
	return undecided
}

func (w *walk) dhcpv6ServerToInstance() gabion.Reason {
	p := &w.packet
	if p.isUDPBetween(dhcpv6ServerPort, dhcpv6ClientPort) && !p.hasFragmentHeader && w.isForMAC() &&
		w.isOwnLinkLocal(p.destination) && isNamed(w.config.DHCPServers, p.source) {
		return gabion.PassDHCP
	}
	return undecided
}
