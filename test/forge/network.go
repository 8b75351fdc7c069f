package forge

import (
	"encoding/binary"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// Forgeries above the link layer. Ethernet addresses are honest.
var (
	// IPv4Source has an address that the sender does not own.
	IPv4Source = Forgery{"an IPv4 packet from another address", func(from, victim *lab.Endpoint) ([]byte, error) {
		return datagram4(ethernet(from.MAC, victim.MAC[:], layers.EthernetTypeIPv4), nobody4, victim.Addr4, 4321)
	}}

	// IPv6Source has an address that the sender does not own.
	IPv6Source = Forgery{"an IPv6 packet from another address", func(from, victim *lab.Endpoint) ([]byte, error) {
		ip, udp := udp6(nobody6, victim.Addr6, sourcePort, 4321)
		return serialize(ethernet(from.MAC, victim.MAC[:], layers.EthernetTypeIPv6), ip, udp, payload)
	}}

	// Broadcast goes to everybody.
	Broadcast = Forgery{"a broadcast", func(from, _ *lab.Endpoint) ([]byte, error) {
		return datagram4(ethernet(from.MAC, broadcast, layers.EthernetTypeIPv4), from.Addr4, netip.MustParseAddr("10.77.0.255"), 4321)
	}}

	// Multicast goes to a group.
	Multicast = Forgery{"a multicast", func(from, _ *lab.Endpoint) ([]byte, error) {
		mdns := []byte{0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb}
		return datagram4(ethernet(from.MAC, mdns, layers.EthernetTypeIPv4), from.Addr4, netip.MustParseAddr("224.0.0.251"), 5353)
	}}

	// DHCPOffer offers the victim its own address with the sender as its router.
	DHCPOffer = Forgery{"a DHCP offer", offer}

	// DHCPv6Reply answers what nobody asked the sender.
	DHCPv6Reply = Forgery{"a DHCPv6 reply", func(from, victim *lab.Endpoint) ([]byte, error) {
		ip, udp := udp6(from.MAC.LinkLocal(), victim.MAC.LinkLocal(), 547, 546)
		return serialize(ethernet(from.MAC, victim.MAC[:], layers.EthernetTypeIPv6), ip, udp, payload)
	}}

	// RouterAdvertisement makes the sender the victim's router.
	RouterAdvertisement = Forgery{"a router advertisement", func(from, victim *lab.Endpoint) ([]byte, error) {
		return icmp6(from.MAC, victim.MAC[:], from.MAC.LinkLocal(), allNodes, layers.ICMPv6TypeRouterAdvertisement,
			&layers.ICMPv6RouterAdvertisement{HopLimit: 64, RouterLifetime: 1800, Options: linkLayer(layers.ICMPv6OptSourceAddress, from.MAC)})
	}}

	// NeighborAdvertisement claims the gateway's address for the sender.
	NeighborAdvertisement = Forgery{"a neighbour advertisement for the gateway's address", func(from, victim *lab.Endpoint) ([]byte, error) {
		return icmp6(from.MAC, victim.MAC[:], from.Addr6, victim.Addr6, layers.ICMPv6TypeNeighborAdvertisement,
			&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: gateway6.AsSlice(), Options: linkLayer(layers.ICMPv6OptTargetAddress, from.MAC)})
	}}

	// NeighborSolicitation says that the sender's address is at another Ethernet address.
	NeighborSolicitation = Forgery{"a neighbour solicitation with another link-layer address", func(from, victim *lab.Endpoint) ([]byte, error) {
		return icmp6(from.MAC, victim.MAC[:], from.Addr6, victim.Addr6, layers.ICMPv6TypeNeighborSolicitation,
			&layers.ICMPv6NeighborSolicitation{TargetAddress: victim.Addr6.AsSlice(), Options: linkLayer(layers.ICMPv6OptSourceAddress, nobodyMAC)})
	}}

	// Redirect sends what the victim has for the gateway to the sender.
	Redirect = Forgery{"an ICMPv6 redirect", func(from, victim *lab.Endpoint) ([]byte, error) {
		return icmp6(from.MAC, victim.MAC[:], from.MAC.LinkLocal(), victim.Addr6, layers.ICMPv6TypeRedirect,
			&layers.ICMPv6Redirect{TargetAddress: from.MAC.LinkLocal().AsSlice(), DestinationAddress: gateway6.AsSlice()})
	}}
)

// Network are all above the link layer.
var Network = []Forgery{
	IPv4Source, IPv6Source, Broadcast, Multicast, DHCPOffer, DHCPv6Reply,
	RouterAdvertisement, NeighborAdvertisement, NeighborSolicitation, Redirect,
}

func offer(from, victim *lab.Endpoint) ([]byte, error) {
	ip, udp := udp4(from.Addr4, netip.MustParseAddr("255.255.255.255"), 67, 68)
	return serialize(
		ethernet(from.MAC, broadcast, layers.EthernetTypeIPv4), ip, udp,
		&layers.DHCPv4{
			Operation: layers.DHCPOpReply, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6,
			Xid:          binary.BigEndian.Uint32(victim.MAC[2:]),
			YourClientIP: victim.Addr4.AsSlice(), NextServerIP: from.Addr4.AsSlice(), ClientHWAddr: victim.MAC[:],
			Options: layers.DHCPOptions{
				layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeOffer)}),
				layers.NewDHCPOption(layers.DHCPOptServerID, from.Addr4.AsSlice()),
				layers.NewDHCPOption(layers.DHCPOptRouter, from.Addr4.AsSlice()),
			},
		},
	)
}

// icmp6 is a message of neighbour discovery.
func icmp6(source gabion.MAC, destination []byte, from, to netip.Addr, t uint8, body gopacket.SerializableLayer) ([]byte, error) {
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	header := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(t, 0)}
	if err := header.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	return serialize(ethernet(source, destination, layers.EthernetTypeIPv6), ip, header, body)
}

func linkLayer(kind layers.ICMPv6Opt, mac gabion.MAC) layers.ICMPv6Options {
	return layers.ICMPv6Options{{Type: kind, Data: mac[:]}}
}
