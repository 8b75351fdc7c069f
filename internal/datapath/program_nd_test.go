package datapath

import (
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
)

var (
	guestLL   = guest.linkLocal()
	peerLL    = peer.linkLocal()
	nobody    = guest.at("::")
	solicited = peer.at("ff02::1:ff00:2").behind([6]byte{0x33, 0x33, 0xff, 0, 0, 2})
	allNodes  = peer.at("ff02::1").behind([6]byte{0x33, 0x33, 0, 0, 0, 1})
	routers   = peer.at("ff02::2").behind([6]byte{0x33, 0x33, 0, 0, 0, 2})
	private   = netip.MustParseAddr("fe80::1:2:3:4") // an address as RFC 7217 makes them
)

// nd is a packet of neighbour discovery.
func nd(from, to machine, message []byte, edits ...edit) []byte {
	return ip6(from, to, protoICMPv6, message, append([]edit{hops(255)}, edits...)...)
}

var (
	source = linkLayer(1, guest.mac)
	target = linkLayer(2, guest.mac)
)

var ndLives = slices.Concat([]life{
	{"solicitations from the guest", []step{
		sends(nd(guest, solicited, neighbor(135, peer.ip6, source)), gabion.PassND),
		sends(nd(guest, peer, neighbor(135, peer.ip6)), gabion.PassND),
		sends(nd(guestLL, solicited, neighbor(135, peer.ip6, source)), gabion.PassND),
		sends(nd(peer.behind(guest.mac), solicited, neighbor(135, peer.ip6, source)), gabion.DropIPSpoof),
		sends(nd(peerLL.behind(guest.mac), solicited, neighbor(135, peer.ip6, source)), gabion.DropIPSpoof),
		sends(nd(guest, solicited, neighbor(135, solicited.ip6, source)), gabion.DropNDInvalid),
		sends(nd(nobody, solicited, neighbor(135, solicited.ip6)), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, linkLayer(1, peer.mac))), gabion.DropNDSpoof),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, append([]byte{1, 2}, make([]byte, 14)...))), gabion.DropNDSpoof),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, linkLayer(2, peer.mac))), gabion.PassND), // says nothing in one
	}},
	{"advertisements from the guest", []step{
		sends(nd(guest, peer, neighbor(136, guest.ip6, target)), gabion.PassND),
		sends(nd(guest, allNodes, neighbor(136, guestLL.ip6, target)), gabion.PassND),
		sends(nd(guest, peer, neighbor(136, guest.ip6)), gabion.PassND),
		sends(nd(guest, peer, neighbor(136, peer.ip6, target)), gabion.DropNDSpoof),
		sends(nd(guest, peer, neighbor(136, peerLL.ip6, target)), gabion.DropNDSpoof),
		sends(nd(guest, peer, neighbor(136, allNodes.ip6, target)), gabion.DropNDSpoof),
		sends(nd(guest, peer, neighbor(136, guest.ip6, linkLayer(2, peer.mac))), gabion.DropNDSpoof),
		sends(nd(peer.behind(guest.mac), peer, neighbor(136, guest.ip6, target)), gabion.DropIPSpoof),
		sends(nd(nobody, allNodes, neighbor(136, guest.ip6, target)), gabion.DropIPSpoof),
		sends(nd(guest, peer, neighbor(136, guest.ip6, linkLayer(1, peer.mac))), gabion.PassND),
	}},
	{"router solicitations from the guest", []step{
		sends(nd(guestLL, routers, icmp(133, 0, 0)), gabion.PassND),
		sends(nd(guestLL, routers, icmp(133, 0, 0, source...)), gabion.PassND),
		sends(nd(guestLL, routers, icmp(133, 0, 0, linkLayer(1, peer.mac)...)), gabion.DropNDSpoof),
		sends(nd(guest, routers, icmp(133, 0, 0)), gabion.DropIPSpoof),
		sends(nd(nobody, routers, icmp(133, 0, 0)), gabion.DropIPSpoof),
		sends(nd(guestLL, routers, icmp(133, 0, 0), hops(64)), gabion.DropNDInvalid),
	}},
	{"what only routers say", []step{
		sends(nd(guestLL, routers, icmp(133, 0, 0)), gabion.PassND),
		sends(nd(guestLL, allNodes, icmp(134, 0, 0, make([]byte, 8)...)), gabion.DropRouter),
		sends(nd(guestLL, peer, icmp(137, 0, 0, make([]byte, 32)...)), gabion.DropRouter),
		sends(ip4(guest, peer, protoICMP, icmp(5, 1, 0)), gabion.DropRouter),
		sends(ip6(guest, peer, fragmented, fragment6(protoICMPv6, 1, 0, false, icmp(134, 0, 0))), gabion.DropRouter),
		sends(ip6(guest, peer, fragmented, fragment6(protoICMPv6, 1, 0, true, icmp(134, 0, 0))), gabion.DropRouter),
		sends(ip6(stranger.behind(guest.mac), peer, protoICMPv6, icmp(134, 0, 0)), gabion.DropRouter),
	}},
	{"neighbour discovery that is none", []step{
		sends(nd(guest, solicited, neighbor(135, peer.ip6, source)), gabion.PassND),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, source), hops(254)), gabion.DropNDInvalid),
		sends(nd(guest, solicited, bytesAt(1, 1)(neighbor(135, peer.ip6, source))), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6)[:23]), gabion.DropMalformed),
		sends(nd(guest, solicited, neighbor(136, peer.ip6)[:8]), gabion.DropMalformed),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, []byte{9, 0})), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, []byte{9, 0, 0, 0, 0, 0, 0, 0})), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, []byte{9, 2, 0, 0, 0, 0, 0, 0})), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, source, []byte{9})), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, slices.Repeat([][]byte{{9, 1, 0, 0, 0, 0, 0, 0}}, 8)...)), gabion.PassND),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, slices.Repeat([][]byte{{9, 1, 0, 0, 0, 0, 0, 0}}, 9)...)), gabion.DropNDInvalid),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, linkLayer(1, peer.mac), []byte{9, 0})), gabion.DropNDSpoof),
		sends(nd(guest, solicited, neighbor(135, peer.ip6, []byte{9, 0}, linkLayer(1, peer.mac))), gabion.DropNDInvalid),
		sends(ip6(guest, solicited, fragmented, fragment6(protoICMPv6, 1, 0, false, neighbor(135, peer.ip6)), hops(255)), gabion.DropNDInvalid),
		sends(ip6(guest, solicited, fragmented, fragment6(protoICMPv6, 1, 0, true, neighbor(136, peer.ip6)), hops(255)), gabion.DropNDInvalid),
		sends(ip6(guest, solicited, destination, extension(protoICMPv6, 0, neighbor(135, peer.ip6)), hops(255)), gabion.PassND),
	}},
}, []life{
	{"multicast listeners", []step{
		sends(mld(guestLL, 143), gabion.PassND),
		sends(mld(guestLL, 130), gabion.DropRouter),
		sends(mld(guestLL, 131), gabion.PassND),
		sends(mld(nobody, 132), gabion.PassND),
		sends(mld(guest, 143), gabion.DropNDInvalid),
		sends(mld(peerLL.behind(guest.mac), 143), gabion.DropNDInvalid),
		sends(mld(guestLL, 143, hops(2)), gabion.DropNDInvalid),
		sends(ip6(guestLL, routers, fragmented, fragment6(protoICMPv6, 1, 0, false, icmp(143, 0, 0)), hops(1)), gabion.DropNDInvalid),
	}},
	{"solicitations to the guest", []step{
		gets(nd(peer, solicited, neighbor(135, guest.ip6, linkLayer(1, peer.mac))), gabion.PassND),
		gets(nd(peer, guest, neighbor(135, guestLL.ip6)), gabion.PassND),
		gets(nd(stranger, guest, neighbor(135, peer.ip6)), gabion.DropNotForNIC),
		gets(nd(peer, solicited, neighbor(135, peer.ip6)), gabion.DropNotForNIC),
		gets(nd(peer, solicited.behind(stranger.mac), neighbor(135, guest.ip6)), gabion.DropNotForNIC),
		gets(nd(peer, solicited, neighbor(135, guest.ip6), hops(254)), gabion.DropNDInvalid),
		gets(nd(peer, solicited, bytesAt(1, 1)(neighbor(135, guest.ip6))), gabion.DropNDInvalid),
		gets(nd(peer, solicited, neighbor(135, guest.ip6)[:23]), gabion.DropNDInvalid),
		gets(nd(peer, solicited, neighbor(135, guest.ip6)[:7]), gabion.DropMalformed),
		gets(ip6(peer, guest, fragmented, fragment6(protoICMPv6, 1, 0, false, neighbor(135, guest.ip6)), hops(255)), gabion.DropNDInvalid),
		gets(ip6(peer, guest, fragmented, fragment6(protoICMPv6, 1, 0, true, neighbor(136, guest.ip6)), hops(255)), gabion.DropNDInvalid),
	}},
	{"advertisements to the guest", []step{
		gets(nd(peer, guest, neighbor(136, peer.ip6, linkLayer(2, peer.mac))), gabion.PassND),
		gets(nd(peer, allNodes, neighbor(136, peer.ip6)), gabion.DropNotForNIC),
		gets(nd(peer, guest, neighbor(136, peer.ip6), hops(1)), gabion.DropNDInvalid),
		gets(nd(peer, guest, neighbor(136, peer.ip6)[:20]), gabion.DropNDInvalid),
	}},
	{"router advertisements to the guest", []step{
		gets(nd(peerLL, allNodes, icmp(134, 0, 0, make([]byte, 8)...)), gabion.PassND),
		gets(nd(peerLL, guest, icmp(134, 0, 0, make([]byte, 8)...)), gabion.PassND),
		gets(nd(peer, allNodes, icmp(134, 0, 0, make([]byte, 8)...)), gabion.DropNotForNIC),
		gets(nd(peerLL, allNodes, icmp(134, 0, 0, make([]byte, 7)...)), gabion.DropNDInvalid),
		gets(nd(peerLL, allNodes, icmp(134, 0, 0, make([]byte, 8)...), hops(64)), gabion.DropNDInvalid),
		gets(ip6(peerLL, allNodes, fragmented, fragment6(protoICMPv6, 1, 0, false, icmp(134, 0, 0, make([]byte, 8)...)), hops(255)), gabion.DropNDInvalid),
		then(func(w *programs) {
			w.name(bpfNamedKey{Kind: kindRouter, Address: addressBytes(stranger.linkLocal().ip6)})
		}),
		gets(nd(peerLL, allNodes, icmp(134, 0, 0, make([]byte, 8)...)), gabion.DropNotForNIC),
		gets(nd(stranger.linkLocal(), allNodes, icmp(134, 0, 0, make([]byte, 8)...)), gabion.PassND),
	}},
	{"queries of multicast listeners to the guest", []step{
		gets(mldQuery(peerLL, allNodes), gabion.PassND),
		gets(mldQuery(peerLL, guest), gabion.PassND),
		gets(ip6(peerLL, allNodes, hopByHop, extension(protoICMPv6, 0, icmp(130, 0, 0, make([]byte, 16)...)), hops(1)), gabion.PassND),
		gets(mldQuery(peerLL, allNodes.behind(stranger.mac)), gabion.DropNotForNIC),
		gets(mldQuery(peer, allNodes), gabion.DropNotForNIC),
		gets(mldQuery(peerLL, allNodes, hops(2)), gabion.DropNotForNIC),
		gets(mldQuery(peerLL, guest, hops(2)), gabion.DropDeniedIngress),
		gets(ip6(peerLL, allNodes, fragmented, fragment6(protoICMPv6, 1, 0, false, icmp(130, 0, 0)), hops(1)), gabion.DropNotForNIC),
		gets(ip6(peerLL, allNodes, protoICMPv6, icmp(143, 0, 0, make([]byte, 16)...), hops(1)), gabion.DropNotForNIC), // a report
	}},
	{"of other ICMPv6 to the guest the rules decide", []step{
		gets(nd(peerLL, routers, icmp(133, 0, 0)), gabion.DropNotForNIC),
		gets(nd(visitor, guest, icmp(133, 0, 0)), gabion.DropDeniedIngress),
		gets(nd(visitor, guest, icmp(137, 0, 0, make([]byte, 32)...)), gabion.DropDeniedIngress),
		gets(ip6(visitor, guest, protoICMPv6, icmp(130, 0, 0), hops(1)), gabion.DropDeniedIngress),
		gets(ip6(visitor, guest, protoICMPv6, icmp(128, 0, 0)), gabion.PassRule),
		gets(ip6(visitor, guest.behind(allNodes.mac), protoICMPv6, icmp(128, 0, 0)), gabion.DropNotForNIC),
	}},
})

func mld(from machine, kind uint8, edits ...edit) []byte {
	return ip6(from, routers, protoICMPv6, icmp(kind, 0, 0, make([]byte, 16)...), append([]edit{hops(1)}, edits...)...)
}

func mldQuery(from, to machine, edits ...edit) []byte {
	return ip6(from, to, protoICMPv6, icmp(130, 0, 0, make([]byte, 16)...), append([]edit{hops(1)}, edits...)...)
}
