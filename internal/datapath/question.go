package datapath

import (
	"encoding/binary"
	"net/netip"

	"github.com/gabion/gabion"
)

// Question asks whether the first packet of a connection would pass at an
// instance's interface.
type Question struct {
	Instance  string
	Direction gabion.Direction
	Local     netip.Addr // the instance's
	Remote    netip.Addr
	Protocol  gabion.Protocol
	Port      uint16 // TCP and UDP: of the receiver
	Type      uint8  // ICMP and ICMPv6
	Code      uint8
}

// openerPort is where a question's TCP and UDP come from: nobody's well-known port.
const openerPort = 49152

const (
	etherHeader = 14
	ipv4Header  = 20
	ipv6Header  = 40
	tcpHeader   = 20
	udpHeader   = 8
	synOnly     = 0x02
	hopLimit    = 64
)

// elsewhere is the MAC of whoever is at the other end.
var elsewhere = gabion.MAC{2, 0, 0, 0, 0, 0xfe}

// frame is the first packet of the connection, as the NIC's interface sees it.
// Checksums are left out: the programs, after offloads, don't look at them.
func (q *Question) frame(nic gabion.MAC) []byte {
	from, to, source, destination := elsewhere, nic, q.Remote, q.Local
	if q.Direction == gabion.Egress {
		from, to, source, destination = nic, elsewhere, q.Local, q.Remote
	}
	payload := q.payload()
	frame := append(append(make([]byte, 0, 128), to[:]...), from[:]...)
	if source.Is4() {
		frame = append(frame, 0x08, 0x00, 0x45, 0)
		frame = binary.BigEndian.AppendUint16(frame, uint16(ipv4Header+len(payload)))
		frame = append(frame, 0, 0, 0, 0, hopLimit, byte(q.Protocol), 0, 0)
	} else {
		frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
		frame = append(frame, byte(q.Protocol), hopLimit)
	}
	frame = append(append(frame, source.AsSlice()...), destination.AsSlice()...)
	return append(frame, payload...)
}

// payload is the upper layer of the first packet.
func (q *Question) payload() []byte {
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, openerPort), q.Port)
	switch {
	case q.Protocol == gabion.TCP:
		segment := append(ports, make([]byte, tcpHeader-len(ports))...)
		segment[12], segment[13] = tcpHeader/4<<4, synOnly
		return segment
	case q.Protocol == gabion.UDP:
		return append(ports, 0, udpHeader, 0, 0)
	case q.Protocol.IsICMP():
		return append([]byte{q.Type, q.Code}, make([]byte, 38)...)
	}
	return make([]byte, 24) // nobody looks into it
}
