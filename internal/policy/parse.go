package policy

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// EtherTypes.
const (
	kindIPv4    = 0x0800
	kindARP     = 0x0806
	kindRARP    = 0x8035
	kindIPv6    = 0x86dd
	kindVLAN    = 0x8100 // 802.1Q
	kindQinQ    = 0x88a8 // 802.1ad
	kindOldQinQ = 0x9100
)

var broadcastMAC = gabion.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// isGroupMAC tells whether the address is multicast or broadcast.
func isGroupMAC(m gabion.MAC) bool { return m[0]&1 != 0 }

// ethernet is a frame's header and what it carries.
type ethernet struct {
	destination, source gabion.MAC
	kind                uint16 // EtherType, or a length below 1536
	payload             []byte
}

const ethernetHeader = 14

func parseEthernet(data []byte) (ethernet, bool) {
	if len(data) < ethernetHeader {
		return ethernet{}, false
	}
	return ethernet{
		destination: gabion.MAC(data[0:6]),
		source:      gabion.MAC(data[6:12]),
		kind:        binary.BigEndian.Uint16(data[12:]),
		payload:     data[ethernetHeader:],
	}, true
}

// packet is an IP packet, as far as a verdict needs it.
type packet struct {
	source, destination netip.Addr
	hopLimit            uint8
	protocol            uint8 // of the upper layer; 0 in a later fragment over IPv6
	upper               []byte
	upperAt             int // where that begins in the packet
	fragment            fragment
	hasFragmentHeader   bool // also of an atomic fragment; over IPv4 like isFragment
}

// fragment is a packet's place in a datagram. Its zero value is a whole datagram.
type fragment struct {
	id     uint32
	offset int // bytes, where its part begins
	length int // bytes of its part
	more   bool
}

// isFragment tells whether the packet is not a whole datagram.
func (p *packet) isFragment() bool { return p.fragment.more || p.fragment.offset > 0 }

// isLater tells whether the packet is a fragment without the upper layer's head.
func (p *packet) isLater() bool { return p.fragment.offset > 0 }

func (p *packet) isICMPv4() bool { return p.source.Is4() && p.protocol == protocolICMP }

func (p *packet) isICMPv6() bool { return p.source.Is6() && p.protocol == protocolICMPv6 }

func (p *packet) isICMP() bool { return p.isICMPv4() || p.isICMPv6() }

func (p *packet) isUDP() bool { return p.protocol == protocolUDP }

func (p *packet) isTCP() bool { return p.protocol == protocolTCP }

// IP protocols that have a header we read.
const (
	protocolICMP   = uint8(gabion.ICMP)
	protocolTCP    = uint8(gabion.TCP)
	protocolUDP    = uint8(gabion.UDP)
	protocolICMPv6 = uint8(gabion.ICMPv6)
)

var broadcastIPv4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// parse is "Parsing IP".
func (w *walk) parse() gabion.Reason {
	var reason gabion.Reason
	if w.ethernet.kind == kindIPv4 {
		w.packet, reason = parseIPv4(w.ethernet.payload)
	} else {
		w.packet, reason = parseIPv6(w.ethernet.payload)
	}
	if reason != undecided {
		return reason
	}
	return w.packet.checkUpper()
}

const ipv4Header = 20

func parseIPv4(b []byte) (packet, gabion.Reason) {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return packet{}, gabion.DropMalformed
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Header || header > total || total > len(b) {
		return packet{}, gabion.DropMalformed
	}
	if reason := checkIPv4Options(b[ipv4Header:header]); reason != undecided {
		return packet{}, reason
	}
	place := binary.BigEndian.Uint16(b[6:])
	p := packet{
		source:      netip.AddrFrom4([4]byte(b[12:16])),
		destination: netip.AddrFrom4([4]byte(b[16:20])),
		hopLimit:    b[8],
		protocol:    b[9],
		upper:       b[header:total],
		upperAt:     header,
		fragment: fragment{
			id:     uint32(binary.BigEndian.Uint16(b[4:])),
			offset: int(place&0x1fff) * 8,
			length: total - header,
			more:   place&0x2000 != 0,
		},
	}
	p.hasFragmentHeader = p.isFragment()
	return p, undecided
}

// IPv4 options (RFC 791, section 3.1).
const (
	optionEnd         = 0
	optionNone        = 1
	optionLooseSource = 131
	optionStrictSrc   = 137
)

func checkIPv4Options(b []byte) gabion.Reason {
	for len(b) > 0 && b[0] != optionEnd {
		if b[0] == optionNone {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return gabion.DropMalformed
		}
		if b[0] == optionLooseSource || b[0] == optionStrictSrc {
			return gabion.DropSourceRoute
		}
		b = b[b[1]:]
	}
	return undecided
}

// checkUpper holds the upper layer's header against the packet's end.
func (p *packet) checkUpper() gabion.Reason {
	switch {
	case p.isLater() || p.isUpperWhole():
		return undecided
	case p.isFragment():
		return gabion.DropFragmentInvalid
	}
	return gabion.DropMalformed
}

func (p *packet) isUpperWhole() bool {
	switch {
	case p.isTCP():
		return len(p.upper) >= tcpHeader && p.tcpDataOffset() >= tcpHeader && p.tcpDataOffset() <= len(p.upper)
	case p.isUDP():
		return len(p.upper) >= udpHeader && p.udpLength() >= udpHeader &&
			(p.udpLength() <= len(p.upper) || p.isFragment())
	case p.isICMP():
		return len(p.upper) >= icmpHeader
	}
	return true
}

// Sizes of headers, without options.
const (
	tcpHeader  = 20
	udpHeader  = 8
	icmpHeader = 8
)

func (p *packet) sourcePort() uint16 { return binary.BigEndian.Uint16(p.upper) }

func (p *packet) destinationPort() uint16 { return binary.BigEndian.Uint16(p.upper[2:]) }

func (p *packet) udpLength() int { return int(binary.BigEndian.Uint16(p.upper[4:])) }

// udpPayload is what the UDP length says, which may be less than there is, and
// in a first fragment more.
func (p *packet) udpPayload() []byte {
	return p.upper[udpHeader:min(p.udpLength(), len(p.upper))]
}

func (p *packet) tcpDataOffset() int { return int(p.upper[12]>>4) * 4 }

func (p *packet) icmpType() uint8 { return p.upper[0] }

func (p *packet) icmpCode() uint8 { return p.upper[1] }

func (p *packet) icmpIdentifier() uint16 { return binary.BigEndian.Uint16(p.upper[4:]) }
