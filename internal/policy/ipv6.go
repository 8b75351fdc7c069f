package policy

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

const ipv6Header = 40

// Extension headers. Everything else is an upper layer, AH and ESP too.
const (
	headerHopByHop    = 0
	headerRouting     = 43
	headerFragment    = 44
	headerDestination = 60
)

const maxExtensionHeaders = 8

func parseIPv6(b []byte) (packet, gabion.Reason) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return packet{}, gabion.DropMalformed
	}
	end := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		return packet{}, gabion.DropMalformed
	}
	p := packet{
		source:      netip.AddrFrom16([16]byte(b[8:24])),
		destination: netip.AddrFrom16([16]byte(b[24:40])),
		hopLimit:    b[7],
	}
	if p.source.Is4In6() || p.destination.Is4In6() {
		return packet{}, gabion.DropMapped
	}
	reason := p.walkExtensions(b[6], b[ipv6Header:end])
	return p, reason
}

// walkExtensions goes from header to header until the upper layer, or until the
// end of what a later fragment says of itself.
func (p *packet) walkExtensions(next uint8, b []byte) gabion.Reason {
	p.upperAt = ipv6Header
	for count := 1; isExtension(next); count++ {
		switch {
		case count > maxExtensionHeaders:
			return gabion.DropExtHeaders
		case next == headerHopByHop && count > 1:
			return gabion.DropMalformed
		}
		size, ok := extensionSize(next, b)
		switch {
		case !ok && p.fragment.more:
			return gabion.DropFragmentInvalid
		case !ok:
			return gabion.DropMalformed
		case next == headerRouting && b[2] == 0:
			return gabion.DropSourceRoute
		case next == headerFragment && p.hasFragmentHeader:
			return gabion.DropFragmentInvalid
		case next == headerFragment:
			p.readFragmentHeader(b)
		}
		next, b = b[0], b[size:]
		p.upperAt += size
		if p.isLater() {
			return undecided
		}
	}
	p.protocol, p.upper = next, b
	return undecided
}

func isExtension(header uint8) bool {
	switch header {
	case headerHopByHop, headerRouting, headerFragment, headerDestination:
		return true
	}
	return false
}

// extensionSize is the header's size, if it is whole.
func extensionSize(header uint8, b []byte) (size int, ok bool) {
	size = 8
	if len(b) >= 2 && header != headerFragment {
		size += int(b[1]) * 8 // RFC 8200, section 4.2: in units of 8 bytes, the first not counted
	}
	return size, size <= len(b)
}

func (p *packet) readFragmentHeader(b []byte) {
	place := binary.BigEndian.Uint16(b[2:])
	p.hasFragmentHeader = true
	p.fragment = fragment{
		id:     binary.BigEndian.Uint32(b[4:]),
		offset: int(place &^ 7), // RFC 8200, section 4.5: in units of 8 bytes, over three other bits
		length: len(b) - 8,
		more:   place&1 != 0,
	}
}
