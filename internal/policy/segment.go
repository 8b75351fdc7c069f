package policy

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// segment is what flows and rules need of an upper layer. A later fragment is
// judged by its datagram's first one.
type segment struct {
	protocol                    uint8
	sourcePort, destinationPort uint16 // TCP and UDP
	icmp                        bool   // ICMP over IPv4, or ICMPv6 over IPv6
	icmpType, icmpCode          uint8
	identifier                  uint16 // of an echo
	tcp                         tcp
	quotation                   []byte // of an ICMP error: what it says of the packet it is about
}

// segmentOf reads the upper layer of a packet whose head is there.
func segmentOf(p *packet) segment {
	s := headOf(p)
	if p.isTCP() {
		s.tcp = tcpOf(p)
	}
	if s.isICMPError() {
		s.quotation = p.upper[icmpHeader:]
	}
	return s
}

// headOf reads no more than the first 8 bytes, which is all that a quotation holds.
func headOf(p *packet) segment {
	s := segment{protocol: p.protocol, icmp: p.isICMP()}
	switch {
	case p.isTCP(), p.isUDP():
		s.sourcePort, s.destinationPort = p.sourcePort(), p.destinationPort()
	case s.icmp:
		s.icmpType, s.icmpCode, s.identifier = p.icmpType(), p.icmpCode(), p.icmpIdentifier()
	}
	return s
}

// later is the segment by which a later fragment is judged.
func (s *segment) later() segment {
	next := *s
	next.quotation = nil
	if next.isTCP() {
		next.tcp = tcp{flags: tcpACK}
	}
	return next
}

func (s *segment) isTCP() bool { return s.protocol == protocolTCP }

func (s *segment) isEchoRequest() bool {
	return s.icmp && (s.protocol == protocolICMP && s.icmpType == icmpEcho ||
		s.protocol == protocolICMPv6 && s.icmpType == icmpv6Echo)
}

func (s *segment) isEchoReply() bool {
	return s.icmp && (s.protocol == protocolICMP && s.icmpType == icmpEchoReply ||
		s.protocol == protocolICMPv6 && s.icmpType == icmpv6EchoReply)
}

func (s *segment) isICMPError() bool {
	if !s.icmp {
		return false
	}
	if s.protocol == protocolICMP {
		switch s.icmpType {
		case icmpUnreachable, icmpQuench, icmpExceeded, icmpParameter:
			return true
		}
		return false
	}
	switch s.icmpType {
	case icmpv6Unreachable, icmpv6TooBig, icmpv6Exceeded, icmpv6Parameter:
		return true
	}
	return false
}

// isTracked tells whether the segment may belong to a flow.
func (s *segment) isTracked() bool { return !s.icmp || s.isEchoRequest() || s.isEchoReply() }

// opens tells whether the segment may begin a flow.
func (s *segment) opens() bool {
	if s.isTCP() {
		return s.tcp.flags&(tcpSYN|tcpACK|tcpRST|tcpFIN) == tcpSYN
	}
	return s.isTracked() && !s.isEchoReply()
}

// tcp is what a segment does to its flow.
type tcp struct {
	flags    uint8
	numbered bool // the numbers are known
	sequence uint32
	end      uint32 // the sequence number behind the segment
	ack      uint32 // valid with tcpACK
}

// TCP flags.
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
)

func tcpOf(p *packet) tcp {
	t := tcp{
		flags:    p.upper[13],
		numbered: true,
		sequence: binary.BigEndian.Uint32(p.upper[4:]),
		ack:      binary.BigEndian.Uint32(p.upper[8:]),
	}
	t.end = t.sequence + uint32(len(p.upper)-p.tcpDataOffset())
	if t.has(tcpSYN) {
		t.end++
	}
	if t.has(tcpFIN) {
		t.end++
	}
	return t
}

func (t *tcp) has(flags uint8) bool { return t.flags&flags == flags }

// flowKey names a flow of a NIC, in both directions.
type flowKey struct {
	remote, local         netip.Addr
	remotePort, localPort uint16
	protocol              uint8
}

// Local ports of echo flows: who asked.
const (
	instanceAsked = 1
	remoteAsked   = 2
)

// key names the flow of a segment that goes in direction d.
func (s *segment) key(d gabion.Direction, source, destination netip.Addr) flowKey {
	key := flowKey{
		remote: source, local: destination,
		remotePort: s.sourcePort, localPort: s.destinationPort,
		protocol: s.protocol,
	}
	if d == gabion.Egress {
		key.remote, key.local = destination, source
		key.remotePort, key.localPort = s.destinationPort, s.sourcePort
	}
	if s.icmp {
		key.remotePort, key.localPort = s.identifier, remoteAsked
		if s.isEchoRequest() == (d == gabion.Egress) {
			key.localPort = instanceAsked
		}
	}
	return key
}

// question is what the rules are asked of a segment that goes in direction d.
func (s *segment) question(d gabion.Direction, remote netip.Addr) Question {
	return Question{
		Direction: d,
		Remote:    remote,
		Protocol:  gabion.Protocol(s.protocol),
		Port:      s.destinationPort,
		Type:      s.icmpType,
		Code:      s.icmpCode,
	}
}
