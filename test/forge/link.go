package forge

import (
	"encoding/binary"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// Forgeries of the link layer.
var (
	// ARPReply claims the gateway's address for the sender.
	ARPReply = Forgery{"an ARP reply that claims the gateway's address", func(from, _ *lab.Endpoint) ([]byte, error) {
		return arp(from.MAC, from.MAC, gateway4, gateway4, layers.ARPReply)
	}}

	// ARPSender has another Ethernet address inside than outside.
	ARPSender = Forgery{"an ARP request with another sender inside", func(from, victim *lab.Endpoint) ([]byte, error) {
		return arp(from.MAC, nobodyMAC, from.Addr4, victim.Addr4, layers.ARPRequest)
	}}

	// MAC is honest but for its Ethernet source.
	MAC = Forgery{"a frame from another Ethernet address", func(from, victim *lab.Endpoint) ([]byte, error) {
		return datagram4(ethernet(nobodyMAC, victim.MAC[:], layers.EthernetTypeIPv4), from.Addr4, victim.Addr4, 4321)
	}}

	// VLANTag is honest behind a VLAN tag.
	VLANTag = Forgery{"a frame with a VLAN tag", func(from, victim *lab.Endpoint) ([]byte, error) {
		return tagged(from, victim, 7)
	}}

	// PriorityTag is honest behind the tag of VLAN 0, which hosts look through.
	PriorityTag = Forgery{"a frame with a priority tag", func(from, victim *lab.Endpoint) ([]byte, error) {
		return tagged(from, victim, 0)
	}}

	// DoubleTag is honest behind two VLAN tags.
	DoubleTag = Forgery{"a frame with two VLAN tags", func(from, victim *lab.Endpoint) ([]byte, error) {
		inner, err := tagged(from, victim, 7)
		if err != nil {
			return nil, err
		}
		outer := append([]byte{}, inner[:12]...)
		outer = binary.BigEndian.AppendUint16(outer, uint16(layers.EthernetTypeQinQ))
		outer = binary.BigEndian.AppendUint16(outer, 9)
		return append(outer, inner[12:]...), nil
	}}

	// LLC is an 802.3 frame: a bridge's spanning tree, from a guest.
	LLC = Forgery{"an 802.3 frame", func(from, victim *lab.Endpoint) ([]byte, error) {
		body := append([]byte{0x42, 0x42, 0x03}, payload...)
		frame := append(append([]byte{}, victim.MAC[:]...), from.MAC[:]...)
		return append(binary.BigEndian.AppendUint16(frame, uint16(len(body))), body...), nil
	}}

	// OtherEtherType is of no protocol that Gabion knows.
	OtherEtherType = Forgery{"a frame of an unknown EtherType", func(from, victim *lab.Endpoint) ([]byte, error) {
		return serialize(ethernet(from.MAC, victim.MAC[:], 0x88b5), payload)
	}}

	// UnknownUnicast goes to an address that no bridge has learned.
	UnknownUnicast = Forgery{"a frame for an address that nobody has", func(from, victim *lab.Endpoint) ([]byte, error) {
		return datagram4(ethernet(from.MAC, unlearned[:], layers.EthernetTypeIPv4), from.Addr4, victim.Addr4, 4321)
	}}
)

// Link are all of the link layer.
var Link = []Forgery{ARPReply, ARPSender, MAC, VLANTag, PriorityTag, DoubleTag, LLC, OtherEtherType, UnknownUnicast}

// arp is a broadcast ARP frame.
func arp(source, sender gabion.MAC, senderIP, target netip.Addr, operation uint16) ([]byte, error) {
	return serialize(
		ethernet(source, broadcast, layers.EthernetTypeARP),
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
			HwAddressSize: 6, ProtAddressSize: 4, Operation: operation,
			SourceHwAddress: sender[:], SourceProtAddress: senderIP.AsSlice(),
			DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
		},
	)
}

func tagged(from, victim *lab.Endpoint, vlan uint16) ([]byte, error) {
	tag := &layers.Dot1Q{VLANIdentifier: vlan, Type: layers.EthernetTypeIPv4}
	ip, udp := udp4(from.Addr4, victim.Addr4, sourcePort, 4321)
	return serialize(ethernet(from.MAC, victim.MAC[:], layers.EthernetTypeDot1Q), tag, ip, udp, payload)
}

// datagram4 is an IPv4 datagram to a port.
func datagram4(e *layers.Ethernet, from, to netip.Addr, port layers.UDPPort) ([]byte, error) {
	ip, udp := udp4(from, to, sourcePort, port)
	return serialize(e, ip, udp, payload)
}

func udp4(from, to netip.Addr, source, destination layers.UDPPort) (*layers.IPv4, *layers.UDP) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	return ip, udp(ip, source, destination)
}

func udp6(from, to netip.Addr, source, destination layers.UDPPort) (*layers.IPv6, *layers.UDP) {
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	return ip, udp(ip, source, destination)
}

func udp(ip gopacket.NetworkLayer, source, destination layers.UDPPort) *layers.UDP {
	u := &layers.UDP{SrcPort: source, DstPort: destination}
	_ = u.SetNetworkLayerForChecksum(ip) // fails for what is neither IPv4 nor IPv6
	return u
}
