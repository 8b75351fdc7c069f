package frame

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// TCP is a segment.
type TCP struct {
	Source, Destination      uint16
	Sequence, Acknowledgment uint32
	Flags                    uint8
	Options                  []byte // of a length that 4 divides
	Payload                  []byte
}

// Bytes is the segment.
func (t TCP) Bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, t.Source)
	b = binary.BigEndian.AppendUint16(b, t.Destination)
	b = binary.BigEndian.AppendUint32(b, t.Sequence)
	b = binary.BigEndian.AppendUint32(b, t.Acknowledgment)
	b = append(b, byte((20+len(t.Options))/4)<<4, t.Flags, 0xff, 0xff, 0, 0, 0, 0)
	return append(append(b, t.Options...), t.Payload...)
}

// UDP is a datagram.
type UDP struct {
	Source, Destination uint16
	Payload             []byte
}

// Bytes is the datagram.
func (u UDP) Bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, u.Source)
	b = binary.BigEndian.AppendUint16(b, u.Destination)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(u.Payload)))
	return append(append(b, 0, 0), u.Payload...)
}

// ICMP is a message of ICMP or ICMPv6.
type ICMP struct {
	Type, Code uint8
	Identifier uint16 // of an echo
	Body       []byte // behind the first 8 bytes
}

// Bytes is the message.
func (m ICMP) Bytes() []byte {
	b := binary.BigEndian.AppendUint16([]byte{m.Type, m.Code, 0, 0}, m.Identifier)
	return append(append(b, 0, 1), m.Body...)
}

// Types of ICMP.
const (
	EchoReply    = 0
	Unreachable  = 3
	Redirect     = 5
	Echo         = 8
	TimeExceeded = 11
)

// Types of ICMPv6.
const (
	Unreachable6          = 1
	TooBig6               = 2
	Echo6                 = 128
	EchoReply6            = 129
	MLDQuery              = 130
	MLDReport             = 131
	MLDDone               = 132
	MLDv2Report           = 143
	RouterSolicitation    = 133
	RouterAdvertisement   = 134
	NeighborSolicitation  = 135
	NeighborAdvertisement = 136
	Redirect6             = 137
)

// About is the body of a neighbour solicitation or advertisement.
func About(target netip.Addr, options ...[]byte) []byte {
	b := target.AsSlice()
	for _, o := range options {
		b = append(b, o...)
	}
	return b
}

// Kinds of options in neighbour discovery.
const (
	SourceLinkLayer = 1
	TargetLinkLayer = 2
)

// LinkLayer is the option that tells a MAC.
func LinkLayer(kind uint8, mac gabion.MAC) []byte { return append([]byte{kind, 1}, mac[:]...) }

// UDP ports of DHCP.
const (
	DHCPServer   = 67
	DHCPClient   = 68
	DHCPv6Client = 546
	DHCPv6Server = 547
)

// DHCP is a message of a client (1) or a server (2).
func DHCP(operation uint8, chaddr gabion.MAC) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = operation, 1, 6
	copy(b[28:], chaddr[:])
	return b
}
