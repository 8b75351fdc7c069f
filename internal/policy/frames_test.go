package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// frameCase is one frame that meets a fresh NIC.
type frameCase struct {
	name  string
	frame []byte
	want  gabion.Reason
}

// run gives every frame a fresh NIC with rules that would admit it.
func run(t *testing.T, send func(*bench, string, []byte, gabion.Reason), cases []frameCase) {
	t.Helper()
	for _, c := range cases {
		b := newBench(t, ssh, ssh6, dns, dns6, ping, ping6, gre)
		send(b, c.name, c.frame, c.want)
	}
}

func ethernet(kind uint16, payload []byte) []byte {
	return frame.Ethernet{Destination: remoteMAC, Source: nicMAC, Kind: kind, Payload: payload}.Bytes()
}

func TestEveryFrame(t *testing.T) {
	b := newBench(t, ssh)
	b.in("an interface that nobody knows", nil, gabion.DropMalformed)
	unknown := b.evaluator.ToInstance(0, "tap9", policy.Frame{Data: tcp(in4, syn)})
	b.expect("in", "an interface that nobody knows", unknown, gabion.DropNoPolicy)
	tagged := b.evaluator.ToInstance(0, tap, policy.Frame{Data: tcp(in4, syn), VLAN: true})
	b.expect("in", "a tag in the metadata", tagged, gabion.DropVLAN)
	b.in("the same without", tcp(in4, syn), gabion.PassRule)

	run(t, (*bench).out, []frameCase{
		{"IPv4", tcp(out4, syn), gabion.PassEgressOpen},
		{"13 bytes", tcp(out4, syn)[:13], gabion.DropMalformed},
		{"802.1Q", ethernet(0x8100, tcp(out4, syn)[12:]), gabion.DropVLAN},
		{"802.1ad", ethernet(0x88a8, nil), gabion.DropVLAN},
		{"old QinQ", ethernet(0x9100, nil), gabion.DropVLAN},
		{"802.3", ethernet(46, make([]byte, 46)), gabion.DropEtherType},
		{"MPLS", ethernet(0x8847, make([]byte, 46)), gabion.DropEtherType},
		{"another's MAC", sentBy(remoteMAC, tcp(out4, syn)), gabion.DropMACSpoof},
		{"another's MAC, and malformed", sentBy(remoteMAC, cut(tcp(out4, syn), 10)), gabion.DropMACSpoof},
	})
}

func TestIPv4Form(t *testing.T) {
	options := func(b ...byte) []byte { return out4(frame.IPv4{Protocol: 6, Options: b, Payload: syn.Bytes()}) }
	padded := append(tcp(out4, syn), make([]byte, 6)...)
	run(t, (*bench).out, []frameCase{
		{"with padding", padded, gabion.PassEgressOpen},
		{"19 bytes", cut(tcp(out4, syn), 19), gabion.DropMalformed},
		{"version 5", patch(tcp(out4, syn), 0, 0x55), gabion.DropMalformed},
		{"IHL 4", patch(tcp(out4, syn), 0, 0x44), gabion.DropMalformed},
		{"total length below the header", patch(tcp(out4, syn), 2, 0, 19), gabion.DropMalformed},
		{"total length beyond the frame", patch(tcp(out4, syn), 2, 0, 41), gabion.DropMalformed},
		{"total length into the padding", patch(padded, 2, 0, 46), gabion.PassEgressOpen},
		{"total length cuts TCP", patch(tcp(out4, syn), 2, 0, 39), gabion.DropMalformed},
		{"no-operation", options(1, 1, 1, 1), gabion.PassEgressOpen},
		{"end of list before what is no option", options(0, 131, 1, 1), gabion.PassEgressOpen},
		{"timestamp", options(68, 4, 5, 0), gabion.PassEgressOpen},
		{"option of length 1", options(68, 1, 0, 0), gabion.DropMalformed},
		{"option past the header", options(68, 5, 5, 0), gabion.DropMalformed},
		{"option without length", options(1, 1, 1, 68), gabion.DropMalformed},
		{"loose source route", options(131, 3, 4, 0), gabion.DropSourceRoute},
		{"strict source route behind another", options(1, 137, 3, 4), gabion.DropSourceRoute},
		{"record route", options(7, 3, 4, 0), gabion.PassEgressOpen},
	})
}

