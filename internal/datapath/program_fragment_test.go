package datapath

import (
	"slices"
	"time"

	"github.com/gabion/gabion"
)

// piece is a fragment of a datagram of UDP from one to the other, as IPv4 or IPv6.
type piece func(from, to machine, id uint16, offset, length int, more bool) []byte

func piece4(from, to machine, id uint16, offset, length int, more bool) []byte {
	return ip4(from, to, protoUDP, datagram(offset, length), fragment4(id, offset, more))
}

func piece6(from, to machine, id uint16, offset, length int, more bool) []byte {
	return ip6(from, to, fragmented, fragment6(protoUDP, uint32(id), offset, more, datagram(offset, length)))
}

// datagram is a part of one to port 53, whose UDP length is that of the whole.
func datagram(offset, length int) []byte {
	whole := numberAt(4, 4000)(udp(999, 53, make([]byte, 3992)...))
	return append(whole, make([]byte, 70000)...)[offset : offset+length]
}

var fragmentLives = slices.Concat(
	pieces("in order", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 0, 1480, true), gabion.PassEgressOpen),
			sends(p(guest, peer, 1, 1480, 1480, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 2960, 1040, false), gabion.PassFlow),
			sends(p(guest, peer, 1, 2960, 1040, false), gabion.DropFragmentOrphan), // it is complete
			gets(p(peer, guest, 2, 0, 8, true), gabion.PassRule),
			gets(p(peer, guest, 2, 8, 1, false), gabion.PassFlow),
		}
	}),
	pieces("out of order", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 1480, 1480, true), gabion.DropFragmentOrphan),
			sends(p(guest, peer, 1, 0, 1480, true), gabion.PassEgressOpen),
			sends(p(guest, peer, 1, 2960, 1040, false), gabion.DropFragmentOrphan),
			sends(p(guest, peer, 2, 1480, 1480, true), gabion.DropFragmentOrphan),
			sends(p(guest, visitor, 1, 1480, 1480, true), gabion.DropFragmentOrphan),
			gets(p(guest.behind(peer.mac), guest, 1, 1480, 1480, true), gabion.DropFragmentOrphan),
			sends(p(guest, peer, 1, 1480, 1480, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 2960, 1040, false), gabion.PassFlow),
		}
	}),
	pieces("that overlap", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 0, 1480, true), gabion.PassEgressOpen),
			sends(p(guest, peer, 1, 1472, 1480, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 1480, 1480, true), gabion.DropFragmentOrphan), // the datagram is forgotten
			sends(p(guest, peer, 1, 0, 1480, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 0, 1480, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 1480, 8, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 1480, 8, true), gabion.DropFragmentInvalid),
		}
	}),
	pieces("of impossible lengths", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 0, 15, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 0, 0, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 0, 7, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 0, 16, true), gabion.PassEgressOpen),
			sends(p(guest, peer, 1, 0, 17, true), gabion.DropFragmentInvalid), // forgets nothing
			sends(p(guest, peer, 1, 16, 9, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 16, 0, true), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 16, 8, true), gabion.PassFlow),
			sends(p(guest, peer, 1, 65528, 8, false), gabion.DropFragmentInvalid),
			sends(p(guest, peer, 1, 65528, 7, false), gabion.DropFragmentOrphan),
			sends(p(guest, peer, 1, 24, 0, false), gabion.PassFlow),
		}
	}),
	pieces("that come too late", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 0, 16, true), gabion.PassEgressOpen),
			after(20 * time.Second),
			sends(p(guest, peer, 1, 16, 16, true), gabion.PassFlow),
			after(9 * time.Second),
			sends(p(guest, peer, 1, 32, 16, true), gabion.PassFlow),
			after(2 * time.Second), // 31 s after the first
			sends(p(guest, peer, 1, 48, 16, true), gabion.DropFragmentOrphan),
		}
	}),
	pieces("whose first was denied", func(p piece) []step {
		return []step{
			gets(p(peer, guest, 1, 0, 16, true), gabion.PassRule),
			gets(p(stranger, guest, 1, 0, 16, true), gabion.DropDeniedIngress),
			gets(p(stranger, guest, 1, 16, 16, false), gabion.DropFragmentOrphan),
			gets(p(peer, guest, 1, 16, 16, true), gabion.PassFlow),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(p(peer, guest, 1, 32, 16, true), gabion.DropRevoked),
			then(func(w *programs) { w.rules.allow(rulePeerUDP, gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(p(peer, guest, 1, 32, 16, true), gabion.PassFlow),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(p(peer, guest, 1, 0, 16, true), gabion.DropRevoked),
			then(func(w *programs) { w.rules.allow(rulePeerUDP, gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(p(peer, guest, 1, 48, 16, true), gabion.DropFragmentOrphan), // forgotten with its first
		}
	}),
	pieces("of others", func(p piece) []step {
		return []step{
			sends(p(guest, peer, 1, 0, 16, true), gabion.PassEgressOpen),
			sends(p(guest.at("10.0.0.9").at("2001:db8::9"), peer, 1, 16, 16, true), gabion.DropIPSpoof),
			gets(p(peer, guest, 1, 0, 16, true), gabion.PassRule),
			gets(p(peer, stranger.behind(guest.mac), 1, 16, 16, true), gabion.DropNotOwned),
		}
	}),
	[]life{
		{"TCP fragments", []step{
			sends(ip4(guest, peer, protoTCP, append(ssh, 0, 0, 0, 0), fragment4(1, 0, true)), gabion.PassEgressOpen),
			sends(ip4(guest, peer, protoTCP, make([]byte, 16), fragment4(1, 8, true)), gabion.DropFragmentInvalid),
			sends(ip4(guest, peer, protoTCP, make([]byte, 16), fragment4(1, 24, true)), gabion.PassFlow),
			sends(ip4(guest, peer, protoTCP, ssh[:16], fragment4(2, 0, true)), gabion.DropFragmentInvalid),
			sends(ip4(guest, peer, protoTCP, bytesAt(12, 0x70)(append(ssh, 0, 0, 0, 0)), fragment4(2, 0, true)), gabion.DropFragmentInvalid),
			sends(ip4(guest, peer, protoUDP, udp(9, 9), fragment4(2, 0, true)), gabion.PassEgressOpen),
			sends(ip4(guest, peer, protoUDP, make([]byte, 8), fragment4(2, 8, false)), gabion.PassFlow),
		}},
		{"fragments of protocols without a header", []step{
			sends(ip4(guest, peer, protoGRE, nil, fragment4(1, 0, true)), gabion.PassEgressOpen),
			sends(ip4(guest, peer, protoGRE, make([]byte, 8), fragment4(1, 8, true)), gabion.DropFragmentOrphan),
			sends(ip4(guest, peer, protoGRE, make([]byte, 8), fragment4(1, 0, true)), gabion.PassFlow),
			sends(ip4(guest, peer, protoGRE, make([]byte, 8), fragment4(1, 8, true)), gabion.PassFlow),
		}},
		{"fragments of echo", []step{
			gets(ip4(visitor, guest, protoICMP, icmp(8, 0, 5, make([]byte, 8)...), fragment4(1, 0, true)), gabion.PassRule),
			gets(ip4(visitor, guest, protoICMP, make([]byte, 8), fragment4(1, 16, false)), gabion.PassFlow),
			sends(ip4(guest, visitor, protoICMP, icmp(0, 0, 5, make([]byte, 8)...), fragment4(1, 0, true)), gabion.PassFlow),
			sends(ip4(guest, visitor, protoICMP, make([]byte, 8), fragment4(1, 16, false)), gabion.PassFlow),
			gets(ip4(visitor, guest, protoICMP, icmp(13, 0, 5, make([]byte, 8)...), fragment4(2, 0, true)), gabion.DropDeniedIngress),
			gets(ip4(visitor, guest, protoICMP, make([]byte, 8), fragment4(2, 16, false)), gabion.DropFragmentOrphan),
		}},
		{"IPv6 fragments behind and before other headers", []step{
			sends(ip6(guest, peer, destination, extension(fragmented, 0, fragment6(destination, 1, 0, true,
				extension(protoUDP, 0, udp(9, 9))))), gabion.PassEgressOpen),
			sends(ip6(guest, peer, destination, extension(fragmented, 0, fragment6(destination, 1, 16, true, make([]byte, 8)))), gabion.PassFlow),
			sends(ip6(guest, peer, fragmented, fragment6(99, 1, 24, false, make([]byte, 8))), gabion.PassFlow),
		}},
		{"two fragment headers", []step{
			sends(ip6(guest, peer, fragmented, fragment6(protoUDP, 1, 0, false, udp(9, 9))), gabion.PassEgressOpen),
			sends(ip6(guest, peer, fragmented, fragment6(fragmented, 1, 0, false, fragment6(protoUDP, 1, 0, false, udp(9, 9)))), gabion.DropFragmentInvalid),
			sends(ip6(guest, peer, fragmented, fragment6(fragmented, 1, 0, true, fragment6(protoUDP, 1, 0, true, udp(9, 9)))), gabion.DropFragmentInvalid),
			sends(ip6(guest, peer, fragmented, fragment6(fragmented, 1, 8, true, fragment6(protoUDP, 1, 0, true, udp(9, 9)))), gabion.DropFragmentOrphan),
			sends(ip6(guest, peer, fragmented, fragment6(hopByHop, 1, 0, true, extension(protoUDP, 0, udp(9, 9)))), gabion.DropMalformed),
		}},
		{"an atomic fragment is none", []step{
			sends(ip6(guest, peer, fragmented, fragment6(protoUDP, 1, 0, false, udp(9, 9, 1))), gabion.PassEgressOpen),
			sends(ip6(guest, peer, fragmented, fragment6(protoUDP, 1, 8, false, nil)), gabion.DropFragmentOrphan),
			sends(ip6(guest, peer, fragmented, fragment6(protoUDP, 1, 0, false, udp(9, 9)[:7])), gabion.DropMalformed),
			sends(ip6(guest, peer, fragmented, numberAt(2, 6)(fragment6(protoUDP, 1, 0, false, udp(9, 9)))), gabion.PassFlow), // reserved bits
		}},
		{"a first fragment whose chain is cut", []step{
			sends(ip6(guest, peer, fragmented, fragment6(destination, 1, 0, true, extension(protoUDP, 0, udp(9, 9)))), gabion.PassEgressOpen),
			sends(ip6(guest, peer, fragmented, fragment6(destination, 1, 0, true, extension(protoUDP, 0, nil)[:4])), gabion.DropFragmentInvalid),
			sends(ip6(guest, peer, fragmented, fragment6(destination, 1, 0, true, extension(protoUDP, 2, nil)[:16])), gabion.DropFragmentInvalid),
			sends(ip6(guest, peer, fragmented, fragment6(destination, 1, 0, true, extension(protoUDP, 0, nil))), gabion.DropFragmentInvalid),
		}},
		{"fragments of an ICMP error follow it", []step{
			sends(ip4(guest, stranger, protoUDP, udp(7, 7)), gabion.PassEgressOpen),
			gets(ip4(stranger, guest, protoICMP, icmp(3, 3, 0, quote(ip4(guest, stranger, protoUDP, udp(7, 7, 1, 2, 3, 4)))...), fragment4(1, 0, true)), gabion.PassICMPError),
			gets(ip4(stranger, guest, protoICMP, make([]byte, 8), fragment4(1, 40, false)), gabion.PassICMPError),
			gets(ip4(stranger, guest, protoICMP, make([]byte, 8), fragment4(2, 40, false)), gabion.DropFragmentOrphan),
		}},
	},
)

// quote is what an ICMP error says of a frame.
func quote(frame []byte) []byte { return frame[14:] }

func pieces(name string, f func(piece) []step) []life {
	return []life{
		{"IPv4 fragments " + name, f(piece4)},
		{"IPv6 fragments " + name, f(piece6)},
	}
}
