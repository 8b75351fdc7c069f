package policy

import "github.com/gabion/gabion"

// Where a protocol's checksum stands in its header, in bytes.
const (
	tcpChecksum  = 16
	udpChecksum  = 6
	icmpChecksum = 2
)

// checkMetadata is "What the kernel does after the programs" for what is not IP,
// and for tunnels.
func (w *walk) checkMetadata() gabion.Reason {
	isARP := w.ethernet.kind == kindARP || w.ethernet.kind == kindRARP
	if w.frame.Encapsulated || isARP && w.frame.Checksum != 0 {
		return gabion.DropMalformed
	}
	return undecided
}

// checkIPMetadata is the same for what is IP, once it is parsed.
func (w *walk) checkIPMetadata() gabion.Reason {
	switch p := &w.packet; {
	case w.frame.Checksum != 0 && (p.isFragment() || !p.mayHoldChecksum(w.frame.Checksum-ethernetHeader)):
		return gabion.DropMalformed
	case p.isFragment() && w.frame.Several:
		return gabion.DropFragmentInvalid
	}
	return undecided
}

// mayHoldChecksum tells whether the kernel may write a checksum there, in bytes
// from the beginning of the packet.
func (p *packet) mayHoldChecksum(at int) bool {
	switch {
	case p.isTCP():
		return at == p.upperAt+tcpChecksum
	case p.isUDP():
		return at == p.upperAt+udpChecksum
	case p.isICMP():
		return at == p.upperAt+icmpChecksum
	}
	return at >= p.upperAt
}
