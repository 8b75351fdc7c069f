// Package frame builds the Ethernet frames that tests send: right by default,
// wrong where the test says so. Checksums stay zero, because nothing that decides
// a frame looks at them. The package must not know what becomes of a frame.
package frame

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// EtherTypes.
const (
	KindIPv4 = 0x0800
	KindARP  = 0x0806
	KindRARP = 0x8035
	KindVLAN = 0x8100
	KindIPv6 = 0x86dd
)

// Broadcast is the Ethernet broadcast address.
var Broadcast = gabion.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Multicast is the Ethernet address of an IPv6 multicast group.
func Multicast(group netip.Addr) gabion.MAC {
	b := group.As16()
	return gabion.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// SolicitedNode is the group that whoever has the address is in (RFC 4291, section 2.7.1).
func SolicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// Ethernet is a frame.
type Ethernet struct {
	Destination, Source gabion.MAC
	Kind                uint16 // EtherType, or a length
	Payload             []byte
}

// Bytes is the frame as it stands on the wire.
func (e Ethernet) Bytes() []byte {
	b := append(append([]byte{}, e.Destination[:]...), e.Source[:]...)
	return append(binary.BigEndian.AppendUint16(b, e.Kind), e.Payload...)
}

// ARP is an ARP or RARP message over Ethernet and IPv4.
type ARP struct {
	Operation            uint16
	SenderMAC, TargetMAC gabion.MAC
	SenderIP, TargetIP   netip.Addr
}

// Operations of ARP and RARP.
const (
	ARPRequest  = 1
	ARPReply    = 2
	RARPRequest = 3
)

// Bytes is the message.
func (a ARP) Bytes() []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, 1, 8, 0, 6, 4}, a.Operation)
	b = append(append(b, a.SenderMAC[:]...), a.SenderIP.AsSlice()...)
	return append(append(b, a.TargetMAC[:]...), a.TargetIP.AsSlice()...)
}

// IPv4 is a packet.
type IPv4 struct {
	Source, Destination netip.Addr
	Protocol            uint8
	ID                  uint16
	Offset              int // bytes, of a fragment
	More                bool
	Options             []byte // of a length that 4 divides
	Payload             []byte
}

// Bytes is the packet.
func (p IPv4) Bytes() []byte {
	header := 20 + len(p.Options)
	b := make([]byte, 20, header+len(p.Payload))
	b[0] = 4<<4 | byte(header/4)
	binary.BigEndian.PutUint16(b[2:], uint16(header+len(p.Payload)))
	binary.BigEndian.PutUint16(b[4:], p.ID)
	place := uint16(p.Offset / 8)
	if p.More {
		place |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], place)
	b[8], b[9] = 64, p.Protocol
	copy(b[12:], p.Source.AsSlice())
	copy(b[16:], p.Destination.AsSlice())
	return append(append(b, p.Options...), p.Payload...)
}

// IPv6 is a packet.
type IPv6 struct {
	Source, Destination netip.Addr
	HopLimit            uint8 // 0 means 64
	Extensions          []Extension
	Protocol            uint8 // of the payload
	Payload             []byte
}

// Bytes is the packet.
func (p IPv6) Bytes() []byte {
	payload, next := p.Payload, p.Protocol
	for k := len(p.Extensions) - 1; k >= 0; k-- {
		payload = append(append([]byte{next}, p.Extensions[k].Body...), payload...)
		next = p.Extensions[k].Kind
	}
	b := make([]byte, 40, 40+len(payload))
	b[0] = 6 << 4
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6], b[7] = next, p.HopLimit
	if p.HopLimit == 0 {
		b[7] = 64
	}
	copy(b[8:], p.Source.AsSlice())
	copy(b[24:], p.Destination.AsSlice())
	return append(b, payload...)
}

// Extension is an extension header.
type Extension struct {
	Kind uint8
	Body []byte // all but its first byte
}

// Kinds of extension headers.
const (
	HopByHop    = 0
	Routing     = 43
	Fragment    = 44
	Destination = 60
)

// Options is a hop-by-hop or destination options header of 8·(1+more) bytes.
func Options(kind uint8, more int) Extension {
	body := make([]byte, 7+8*more)
	body[0] = byte(more)
	body[1], body[2] = 1, byte(4+8*more) // PadN
	return Extension{kind, body}
}

// Route is a routing header of that type.
func Route(kind uint8) Extension { return Extension{Routing, []byte{0, kind, 0, 0, 0, 0, 0}} }

// Piece is a fragment header.
func Piece(id uint32, offset int, more bool) Extension {
	place := uint16(offset) &^ 7
	if more {
		place |= 1
	}
	return Extension{Fragment, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte{0}, place), id)}
}
