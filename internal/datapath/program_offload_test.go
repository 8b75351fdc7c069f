package datapath

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion"
)

// firstSum is the first byte that newer kernels let a checksum begin at.
const firstSum = 20

// sumAt leaves a checksum to be written at a place of the frame.
func sumAt(place int) offload { return offload{sumFrom: firstSum, sumAt: place - firstSum} }

// TestChecksumsAreWrittenWhereTheyBelong: the kernel writes a checksum that a guest's
// device leaves to it behind the programs, wherever the device says.
func TestChecksumsAreWrittenWhereTheyBelong(t *testing.T) {
	w := newWire(t)
	const ip4End, ip6End = 14 + 20, 14 + 40
	payload := make([]byte, 16)
	atomic := fragment6(protoUDP, 1, 0, false, udp(1, 2, payload...))
	for _, c := range []struct {
		name  string
		frame []byte
		end   int // of what stands before the upper layer
		at    int // where its checksum is in it
		want  gabion.Reason
	}{
		{"TCP, IPv4", ip4(guest, peer, protoTCP, web, padded(9)), ip4End, 16, gabion.PassEgressOpen},
		{"TCP, IPv6", ip6(guest, peer, protoTCP, web), ip6End, 16, gabion.PassEgressOpen},
		{"UDP, IPv4", ip4(guest, peer, protoUDP, udp(1, 2, payload...)), ip4End, 6, gabion.PassEgressOpen},
		{"UDP, IPv6", ip6(guest, peer, protoUDP, udp(1, 2, payload...)), ip6End, 6, gabion.PassEgressOpen},
		{"UDP behind options", ip4(guest, peer, protoUDP, append([]byte{1, 1, 1, 1}, udp(1, 3, payload...)...), bytesAt(0, 0x46)), ip4End + 4, 6, gabion.PassEgressOpen},
		{"UDP behind an extension", ip6(guest, peer, destination, extension(protoUDP, 0, udp(1, 3, payload...))), ip6End + 8, 6, gabion.PassEgressOpen},
		{"UDP in an atomic fragment", ip6(guest, peer, fragmented, atomic), ip6End + 8, 6, gabion.PassFlow},
		{"ICMP", ip4(guest, peer, protoICMP, icmp(8, 0, 1, payload...)), ip4End, 2, gabion.PassEgressOpen},
		{"ICMPv6", ip6(guest, peer, protoICMPv6, icmp(128, 0, 1, payload...)), ip6End, 2, gabion.PassEgressOpen},
		{"neighbour solicitation", nd(guest, solicited, neighbor(135, peer.ip6, source)), ip6End, 2, gabion.PassND},
		{"DHCP", discover(unconfigged, bootp(1, guest.mac)), ip4End, 6, gabion.PassDHCP},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.TB = t
			right := c.end + c.at
			for place := firstSum; place < min(len(c.frame)-1, right+8); place++ {
				if place != right {
					w.counts(w.guest, c.frame, sumAt(place), one(gabion.DropMalformed))
				}
			}
			w.counts(w.guest, c.frame, offload{sumFrom: c.end, sumAt: c.at}, one(c.want))
		})
	}
	w.TB = t
}

// TestChecksumsOfOtherProtocols may be anywhere but in what was judged.
func TestChecksumsOfOtherProtocols(t *testing.T) {
	w := newWire(t)
	const end = 14 + 20
	for name, frame := range map[string][]byte{
		"GRE":                  ip4(guest, peer, protoGRE, make([]byte, 16)),
		"ICMPv6 where IPv4 is": ip4(guest, peer, protoICMPv6, icmp(128, 0, 1, make([]byte, 8)...)),
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			w.counts(w.guest, frame, offload{}, one(gabion.PassEgressOpen))
			for place := firstSum; place < len(frame)-1; place++ {
				want := gabion.PassFlow
				if place < end {
					want = gabion.DropMalformed
				}
				w.counts(w.guest, frame, sumAt(place), one(want))
			}
		})
	}
	w.TB = t
}

