package datapath

import (
	"slices"

	"github.com/gabion/gabion"
)

// parseLives are those of packets that are decided by their form alone. They are
// the same in both directions, but for who speaks.
var parseLives = slices.Concat(
	malformed("IPv4 headers", ip4, protoTCP, ssh, []edit{padded(20), bytesAt(1, 0xff), bytesAt(8, 0)}, []edit{
		bytesAt(0, 0x55), bytesAt(0, 0x65), bytesAt(0, 0x44), bytesAt(0, 0x40),
		numberAt(2, 19), numberAt(2, 0), numberAt(2, 41), numberAt(2, 0xffff), bytesAt(0, 0x4b),
	}),
	malformed("IPv6 headers", ip6, protoTCP, ssh, []edit{padded(20), bytesAt(1, 0xff), bytesAt(7, 0)}, []edit{
		bytesAt(0, 0x40), bytesAt(0, 0x70), numberAt(4, 21), numberAt(4, 0xffff), numberAt(4, 0), numberAt(4, 19),
	}),
	malformed("TCP headers", ip4, protoTCP, ssh, []edit{bytesAt(33, syn|ece|cwr)}, []edit{
		numberAt(2, 39), bytesAt(32, 0x40), bytesAt(32, 0), bytesAt(32, 0x60), bytesAt(32, 0xf0),
	}),
	malformed("UDP headers", ip4, protoUDP, udp(5, 53, 1, 2, 3), []edit{numberAt(24, 8), numberAt(24, 10)}, []edit{
		numberAt(2, 27), numberAt(24, 7), numberAt(24, 0), numberAt(24, 12), numberAt(24, 0xffff),
	}),
	malformed("UDP headers over IPv6", ip6, protoUDP, udp(5, 53, 1, 2, 3), []edit{numberAt(44, 8)}, []edit{
		numberAt(4, 7), numberAt(44, 7), numberAt(44, 12),
	}),
	[]life{
		{"ICMP headers", []step{
			sends(ip4(guest, peer, protoICMP, icmp(8, 0, 1)), gabion.PassEgressOpen),
			sends(ip4(guest, peer, protoICMP, icmp(8, 0, 1)[:7]), gabion.DropMalformed),
			sends(ip6(guest, peer, protoICMPv6, icmp(128, 0, 1)), gabion.PassEgressOpen),
			sends(ip6(guest, peer, protoICMPv6, icmp(128, 0, 1)[:7]), gabion.DropMalformed),
			// Of the other family's ICMP nobody knows a header.
			sends(ip4(guest, peer, protoICMPv6, nil), gabion.PassEgressOpen),
			sends(ip6(guest, peer, protoICMP, nil), gabion.PassEgressOpen),
		}},
		{"padding is nobody's", []step{
			sends(ip4(guest, peer, protoUDP, udp(5, 53), padded(30)), gabion.PassEgressOpen),
			sends(ip4(guest, peer, protoUDP, udp(5, 53), numberAt(24, 20), padded(30)), gabion.DropMalformed),
			sends(ip4(guest, peer, protoICMP, nil, padded(30)), gabion.DropMalformed),
		}},
		{"the form is looked at first", []step{
			sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
			sends(ip4(stranger.behind(guest.mac), peer, protoTCP, ssh, numberAt(2, 39)), gabion.DropMalformed),
			sends(ip4(guest.behind(stranger.mac), peer, protoTCP, ssh, numberAt(2, 39)), gabion.DropMACSpoof),
			gets(ip4(peer, guest.behind(stranger.mac), protoTCP, ssh, numberAt(2, 39)), gabion.DropNotForNIC),
			gets(ip4(peer, guest.behind(everybody), protoTCP, ssh, numberAt(2, 39)), gabion.DropMalformed),
		}},
	},
	options("options that are fine", gabion.PassEgressOpen,
		[]byte{0, 0, 0, 0}, []byte{1, 1, 1, 0}, []byte{7, 4, 0, 0}, []byte{1, 7, 3, 0}, []byte{68, 8, 0, 0, 0, 0, 0, 0},
		[]byte{0, 131, 3, 0}, []byte{0, 7, 0, 0}, []byte{1, 1, 148, 5, 131, 137, 131, 0}, slices.Repeat([]byte{1}, 40),
		slices.Repeat([]byte{148, 2}, 20), append([]byte{7, 40}, make([]byte, 38)...)),
	options("options that are none", gabion.DropMalformed,
		[]byte{7, 0, 0, 0}, []byte{7, 1, 0, 0}, []byte{7, 5, 0, 0}, []byte{1, 1, 1, 7}, []byte{131, 5, 0, 0}, []byte{131, 1, 0, 0},
		[]byte{7, 4, 0, 0, 7, 5, 0, 0}, append(slices.Repeat([]byte{1}, 39), 7), append(slices.Repeat([]byte{1}, 38), 7, 3),
		[]byte{7, 255, 0, 0}),
	options("source routing", gabion.DropSourceRoute,
		[]byte{131, 4, 0, 0}, []byte{137, 4, 0, 0}, []byte{1, 131, 3, 4}, []byte{131, 3, 4, 7}, []byte{131, 2, 7, 0},
		[]byte{7, 4, 0, 0, 137, 3, 4, 0}, append(slices.Repeat([]byte{1}, 37), 131, 3, 4)),
	extensionChains("extension headers that are fine", gabion.PassEgressOpen,
		[]uint8{hopByHop}, []uint8{destination}, []uint8{routing}, []uint8{hopByHop, destination, routing, destination},
		[]uint8{destination, destination, destination, destination, destination, destination, destination, destination},
		[]uint8{hopByHop, routing, routing, routing, routing, routing, routing, routing}),
	extensionChains("a hop-by-hop header that is late", gabion.DropMalformed,
		[]uint8{destination, hopByHop}, []uint8{hopByHop, hopByHop},
		[]uint8{destination, destination, destination, destination, destination, destination, destination, hopByHop}),
	extensionChains("a ninth extension header", gabion.DropExtHeaders,
		slices.Repeat([]uint8{destination}, 9), slices.Repeat([]uint8{destination}, 12),
		append(slices.Repeat([]uint8{destination}, 8), hopByHop), append(slices.Repeat([]uint8{destination}, 8), fragmented)),
	[]life{
		{"extension headers that are cut", []step{
			sends(ip6(guest, peer, destination, extension(protoTCP, 0, ssh)), gabion.PassEgressOpen),
			sends(ip6(guest, peer, destination, extension(protoTCP, 2, ssh)), gabion.PassFlow),
			sends(ip6(guest, peer, destination, extension(protoTCP, 0, ssh)[:7]), gabion.DropMalformed),
			sends(ip6(guest, peer, destination, extension(protoTCP, 0, ssh)[:27]), gabion.DropMalformed),
			sends(ip6(guest, peer, destination, extension(protoTCP, 2, nil)[:23]), gabion.DropMalformed),
			sends(ip6(guest, peer, destination, bytesAt(1, 255)(extension(protoTCP, 2, ssh))), gabion.DropMalformed),
			sends(ip6(guest, peer, fragmented, fragment6(protoTCP, 1, 0, false, ssh)[:7]), gabion.DropMalformed),
		}},
		{"routing headers of type 0", []step{
			sends(ip6(guest, peer, routing, extension(protoTCP, 0, ssh)), gabion.PassEgressOpen),
			sends(ip6(guest, peer, routing, bytesAt(2, 0)(extension(protoTCP, 0, ssh))), gabion.DropSourceRoute),
			gets(ip6(peer, guest, routing, bytesAt(2, 0)(extension(protoTCP, 0, ssh))), gabion.DropSourceRoute),
			// What is not whole is nothing yet.
			sends(ip6(guest, peer, routing, bytesAt(1, 255, 0)(extension(protoTCP, 0, ssh))), gabion.DropMalformed),
		}},
		{"what comes after an upper layer is not looked at", []step{
			sends(ip6(guest, peer, 51, extension(fragmented, 0, nil)), gabion.PassEgressOpen),
			sends(ip6(guest, peer, 50, extension(hopByHop, 0, nil)), gabion.PassEgressOpen),
			sends(ip6(guest, peer, 59, nil), gabion.PassEgressOpen),
			sends(ip6(guest, peer, hopByHop, extension(51, 0, nil)), gabion.PassFlow),
			sends(ip6(guest, peer, hopByHop, extension(51, 1, nil)[:8]), gabion.DropMalformed),
		}},
		{"IPv4 in IPv6 clothes", []step{
			sends(ip6(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
			sends(ip6(guest.at("::ffff:10.0.0.1"), peer, protoTCP, ssh), gabion.DropMapped),
			sends(ip6(guest, peer.at("::ffff:10.0.0.2"), protoTCP, ssh), gabion.DropMapped),
			gets(ip6(peer.at("::ffff:10.0.0.2"), guest, protoTCP, ssh), gabion.DropMapped),
			gets(ip6(peer, guest.at("::ffff:10.0.0.1"), protoTCP, ssh), gabion.DropMapped),
			sends(ip6(guest, peer.at("::fffe:10.0.0.2"), protoTCP, ssh), gabion.PassEgressOpen),
		}},
	},
)

// malformed is a packet that passes, also with harmless edits, and that no longer does with harmful ones.
func malformed(name string, ip packetMaker, protocol uint8, payload []byte, harmless, harmful []edit) []life {
	steps := []step{sends(ip(guest, peer, protocol, payload), gabion.PassEgressOpen)}
	for _, e := range harmless {
		steps = append(steps, sends(ip(guest, peer, protocol, payload, e), gabion.PassFlow))
	}
	for _, e := range harmful {
		steps = append(steps,
			sends(ip(guest, peer, protocol, payload, e), gabion.DropMalformed),
			gets(ip(peer, guest, protocol, payload, e), gabion.DropMalformed))
	}
	return []life{{"malformed " + name, steps}}
}

// options is a life of packets with IPv4 options.
func options(name string, want gabion.Reason, options ...[]byte) []life {
	steps := []step{sends(ip4(guest, peer, protoUDP, udp(1, 53)), gabion.PassEgressOpen)}
	for i, o := range options {
		steps = append(steps, sends(ip4(guest, peer, protoUDP, slices.Concat(o, udp(uint16(i)+2, 53)),
			bytesAt(0, 0x45+byte(len(o)/4))), want))
	}
	return []life{{"IPv4 " + name, steps}}
}

// extensionChains is a life of packets with IPv6 extension headers.
func extensionChains(name string, want gabion.Reason, all ...[]uint8) []life {
	steps := []step{sends(ip6(guest, peer, protoUDP, udp(1, 53)), gabion.PassEgressOpen)}
	for i, c := range all {
		payload, next := udp(uint16(i)+2, 53), uint8(protoUDP)
		for _, kind := range slices.Backward(c) {
			payload, next = extension(next, 0, payload), kind
		}
		steps = append(steps, sends(ip6(guest, peer, next, payload), want))
	}
	return []life{{"IPv6 " + name, steps}}
}
