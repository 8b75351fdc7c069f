package policy

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// quotedBytes is how much of an upper layer an ICMP error must quote (RFC 792).
const quotedBytes = 8

// quotedFlow is the live flow that an ICMP error is about, if it is one.
func (w *walk) quotedFlow(s *segment) *flow {
	if !s.isICMPError() || s.quotation == nil {
		return nil
	}
	quoted, ok := parseQuotation(s.quotation, w.packet.source.Is4())
	if !ok || !w.isQuotationOfNIC(&quoted) {
		return nil
	}
	head := headOf(&quoted)
	if !head.isTracked() {
		return nil
	}
	// What came in is about what went out, and the reverse.
	return w.live(head.key(w.direction.Opposite(), quoted.source, quoted.destination))
}

// isQuotationOfNIC tells whether the quoted packet is one that the NIC sent, or
// for an error that it sends, one that it got from whom it tells.
func (w *walk) isQuotationOfNIC(quoted *packet) bool {
	if w.direction == gabion.Ingress {
		return quoted.source == w.packet.destination
	}
	return quoted.destination == w.packet.source && quoted.source == w.packet.destination
}

// parseQuotation parses a packet that was cut somewhere: no length is held
// against its end.
func parseQuotation(b []byte, isIPv4 bool) (packet, bool) {
	if isIPv4 {
		return parseIPv4Quotation(b)
	}
	return parseIPv6Quotation(b)
}

func parseIPv4Quotation(b []byte) (packet, bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return packet{}, false
	}
	header, place := int(b[0]&0xf)*4, binary.BigEndian.Uint16(b[6:])
	if header < ipv4Header || len(b) < header+quotedBytes || place&0x1fff != 0 {
		return packet{}, false
	}
	return packet{
		source:      netip.AddrFrom4([4]byte(b[12:16])),
		destination: netip.AddrFrom4([4]byte(b[16:20])),
		protocol:    b[9],
		upper:       b[header:],
	}, true
}

func parseIPv6Quotation(b []byte) (packet, bool) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return packet{}, false
	}
	p := packet{
		source:      netip.AddrFrom16([16]byte(b[8:24])),
		destination: netip.AddrFrom16([16]byte(b[24:40])),
	}
	if p.walkExtensions(b[6], b[ipv6Header:]) != undecided {
		return packet{}, false
	}
	return p, !p.isLater() && len(p.upper) >= quotedBytes
}
