package e2e_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion/internal/lab"
)

// talker speaks TCP from a tap, segment by segment.
type talker struct {
	tap      *lab.Tap
	peer     *lab.Guest
	from, to netip.Addr
	port     uint16
	next     uint32 // sequence number of what is sent next
	heard    uint32 // sequence number of what is heard next
}

func newTalker(tap *lab.Tap, peer *lab.Guest, ipv6 bool, port uint16) *talker {
	k := &talker{tap: tap, peer: peer, from: tap.Addr4, to: peer.Addr4, port: port, next: 1000}
	if ipv6 {
		k.from, k.to = tap.Addr6, peer.Addr6
	}
	return k
}

// open shakes hands, and tells whether the peer did.
func (k *talker) open(t *testing.T) bool {
	t.Helper()
	k.introduce(t)
	k.send(t, &layers.TCP{SYN: true}, nil)
	answer := k.await(t, func(s *layers.TCP) bool { return s.SYN && s.ACK })
	if answer == nil {
		return false
	}
	k.next++
	k.heard = answer.Seq + 1
	k.send(t, &layers.TCP{ACK: true}, nil)
	return true
}

// acknowledges tells whether the peer gets all of size bytes that are sent in one
// piece, for the kernel to cut.
func (k *talker) acknowledges(t *testing.T, size, segment int) bool {
	t.Helper()
	frame := k.frame(t, &layers.TCP{ACK: true, PSH: true}, make([]byte, size))
	k.putPseudoSum(frame)
	if err := k.tap.SendSegments(frame, segment); err != nil {
		t.Fatal(err)
	}
	end := k.next + uint32(size)
	return k.await(t, func(s *layers.TCP) bool { return s.ACK && s.Ack == end }) != nil
}

func (k *talker) send(t *testing.T, segment *layers.TCP, payload []byte) {
	t.Helper()
	if err := k.tap.Send(k.frame(t, segment, payload)); err != nil {
		t.Fatal(err)
	}
}

// introduce tells the peer where the talker's address is, and the talker's
// bridge, too: it says so before it is asked.
func (k *talker) introduce(t *testing.T) {
	t.Helper()
	frame := solicit(k.tap, k.to)
	if k.from.Is4() {
		frame = ask(k.tap, k.to)
	}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, frame...); err != nil {
		t.Fatal(err)
	}
	if err := k.tap.Send(buffer.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func ask(tap *lab.Tap, target netip.Addr) []gopacket.SerializableLayer {
	broadcast := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	return []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: tap.MAC[:], DstMAC: broadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
			HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: tap.MAC[:], SourceProtAddress: tap.Addr4.AsSlice(),
			DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
		},
	}
}

func solicit(tap *lab.Tap, target netip.Addr) []gopacket.SerializableLayer {
	a := target.As16()
	group := netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: tap.Addr6.AsSlice(), DstIP: group.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)}
	_ = icmp.SetNetworkLayerForChecksum(ip) // fails for what is not IPv6
	return []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: tap.MAC[:], DstMAC: []byte{0x33, 0x33, 0xff, a[13], a[14], a[15]}, EthernetType: layers.EthernetTypeIPv6},
		ip, icmp,
		&layers.ICMPv6NeighborSolicitation{
			TargetAddress: target.AsSlice(),
			Options:       layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: tap.MAC[:]}},
		},
	}
}

// frame is a segment at the talker's place in the conversation.
func (k *talker) frame(t *testing.T, segment *layers.TCP, payload []byte) []byte {
	t.Helper()
	segment.SrcPort, segment.DstPort = layers.TCPPort(k.port), webPort
	segment.Seq, segment.Ack, segment.Window = k.next, k.heard, 65535
	ethernet := &layers.Ethernet{SrcMAC: k.tap.MAC[:], DstMAC: k.peer.MAC[:], EthernetType: layers.EthernetTypeIPv4}
	var ip interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: k.from.AsSlice(), DstIP: k.to.AsSlice()}
	if k.from.Is6() {
		ethernet.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: k.from.AsSlice(), DstIP: k.to.AsSlice()}
	}
	if err := segment.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, ethernet, ip, segment, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// putPseudoSum leaves the checksum to the kernel: the field holds the sum of the
// pseudo-header alone.
func (k *talker) putPseudoSum(frame []byte) {
	transport := 14 + 20
	if k.from.Is6() {
		transport = 14 + 40
	}
	sum := uint32(layers.IPProtocolTCP) + uint32(len(frame)-transport)
	addresses := append(k.from.AsSlice(), k.to.AsSlice()...)
	for i := 0; i < len(addresses); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(addresses[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(frame[transport+16:], uint16(sum))
}

// await returns the first segment of the conversation that matches, nil if none
// comes.
func (k *talker) await(t *testing.T, match func(*layers.TCP) bool) *layers.TCP {
	t.Helper()
	deadline := time.Now().Add(silence)
	for {
		frame, err := k.tap.Next(deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		if s, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok && s.DstPort == layers.TCPPort(k.port) && match(s) {
			return s
		}
	}
}
