package datapath

import (
	"net/netip"

	"github.com/gabion/gabion"
)

// Of abi.h.
const (
	kindDHCPServer = 1
	kindRouter     = 2
)

// name names a server or a router; from then on, only named ones count.
func (w *programs) name(key bpfNamedKey) {
	w.Helper()
	w.put(w.objects.Named, key, uint8(1))
	var config bpfConfig
	w.must(w.objects.Config.Lookup(uint32(0), &config))
	w.put(w.objects.Config, uint32(0), bpfConfig{Flags: config.Flags | 1<<(key.Kind-1)})
}

func addressBytes(a netip.Addr) bpfAddress { return bpfAddress{Bytes: a.As16()} }

var (
	broadcast   = peer.at("255.255.255.255").behind(everybody)
	unconfigged = guest.at("0.0.0.0")
	dhcpServers = peer.at("ff02::1:2").behind([6]byte{0x33, 0x33, 0, 1, 0, 2})
)

func discover(from machine, message []byte, edits ...edit) []byte {
	return ip4(from, broadcast, protoUDP, udp(68, 67, message...), edits...)
}

func offer(from, to machine, message []byte, edits ...edit) []byte {
	return ip4(from, to, protoUDP, udp(67, 68, message...), edits...)
}

var dhcpLives = []life{
	{"a DHCP client", []step{
		sends(discover(unconfigged, bootp(1, guest.mac)), gabion.PassDHCP),
		sends(discover(guest, bootp(1, guest.mac)), gabion.PassDHCP), // rebinding
		sends(discover(unconfigged, bootp(1, guest.mac)[:34]), gabion.PassDHCP),
		sends(discover(unconfigged, bootp(1, guest.mac)[:33]), gabion.DropMalformed),
		sends(discover(unconfigged, bootp(1, guest.mac), numberAt(24, 41)), gabion.DropMalformed),
		sends(discover(unconfigged, bootp(2, guest.mac)), gabion.DropDHCPSpoof),
		sends(discover(unconfigged, bytesAt(1, 6)(bootp(1, guest.mac))), gabion.DropDHCPSpoof),
		sends(discover(unconfigged, bytesAt(2, 16)(bootp(1, guest.mac))), gabion.DropDHCPSpoof),
		sends(discover(unconfigged, bootp(1, peer.mac)), gabion.DropDHCPSpoof),
		sends(discover(stranger.behind(guest.mac), bootp(1, guest.mac)), gabion.DropIPSpoof),
		sends(discover(unconfigged, bootp(1, guest.mac), fragment4(1, 0, true)), gabion.DropIPSpoof),
		sends(ip4(unconfigged, peer, protoUDP, udp(68, 67, bootp(1, guest.mac)...)), gabion.DropIPSpoof),
		sends(ip4(unconfigged, broadcast, protoUDP, udp(68, 68, bootp(1, guest.mac)...)), gabion.DropIPSpoof),
		sends(ip4(guest, peer, protoUDP, udp(68, 67, bootp(1, guest.mac)...)), gabion.PassEgressOpen), // renewing
	}},
	{"a guest that plays DHCP server", []step{
		sends(ip4(guest, peer, protoUDP, udp(69, 68)), gabion.PassEgressOpen),
		sends(offer(guest, peer, bootp(2, peer.mac)), gabion.DropDHCPServer),
		sends(offer(guest, broadcast, bootp(2, peer.mac)), gabion.DropDHCPServer),
		sends(ip4(guest, peer, protoUDP, udp(67, 9)), gabion.DropDHCPServer),
		sends(ip4(guest, peer, protoUDP, udp(547, 9)), gabion.DropDHCPServer),
		sends(ip6(guest, peer, protoUDP, udp(547, 546)), gabion.DropDHCPServer),
		sends(ip6(guest, peer, protoUDP, udp(67, 68)), gabion.DropDHCPServer),
		sends(ip4(guest, peer, protoUDP, udp(67, 9, make([]byte, 8)...), fragment4(1, 0, true)), gabion.DropDHCPServer),
		sends(ip4(guest, peer, protoTCP, tcp(67, 9, syn)), gabion.PassEgressOpen),
	}},
	{"DHCP servers to the guest", []step{
		gets(offer(peer, guest, bootp(2, guest.mac)), gabion.PassDHCP),
		gets(offer(peer, broadcast, bootp(2, guest.mac)), gabion.PassDHCP),
		gets(offer(stranger, broadcast, bootp(2, guest.mac)), gabion.PassDHCP),
		gets(offer(peer, broadcast, bootp(2, peer.mac)), gabion.DropNotForNIC),
		gets(offer(peer, broadcast, bootp(1, guest.mac)), gabion.DropNotForNIC),
		gets(offer(peer, broadcast, bytesAt(2, 16)(bootp(2, guest.mac))), gabion.DropNotForNIC),
		gets(offer(peer, broadcast, bytesAt(1, 16)(bootp(2, guest.mac))), gabion.PassDHCP),
		gets(offer(peer, broadcast, bootp(2, guest.mac)[:33]), gabion.DropNotForNIC),
		gets(offer(peer, broadcast, bootp(2, guest.mac), fragment4(1, 0, true)), gabion.DropNotForNIC),
		gets(offer(peer, guest, bootp(2, peer.mac)), gabion.DropDeniedIngress),
		gets(discover(unconfigged.behind(peer.mac), bootp(1, peer.mac)), gabion.DropNotForNIC),
		then(func(w *programs) { w.name(bpfNamedKey{Kind: kindDHCPServer, Address: addressBytes(peer.ip4)}) }),
		gets(offer(peer, broadcast, bootp(2, guest.mac)), gabion.PassDHCP),
		gets(offer(stranger, broadcast, bootp(2, guest.mac)), gabion.DropNotForNIC),
		gets(offer(stranger, guest, bootp(2, guest.mac)), gabion.DropDeniedIngress),
	}},
	{"a DHCPv6 client", []step{
		sends(ip6(guestLL, dhcpServers, protoUDP, udp(546, 547)), gabion.PassDHCP),
		sends(ip6(guest, dhcpServers, protoUDP, udp(546, 547)), gabion.DropMulticast),
		sends(ip6(guestLL, dhcpServers, protoUDP, udp(546, 546)), gabion.DropMulticast),
		sends(ip6(guestLL, allNodes, protoUDP, udp(546, 547)), gabion.DropMulticast),
		sends(ip6(peerLL.behind(guest.mac), dhcpServers, protoUDP, udp(546, 547)), gabion.DropIPSpoof),
		sends(ip6(guestLL, dhcpServers, fragmented, fragment6(protoUDP, 1, 0, false, udp(546, 547))), gabion.DropMulticast),
	}},
	{"DHCPv6 servers to the guest", []step{
		gets(ip6(peerLL, guestLL, protoUDP, udp(547, 546)), gabion.PassDHCP),
		gets(ip6(peer, guestLL, protoUDP, udp(547, 546)), gabion.PassDHCP),
		gets(ip6(peer, guest, protoUDP, udp(547, 546)), gabion.DropDeniedIngress),
		gets(ip6(peer, guestLL, protoUDP, udp(547, 547)), gabion.DropDeniedIngress),
		gets(ip6(peer, guestLL.behind(everybody), protoUDP, udp(547, 546)), gabion.DropNotForNIC),
		gets(ip6(peer, guestLL, fragmented, fragment6(protoUDP, 1, 0, false, udp(547, 546))), gabion.DropDeniedIngress),
		then(func(w *programs) { w.name(bpfNamedKey{Kind: kindDHCPServer, Address: addressBytes(peerLL.ip6)}) }),
		gets(ip6(peer, guestLL, protoUDP, udp(547, 546)), gabion.DropDeniedIngress),
		gets(ip6(peerLL, guestLL, protoUDP, udp(547, 546)), gabion.PassDHCP),
	}},
	{"broadcast and multicast from the guest", []step{
		sends(ip4(guest, peer, protoUDP, udp(1, 2)), gabion.PassEgressOpen),
		sends(ip4(guest, broadcast, protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip4(guest, peer.at("224.0.0.1"), protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip4(guest, peer.at("239.255.255.255"), protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip4(guest, peer.at("240.0.0.1"), protoUDP, udp(1, 2)), gabion.PassEgressOpen),
		sends(ip4(guest, peer.at("223.255.255.255"), protoUDP, udp(1, 2)), gabion.PassEgressOpen),
		sends(ip4(guest, peer.behind(everybody), protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip6(guest, peer.at("ff02::fb"), protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip6(guest, peer.behind(allNodes.mac), protoUDP, udp(1, 2)), gabion.DropMulticast),
		sends(ip4(guest, peer.at("224.0.0.1"), protoUDP, udp(1, 2), fragment4(1, 800, true)), gabion.DropMulticast),
	}},
	{"frames of neighbours", []step{
		gets(ip4(peer, guest, protoTCP, ssh), gabion.PassRule),
		gets(ip4(peer, stranger, protoTCP, ssh), gabion.DropNotForNIC),
		gets(ip4(peer, guest.behind(stranger.mac), protoTCP, ssh), gabion.DropNotForNIC),
		gets(ip4(peer, guest.behind(everybody), protoTCP, ssh), gabion.DropNotForNIC),
		gets(ip4(peer, stranger.behind(guest.mac), protoTCP, ssh), gabion.DropNotOwned),
		gets(ip6(peer, stranger.behind(guest.mac), protoTCP, ssh), gabion.DropNotOwned),
		gets(ip6(peer, peerLL.behind(guest.mac), protoTCP, ssh), gabion.DropNotOwned),
	}},
	{"addresses that the guest doesn't own", []step{
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
		sends(ip6(guestLL, peerLL, protoTCP, ssh), gabion.PassEgressOpen),
		sends(ip4(guest.at("10.0.0.3"), peer, protoTCP, ssh), gabion.DropIPSpoof),
		sends(ip4(unconfigged, peer, protoTCP, ssh), gabion.DropIPSpoof),
		sends(ip6(guest.at("2001:db8::3"), peer, protoTCP, ssh), gabion.DropIPSpoof),
		sends(ip6(nobody, peer, protoTCP, ssh), gabion.DropIPSpoof),
		sends(ip6(peerLL.behind(guest.mac), peer, protoTCP, ssh), gabion.DropIPSpoof),
	}},
}