func TestUpperLayerForm(t *testing.T) {
	echo := icmp(out4, frame.ICMP{Type: frame.Echo})
	run(t, (*bench).out, []frameCase{
		{"TCP", tcp(out4, syn), gabion.PassEgressOpen},
		{"TCP data offset 4", patch(tcp(out4, syn), 32, 0x40), gabion.DropMalformed},
		{"TCP data offset beyond the packet", patch(tcp(out4, syn), 32, 0x60), gabion.DropMalformed},
		{"UDP", udp(out4, 1, 53), gabion.PassEgressOpen},
		{"UDP of 7 bytes", out4(frame.IPv4{Protocol: 17, Payload: make([]byte, 7)}), gabion.DropMalformed},
		{"UDP length 7", patch(udp(out4, 1, 53), 24, 0, 7), gabion.DropMalformed},
		{"UDP length below what is there", patch(udp(out4, 1, 53), 24, 0, 8), gabion.PassEgressOpen},
		{"UDP length beyond the packet", patch(udp(out4, 1, 53), 24, 0, 17), gabion.DropMalformed},
		{"ICMP", echo, gabion.PassEgressOpen},
		{"ICMP of 7 bytes", out4(frame.IPv4{Protocol: 1, Payload: make([]byte, 7)}), gabion.DropMalformed},
		{"ICMPv6 of 7 bytes", out6(frame.IPv6{Protocol: 58, Payload: make([]byte, 7)}), gabion.DropMalformed},
		{"ICMPv6 over IPv4 has no form", out4(frame.IPv4{Protocol: 58, Payload: make([]byte, 7)}), gabion.PassEgressOpen},
		{"GRE of nothing", out4(frame.IPv4{Protocol: 47}), gabion.PassEgressOpen},
	})
}