// TestNoChecksumIsLeftWhereNoneBelongs: in ARP, in RARP and in fragments.
func TestNoChecksumIsLeftWhereNoneBelongs(t *testing.T) {
	w := newWire(t)
	rarp := ethernet(guest.mac, everybody, typeRARP, arp(3, guest, guest, everybody)[14:])
	first := ip4(guest, peer, protoUDP, numberAt(4, 4000)(udp(1, 2, make([]byte, 16)...)), fragment4(1, 0, true))
	later := ip4(guest, peer, protoUDP, make([]byte, 16), fragment4(1, 24, true))
	last6 := ip6(guest, peer, fragmented, fragment6(protoUDP, 2, 24, false, make([]byte, 16)))
	for _, c := range []struct {
		frame []byte
		place int
		want  gabion.Reason // without a checksum
	}{
		{arp(1, guest, peer, everybody), 28, gabion.PassARP},
		{arp(1, guest, peer, everybody), 40, gabion.PassARP},
		{arp(1, guest.behind(peer.mac), peer, everybody), 28, gabion.DropMACSpoof}, // the checksum comes first
		{rarp, 28, gabion.PassARP},
		{first, 14 + 20 + 6, gabion.PassEgressOpen},
		{later, 14 + 20 + 6, gabion.PassFlow},
		{last6, 14 + 40 + 8 + 6, gabion.DropFragmentOrphan},
	} {
		w.counts(w.guest, c.frame, sumAt(c.place), one(gabion.DropMalformed))
		w.counts(w.guest, c.frame, offload{}, one(c.want))
	}
}

// TestChecksumsToTheGuestAreNotItsOwn: who sent them was judged where they came from.
func TestChecksumsToTheGuestAreNotItsOwn(t *testing.T) {
	w := newWire(t)
	w.counts(w.guest, arp(2, guest, peer, peer.mac), offload{}, one(gabion.PassARP)) // where the guest is
	w.counts(w.peer, ip4(peer, guest, protoTCP, ssh), offload{sumFrom: 34, sumAt: 16}, one(gabion.PassRule))
	w.counts(w.peer, ip4(peer, guest, protoTCP, ssh), offload{sumFrom: 34, sumAt: 4}, one(gabion.PassFlow))
}

// TestFragmentsAreNotCutAgain: nobody says what the pieces would be.
func TestFragmentsAreNotCutAgain(t *testing.T) {
	w := newOrdinary(t)
	for _, p := range []piece{piece4, piece6} {
		whole, several := &skb{Ifindex: loopback}, &skb{Ifindex: loopback, GSOSize: 800}
		w.skb = several
		w.sends(p(guest, peer, 1, 0, 1480, true), gabion.DropFragmentInvalid)
		w.skb = whole
		w.sends(p(guest, peer, 1, 0, 1480, true), gabion.PassEgressOpen)
		w.skb = several
		w.sends(p(guest, peer, 1, 1480, 1480, false), gabion.DropFragmentInvalid)
		w.skb = whole
		w.sends(p(guest, peer, 1, 1480, 1480, false), gabion.PassFlow)
		w.reset()
	}
	w.skb = &skb{Ifindex: loopback, GSOSize: 8}
	w.sends(ip6(guest, peer, fragmented, fragment6(protoUDP, 1, 0, false, udp(9, 9, make([]byte, 80)...))), gabion.PassEgressOpen)
	w.gets(piece4(peer, guest, 1, 0, 16, true), gabion.PassRule) // who sent it was judged
}

// TestEncapsulationsAreRefused: of a tunnel that the kernel knows of it would write the
// inner packet's headers, too.
func TestEncapsulationsAreRefused(t *testing.T) {
	w := newWire(t)
	tunnel := w.tunnel()
	inner := ip4(stranger, visitor, protoUDP, udp(1, 2, make([]byte, 8)...))
	w.counts(tunnel, inner, offload{}, one(gabion.PassEgressOpen)) // nothing is left to do: just a datagram
	w.counts(tunnel, inner, offload{sumFrom: 34, sumAt: 6}, one(gabion.DropMalformed))
	w.counts(tunnel, inner, offload{}, one(gabion.PassFlow))
}

// tunnel is a socket whose frames come out of the guest's end in datagrams from the guest to the peer.
func (w *wire) tunnel() int {
	w.Helper()
	far, err := netlink.LinkByName("guest-far")
	w.must(err)
	w.must(netlink.LinkSetHardwareAddr(far, guest.mac[:]))
	w.must(netlink.AddrAdd(far, &netlink.Addr{IPNet: &net.IPNet{IP: guest.ip4.AsSlice(), Mask: net.CIDRMask(24, 32)}}))
	w.must(netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: far.Attrs().Index, State: netlink.NUD_PERMANENT, IP: peer.ip4.AsSlice(), HardwareAddr: peer.mac[:],
	}))
	vxlan := &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: "tunnel"}, VxlanId: 5, VtepDevIndex: far.Attrs().Index,
		SrcAddr: guest.ip4.AsSlice(), Group: peer.ip4.AsSlice(), Port: 4789,
	}
	w.must(netlink.LinkAdd(vxlan))
	w.must(netlink.LinkSetUp(vxlan))
	return w.socket("tunnel")
}
