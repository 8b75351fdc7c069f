package datapath

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// machine is one end of a conversation.
type machine struct {
	mac      [6]byte
	ip4, ip6 netip.Addr
}

// Who speaks in the tests.
var (
	guest = machine{ // behind the NIC
		mac: [6]byte{0x52, 0x54, 0, 0, 0, 1},
		ip4: netip.MustParseAddr("10.0.0.1"), ip6: netip.MustParseAddr("2001:db8::1"),
	}
	peer = machine{ // a member of the peer group
		mac: [6]byte{0x52, 0x54, 0, 0, 0, 2},
		ip4: netip.MustParseAddr("10.0.0.2"), ip6: netip.MustParseAddr("2001:db8::2"),
	}
	visitor = machine{ // in the network that rules name
		mac: [6]byte{0x52, 0x54, 0, 0, 0, 3},
		ip4: netip.MustParseAddr("198.51.100.9"), ip6: netip.MustParseAddr("2001:db8:a::9"),
	}
	stranger = machine{ // nobody's peer
		mac: [6]byte{0x52, 0x54, 0, 0, 0, 4},
		ip4: netip.MustParseAddr("192.0.2.66"), ip6: netip.MustParseAddr("2001:db8:bad::66"),
	}
	everybody = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// linkLocal is the machine with its EUI-64 address for IPv6.
func (m machine) linkLocal() machine {
	m.ip6 = netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m.mac[0] ^ 2, m.mac[1], m.mac[2], 0xff, 0xfe, m.mac[3], m.mac[4], m.mac[5]})
	return m
}

// at is the machine with another address.
func (m machine) at(address string) machine {
	a := netip.MustParseAddr(address)
	if a.Is4() {
		m.ip4 = a
	} else {
		m.ip6 = a
	}
	return m
}

// behind is the machine with another MAC.
func (m machine) behind(mac [6]byte) machine {
	m.mac = mac
	return m
}

// EtherTypes and protocols.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeRARP = 0x8035
	typeIPv6 = 0x86dd

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoGRE    = 47
	protoICMPv6 = 58

	hopByHop    = 0
	routing     = 43
	fragmented  = 44
	destination = 60
)

func ethernet(from, to [6]byte, kind uint16, payload []byte) []byte {
	frame := slices.Concat(to[:], from[:], binary.BigEndian.AppendUint16(nil, kind))
	return append(frame, payload...)
}

// ip4 is a frame with an IPv4 packet; edits change the packet from its header on.
func ip4(from, to machine, protocol uint8, payload []byte, edits ...edit) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	packet := slices.Concat(h, from.ip4.AsSlice(), to.ip4.AsSlice(), payload)
	return ethernet(from.mac, to.mac, typeIPv4, change(packet, edits))
}

// ip6 is a frame with an IPv6 packet.
func ip6(from, to machine, next uint8, payload []byte, edits ...edit) []byte {
	h := []byte{0x60, 0, 0, 0, 0, 0, next, 64}
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	packet := slices.Concat(h, from.ip6.AsSlice(), to.ip6.AsSlice(), payload)
	return ethernet(from.mac, to.mac, typeIPv6, change(packet, edits))
}

// edit changes bytes of a packet.
type edit func([]byte) []byte

func change(b []byte, edits []edit) []byte {
	for _, e := range edits {
		b = e(b)
	}
	return b
}

// bytesAt overwrites bytes from an offset.
func bytesAt(offset int, with ...byte) edit {
	return func(b []byte) []byte {
		copy(b[offset:], with)
		return b
	}
}

// numberAt overwrites a number in wire order.
func numberAt(offset int, v uint16) edit { return bytesAt(offset, byte(v>>8), byte(v)) }

// cut keeps the first n bytes.
func cut(n int) edit { return func(b []byte) []byte { return b[:n] } }

// padded appends bytes that are no part of the packet.
func padded(n int) edit { return func(b []byte) []byte { return append(b, make([]byte, n)...) } }

// fragment4 makes an IPv4 packet a fragment.
func fragment4(id uint16, offset int, more bool) edit {
	return func(b []byte) []byte {
		return numberAt(6, uint16(offset/8)|flag(more, 0x2000))(numberAt(4, id)(b))
	}
}

// hops sets an IPv6 packet's hop limit.
func hops(n byte) edit { return bytesAt(7, n) }

func flag(on bool, bit uint16) uint16 {
	if on {
		return bit
	}
	return 0
}

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	push
	ack
	_
	ece
	cwr
)

// segment is a TCP header and payload.
type segment struct {
	sport, dport uint16
	flags        uint8
	seq, ack     uint32
	payload      int
}

func (s segment) bytes() []byte {
	b := make([]byte, 20+s.payload)
	binary.BigEndian.PutUint16(b, s.sport)
	binary.BigEndian.PutUint16(b[2:], s.dport)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12], b[13] = 5<<4, s.flags
	return b
}

func tcp(sport, dport uint16, flags uint8) []byte {
	return segment{sport: sport, dport: dport, flags: flags}.bytes()
}

func udp(sport, dport uint16, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return slices.Concat(b, []byte{0, 0}, payload)
}

func icmp(kind, code uint8, id uint16, payload ...byte) []byte {
	return slices.Concat([]byte{kind, code, 0, 0, byte(id >> 8), byte(id), 0, 1}, payload)
}

// arp is a frame; from's MAC is the Ethernet source, too.
func arp(operation uint16, from, target machine, to [6]byte, edits ...edit) []byte {
	h := []byte{0, 1, 8, 0, 6, 4, 0, byte(operation)}
	packet := slices.Concat(h, from.mac[:], from.ip4.AsSlice(), target.mac[:], target.ip4.AsSlice())
	return ethernet(from.mac, to, typeARP, change(packet, edits))
}

// extension is an IPv6 extension header of 8 bytes and more.
func extension(next uint8, more int, payload []byte) []byte {
	return slices.Concat([]byte{next, byte(more), 5, 0, 0, 0, 0, 0}, make([]byte, more*8), payload)
}

// fragment6 is an IPv6 fragment header with what follows it.
func fragment6(next uint8, id uint32, offset int, more bool, payload []byte) []byte {
	b := []byte{next, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(offset)|flag(more, 1))
	b = binary.BigEndian.AppendUint32(b, id)
	return append(b, payload...)
}

// neighbor is a solicitation (135) or advertisement (136), with options.
func neighbor(kind uint8, target netip.Addr, options ...[]byte) []byte {
	return slices.Concat([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice(), slices.Concat(options...))
}

// linkLayer is an option of neighbour discovery.
func linkLayer(kind uint8, mac [6]byte) []byte { return append([]byte{kind, 1}, mac[:]...) }

// bootp is a DHCP message as far as the client's MAC, and a little further.
func bootp(operation uint8, client [6]byte) []byte {
	b := make([]byte, 44)
	b[0], b[1], b[2] = operation, 1, 6
	copy(b[28:], client[:])
	return b
}