func TestIPv6Form(t *testing.T) {
	chain := func(e ...frame.Extension) []byte {
		return out6(frame.IPv6{Extensions: e, Protocol: 6, Payload: syn.Bytes()})
	}
	many := func(n int) []byte {
		return chain(append([]frame.Extension{frame.Options(frame.HopByHop, 0)}, repeat(frame.Options(frame.Destination, 0), n-1)...)...)
	}
	run(t, (*bench).out, []frameCase{
		{"IPv6", tcp6(out6, syn), gabion.PassEgressOpen},
		{"39 bytes", cut(tcp6(out6, syn), 39), gabion.DropMalformed},
		{"version 4", patch(tcp6(out6, syn), 0, 0x40), gabion.DropMalformed},
		{"payload length beyond the frame", patch(tcp6(out6, syn), 4, 0, 21), gabion.DropMalformed},
		{"mapped source", out6(frame.IPv6{Source: netip.MustParseAddr("::ffff:10.0.0.5"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropMapped},
		{"mapped destination", out6(frame.IPv6{Destination: netip.MustParseAddr("::ffff:10.0.0.9"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropMapped},
		{"eight extension headers", many(8), gabion.PassEgressOpen},
		{"nine extension headers", many(9), gabion.DropExtHeaders},
		{"hop-by-hop first", chain(frame.Options(frame.HopByHop, 1), frame.Options(frame.Destination, 0)), gabion.PassEgressOpen},
		{"hop-by-hop second", chain(frame.Options(frame.Destination, 0), frame.Options(frame.HopByHop, 0)), gabion.DropMalformed},
		{"routing header of type 2", chain(frame.Route(2)), gabion.PassEgressOpen},
		{"routing header of type 0", chain(frame.Route(0)), gabion.DropSourceRoute},
		{"header past the end", patch(chain(frame.Options(frame.Destination, 0)), 41, 9), gabion.DropMalformed},
		{"header of one byte", out6(frame.IPv6{Protocol: frame.Destination, Payload: []byte{6}}), gabion.DropMalformed},
		{"header past the end of a first fragment", patch(chain(frame.Piece(1, 0, true), frame.Options(frame.Destination, 0)), 49, 9), gabion.DropFragmentInvalid},
		{"two fragment headers", chain(frame.Piece(1, 0, false), frame.Piece(1, 0, false)), gabion.DropFragmentInvalid},
		{"atomic fragment", chain(frame.Piece(1, 0, false)), gabion.PassEgressOpen},
		{"AH is an upper layer", out6(frame.IPv6{Protocol: 51, Payload: []byte{6}}), gabion.PassEgressOpen},
	})
}

func repeat[T any](v T, n int) []T {
	all := make([]T, n)
	for k := range all {
		all[k] = v
	}
	return all
}

func arp(operation uint16, sender gabion.MAC, senderIP, targetIP netip.Addr) []byte {
	return frame.ARP{Operation: operation, SenderMAC: sender, SenderIP: senderIP, TargetIP: targetIP}.Bytes()
}

func TestARPFromInstance(t *testing.T) {
	zero := netip.IPv4Unspecified()
	send := func(payload []byte) []byte { return addressed(frame.Broadcast, ethernet(frame.KindARP, payload)) }
	valid := send(arp(frame.ARPRequest, nicMAC, nic4, remote4))
	rarp := func(operation uint16, sender, target gabion.MAC) []byte {
		return ethernet(frame.KindRARP, frame.ARP{
			Operation: operation, SenderMAC: sender, TargetMAC: target, SenderIP: zero, TargetIP: zero,
		}.Bytes())
	}
	run(t, (*bench).out, []frameCase{
		{"request", valid, gabion.PassARP},
		{"27 bytes", cut(valid, 27), gabion.DropARPInvalid},
		{"of another hardware", patch(valid, 1, 6), gabion.DropARPInvalid},
		{"of another protocol", patch(valid, 2, 0x86), gabion.DropARPInvalid},
		{"with other lengths", patch(valid, 4, 8), gabion.DropARPInvalid},
		{"operation 3", send(arp(3, nicMAC, nic4, remote4)), gabion.DropARPInvalid},
		{"another's sender MAC", send(arp(frame.ARPRequest, remoteMAC, nic4, remote4)), gabion.DropARPSpoof},
		{"another's sender IP", send(arp(frame.ARPRequest, nicMAC, remote4, remote4)), gabion.DropARPSpoof},
		{"probe", send(arp(frame.ARPRequest, nicMAC, zero, nic4)), gabion.PassARP},
		{"reply from 0.0.0.0", send(arp(frame.ARPReply, nicMAC, zero, nic4)), gabion.DropARPSpoof},
		{"announcement", send(arp(frame.ARPReply, nicMAC, nic4, nic4)), gabion.PassARP},
		{"to one", ethernet(frame.KindARP, arp(frame.ARPReply, nicMAC, nic4, remote4)), gabion.PassARP},
		{"to a multicast address", addressed(frame.Multicast(allNodes), valid), gabion.DropMulticast},
		{"RARP", rarp(frame.RARPRequest, nicMAC, nicMAC), gabion.PassARP},
		{"RARP reply", rarp(4, nicMAC, nicMAC), gabion.DropARPInvalid},
		{"RARP of another sender", rarp(frame.RARPRequest, remoteMAC, nicMAC), gabion.DropARPSpoof},
		{"RARP for another", rarp(frame.RARPRequest, nicMAC, remoteMAC), gabion.DropARPSpoof},
	})
	run(t, (*bench).in, []frameCase{{"RARP", addressed(nicMAC, rarp(frame.RARPRequest, remoteMAC, remoteMAC)), gabion.DropEtherType}})

	b := newBench(t)
	for range 11 { // a burst of 10, and the one that is due now
		b.out("RARP within the burst", rarp(frame.RARPRequest, nicMAC, nicMAC), gabion.PassARP)
	}
	b.out("RARP behind the burst", rarp(frame.RARPRequest, nicMAC, nicMAC), gabion.DropRARPRate)
	b.wait(time.Second)
	b.out("one a second", rarp(frame.RARPRequest, nicMAC, nicMAC), gabion.PassARP)
	b.out("and no more", rarp(frame.RARPRequest, nicMAC, nicMAC), gabion.DropRARPRate)
}

func TestARPToInstance(t *testing.T) {
	send := func(to gabion.MAC, payload []byte) []byte {
		return frame.Ethernet{Destination: to, Source: remoteMAC, Kind: frame.KindARP, Payload: payload}.Bytes()
	}
	valid := send(frame.Broadcast, arp(frame.ARPRequest, remoteMAC, remote4, nic4))
	run(t, (*bench).in, []frameCase{
		{"request for an owned address", valid, gabion.PassARP},
		{"cut", cut(valid, 27), gabion.DropARPInvalid},
		{"operation 3", patch(valid, 6, 0, 3), gabion.DropARPInvalid},
		{"request for a neighbour's", send(frame.Broadcast, arp(frame.ARPRequest, remoteMAC, remote4, other4)), gabion.DropNotForNIC},
		{"reply to all", send(frame.Broadcast, arp(frame.ARPReply, remoteMAC, remote4, nic4)), gabion.DropNotForNIC},
		{"announcement", send(frame.Broadcast, arp(frame.ARPReply, remoteMAC, remote4, remote4)), gabion.PassARP},
		{"announcement of an owned address", send(frame.Broadcast, arp(frame.ARPReply, remoteMAC, nic4, nic4)), gabion.DropNotForNIC},
		{"reply to the NIC", send(nicMAC, arp(frame.ARPReply, remoteMAC, remote4, nic4)), gabion.PassARP},
		{"reply to another", send(remoteMAC, arp(frame.ARPReply, remoteMAC, remote4, other4)), gabion.DropNotForNIC},
		{"to a multicast address", send(frame.Multicast(allNodes), arp(frame.ARPRequest, remoteMAC, remote4, nic4)), gabion.DropNotForNIC},
	})
}

func TestDHCPFromInstance(t *testing.T) {
	broadcast := netip.MustParseAddr("255.255.255.255")
	send := func(source, destination netip.Addr, from, to uint16, payload []byte) []byte {
		u := frame.UDP{Source: from, Destination: to, Payload: payload}
		return addressed(frame.Broadcast, out4(frame.IPv4{Source: source, Destination: destination, Protocol: 17, Payload: u.Bytes()}))
	}
	zero, discover := netip.IPv4Unspecified(), frame.DHCP(1, nicMAC)
	valid := send(zero, broadcast, 68, 67, discover)
	all := netip.MustParseAddr("ff02::1:2")
	solicit := func(source, destination netip.Addr, e ...frame.Extension) []byte {
		u := frame.UDP{Source: 546, Destination: 547, Payload: []byte("solicit")}
		return addressed(frame.Multicast(all), out6(frame.IPv6{Source: source, Destination: destination, Extensions: e, Protocol: 17, Payload: u.Bytes()}))
	}
	run(t, (*bench).out, []frameCase{
		{"discover", valid, gabion.PassDHCP},
		{"rebind", send(nic4, broadcast, 68, 67, discover), gabion.PassDHCP},
		{"from another's address", send(other4, broadcast, 68, 67, discover), gabion.DropIPSpoof},
		{"33 bytes", send(zero, broadcast, 68, 67, discover[:33]), gabion.DropMalformed},
		{"34 bytes", send(zero, broadcast, 68, 67, discover[:34]), gabion.PassDHCP},
		{"34 bytes, fewer by the UDP length", patch(send(zero, broadcast, 68, 67, discover[:34]), 24, 0, 41), gabion.DropMalformed},
		{"another's chaddr", send(zero, broadcast, 68, 67, frame.DHCP(1, remoteMAC)), gabion.DropDHCPSpoof},
		{"a reply", send(zero, broadcast, 68, 67, frame.DHCP(2, nicMAC)), gabion.DropDHCPSpoof},
		{"of another hardware", patch(valid, 29, 6), gabion.DropDHCPSpoof},
		{"of another length", patch(valid, 30, 8), gabion.DropDHCPSpoof},
		{"fragmented", patch(valid, 6, 0x20), gabion.DropIPSpoof},
		{"to one server", send(nic4, remote4, 68, 67, discover), gabion.DropMulticast},
		{"renewal", addressed(remoteMAC, send(nic4, remote4, 68, 67, discover)), gabion.PassEgressOpen},
		{"server's offer", udp(out4, 67, 68), gabion.DropDHCPServer},
		{"server's offer from another port", udp(out4, 1067, 68), gabion.PassEgressOpen},
		{"server's offer over IPv6", udp6(out6, 67, 68), gabion.DropDHCPServer},
		{"DHCPv6 server", udp6(out6, 547, 546), gabion.DropDHCPServer},
		{"DHCPv6 server over IPv4", udp(out4, 547, 546), gabion.DropDHCPServer},
		{"DHCPv6 solicit", solicit(nicLinkLocal, all), gabion.PassDHCP},
		{"DHCPv6 solicit from an owned address", solicit(nic6, all), gabion.DropMulticast},
		{"DHCPv6 solicit to another group", solicit(nicLinkLocal, allNodes), gabion.DropMulticast},
		{"DHCPv6 solicit as an atomic fragment", solicit(nicLinkLocal, all, frame.Piece(1, 0, false)), gabion.DropMulticast},
	})
}

func TestDHCPToInstance(t *testing.T) {
	send := func(from, to uint16, payload []byte) []byte {
		u := frame.UDP{Source: from, Destination: to, Payload: payload}
		return addressed(frame.Broadcast, in4(frame.IPv4{Destination: netip.MustParseAddr("255.255.255.255"), Protocol: 17, Payload: u.Bytes()}))
	}
	offer := send(67, 68, frame.DHCP(2, nicMAC))
	reply := func(to netip.Addr, e ...frame.Extension) []byte {
		u := frame.UDP{Source: 547, Destination: 546, Payload: []byte("advertise")}
		return in6(frame.IPv6{Source: remoteLinkLocal, Destination: to, Extensions: e, Protocol: 17, Payload: u.Bytes()})
	}
	run(t, (*bench).in, []frameCase{
		{"offer", offer, gabion.PassDHCP},
		{"offer for a neighbour", send(67, 68, frame.DHCP(2, remoteMAC)), gabion.DropNotForNIC},
		{"a request", send(67, 68, frame.DHCP(1, nicMAC)), gabion.DropNotForNIC},
		{"from another port", send(1067, 68, frame.DHCP(2, nicMAC)), gabion.DropNotForNIC},
		{"short", send(67, 68, frame.DHCP(2, nicMAC)[:33]), gabion.DropNotForNIC},
		{"of another length", patch(offer, 30, 8), gabion.DropNotForNIC},
		{"fragmented", patch(offer, 6, 0x20), gabion.DropNotForNIC},
		{"DHCPv6 advertise", reply(nicLinkLocal), gabion.PassDHCP},
		{"DHCPv6 advertise to an owned address", reply(nic6), gabion.DropDeniedIngress},
		{"DHCPv6 advertise as an atomic fragment", reply(nicLinkLocal, frame.Piece(1, 0, false)), gabion.DropDeniedIngress},
		{"DHCPv6 advertise to all", addressed(frame.Multicast(allNodes), reply(nicLinkLocal)), gabion.DropNotForNIC},
	})

	b := newBench(t)
	b.configure(policy.Config{DHCPServers: []netip.Addr{other4, remoteLinkLocal}})
	b.in("offer of a server that nobody named", offer, gabion.DropNotForNIC)
	b.in("advertise of a named server", reply(nicLinkLocal), gabion.PassDHCP)
	b.configure(policy.Config{DHCPServers: []netip.Addr{remote4}})
	b.in("offer of a named server", offer, gabion.PassDHCP)
	b.in("advertise of a server that nobody named", reply(nicLinkLocal), gabion.DropDeniedIngress)
}

func TestRouterFromInstance(t *testing.T) {
	run(t, (*bench).out, []frameCase{
		{"ICMP redirect", icmp(out4, frame.ICMP{Type: frame.Redirect}), gabion.DropRouter},
		{"ICMP unreachable", icmp(out4, frame.ICMP{Type: frame.Unreachable}), gabion.PassEgressOpen},
		{"ICMP redirect in fragments", patch(icmp(out4, frame.ICMP{Type: frame.Redirect}), 6, 0x20), gabion.DropRouter},
		{"router advertisement", icmp6(out6, frame.ICMP{Type: frame.RouterAdvertisement}), gabion.DropRouter},
		{"ICMPv6 redirect", icmp6(out6, frame.ICMP{Type: frame.Redirect6}), gabion.DropRouter},
		{"the same type over IPv4", icmp(out4, frame.ICMP{Type: frame.Redirect6}), gabion.PassEgressOpen},
	})
}

func TestAddresses(t *testing.T) {
	run(t, (*bench).out, []frameCase{
		{"owned", tcp(out4, syn), gabion.PassEgressOpen},
		{"another's", out4(frame.IPv4{Source: other4, Protocol: 6, Payload: syn.Bytes()}), gabion.DropIPSpoof},
		{"owned, IPv6", tcp6(out6, syn), gabion.PassEgressOpen},
		{"link-local", out6(frame.IPv6{Source: nicLinkLocal, Protocol: 6, Payload: syn.Bytes()}), gabion.PassEgressOpen},
		{"another's, IPv6", out6(frame.IPv6{Source: other6, Protocol: 6, Payload: syn.Bytes()}), gabion.DropIPSpoof},
		{"another's link-local", out6(frame.IPv6{Source: remoteLinkLocal, Protocol: 6, Payload: syn.Bytes()}), gabion.DropIPSpoof},
		{"Ethernet broadcast", addressed(frame.Broadcast, tcp(out4, syn)), gabion.DropMulticast},
		{"multicast", out4(frame.IPv4{Destination: netip.MustParseAddr("224.0.0.251"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropMulticast},
		{"last multicast", out4(frame.IPv4{Destination: netip.MustParseAddr("239.255.255.255"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropMulticast},
		{"behind multicast", out4(frame.IPv4{Destination: netip.MustParseAddr("240.0.0.1"), Protocol: 6, Payload: syn.Bytes()}), gabion.PassEgressOpen},
		{"broadcast", out4(frame.IPv4{Destination: netip.MustParseAddr("255.255.255.255"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropMulticast},
		{"multicast, IPv6", out6(frame.IPv6{Destination: allNodes, Protocol: 6, Payload: syn.Bytes()}), gabion.DropMulticast},
	})
	run(t, (*bench).in, []frameCase{
		{"to the NIC", tcp(in4, syn), gabion.PassRule},
		{"to another MAC", addressed(remoteMAC, tcp(in4, syn)), gabion.DropNotForNIC},
		{"to another MAC, malformed", addressed(remoteMAC, cut(tcp(in4, syn), 10)), gabion.DropNotForNIC},
		{"to all", addressed(frame.Broadcast, tcp(in4, syn)), gabion.DropNotForNIC},
		{"to all, malformed", addressed(frame.Broadcast, cut(tcp(in4, syn), 10)), gabion.DropMalformed},
		{"to another address", in4(frame.IPv4{Destination: other4, Protocol: 6, Payload: syn.Bytes()}), gabion.DropNotOwned},
		{"IPv6", tcp6(in6, syn), gabion.PassRule},
		{"to another address, IPv6", in6(frame.IPv6{Destination: other6, Protocol: 6, Payload: syn.Bytes()}), gabion.DropNotOwned},
		{"to the link-local address", in6(frame.IPv6{Destination: nicLinkLocal, Protocol: 6, Payload: syn.Bytes()}), gabion.PassRule},
	})
}
