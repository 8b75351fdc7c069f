package datapath

import (
	"slices"
	"time"

	"github.com/gabion/gabion"
)

var (
	ssh      = tcp(40000, 22, syn)
	web      = tcp(40000, 80, syn)
	anywhere = guest.at("0.0.0.0")
)

// linkLives are those of frames that are decided below IP.
var linkLives = slices.Concat([]life{
	{"an interface without a NIC passes nothing", []step{
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
		then(func(w *programs) { w.must(w.objects.Nics.Delete(uint32(loopback))) }),
		sends(ip4(guest, peer, protoTCP, ssh), gabion.DropNoPolicy),
		gets(ip4(peer, guest, protoTCP, ssh), gabion.DropNoPolicy),
		sends(arp(1, guest, peer, everybody), gabion.DropNoPolicy),
		then(func(w *programs) { w.reattach(0) }),
		sends(ip4(guest, peer, protoTCP, ssh), gabion.DropNoPolicy),
		then(func(w *programs) { w.reattach(nicSlot) }),
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassFlow),
	}},
	{"VLAN tags in the frame", []step{
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
		sends(ethernet(guest.mac, peer.mac, 0x8100, make([]byte, 50)), gabion.DropVLAN),
		sends(ethernet(guest.mac, peer.mac, 0x88a8, make([]byte, 50)), gabion.DropVLAN),
		sends(ethernet(guest.mac, peer.mac, 0x9100, make([]byte, 50)), gabion.DropVLAN),
		gets(ethernet(peer.mac, guest.mac, 0x8100, make([]byte, 50)), gabion.DropVLAN),
		gets(ethernet(peer.mac, guest.mac, 0x88a8, make([]byte, 50)), gabion.DropVLAN),
		gets(ethernet(stranger.mac, stranger.mac, 0x9100, []byte{0}), gabion.DropVLAN),
	}},
	{"EtherTypes that nobody needs", []step{
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
		sends(ethernet(guest.mac, peer.mac, 46, make([]byte, 46)), gabion.DropEtherType),
		sends(ethernet(guest.mac, peer.mac, 1500, make([]byte, 46)), gabion.DropEtherType),
		sends(ethernet(guest.mac, peer.mac, 0x88cc, make([]byte, 46)), gabion.DropEtherType),
		sends(ethernet(stranger.mac, peer.mac, 0x88cc, []byte{0}), gabion.DropEtherType),
		gets(ethernet(peer.mac, guest.mac, 46, make([]byte, 46)), gabion.DropEtherType),
		gets(ethernet(peer.mac, guest.mac, 0x88cc, make([]byte, 46)), gabion.DropEtherType),
		gets(rarp(peer), gabion.DropEtherType),
	}},
	{"a guest with another MAC", []step{
		sends(ip4(guest, peer, protoTCP, ssh), gabion.PassEgressOpen),
		sends(ip4(guest.behind(stranger.mac), peer, protoTCP, ssh), gabion.DropMACSpoof),
		sends(arp(1, guest.behind(stranger.mac), peer, everybody), gabion.DropMACSpoof),
		sends(ethernet(stranger.mac, peer.mac, typeIPv4, make([]byte, 20)), gabion.DropMACSpoof),
		sends(ip4(guest.behind([6]byte{0x52, 0x54, 0, 0, 1, 1}), peer, protoTCP, ssh), gabion.DropMACSpoof),
		sends(ip4(guest.behind([6]byte{0x53, 0x54, 0, 0, 0, 1}), peer, protoTCP, ssh), gabion.DropMACSpoof),
	}},
	{"ARP from the guest", []step{
		sends(arp(1, guest, peer, everybody), gabion.PassARP),
		sends(arp(1, guest, peer, peer.mac), gabion.PassARP),
		sends(arp(2, guest, peer, peer.mac), gabion.PassARP),
		sends(arp(1, guest, guest, everybody), gabion.PassARP),    // announcement
		sends(arp(1, anywhere, guest, everybody), gabion.PassARP), // probe
		sends(arp(2, anywhere, guest, everybody), gabion.DropARPSpoof),
		sends(arp(1, guest.at("10.0.0.9"), peer, everybody), gabion.DropARPSpoof),
		sends(arp(2, guest.at("10.0.0.2"), peer, peer.mac), gabion.DropARPSpoof),
		sends(arp(1, guest, peer, everybody, bytesAt(8, stranger.mac[:]...)), gabion.DropARPSpoof),
		sends(arp(1, guest, peer, [6]byte{0x33, 0x33, 0, 0, 0, 1}), gabion.DropMulticast),
		sends(arp(1, guest, peer, [6]byte{1, 0, 0x5e, 0, 0, 1}), gabion.DropMulticast),
	}},
	{"ARP to the guest", []step{
		gets(arp(1, peer, guest, everybody), gabion.PassARP),
		gets(arp(1, peer, guest, guest.mac), gabion.PassARP),
		gets(arp(2, peer, guest, guest.mac), gabion.PassARP),
		gets(arp(2, peer, peer, guest.mac), gabion.PassARP),
		gets(arp(1, peer, stranger, everybody), gabion.DropNotForNIC),
		gets(arp(2, peer, guest, everybody), gabion.DropNotForNIC),
		gets(arp(2, peer, guest, stranger.mac), gabion.DropNotForNIC),
		gets(arp(1, peer, guest, [6]byte{1, 0, 0x5e, 0, 0, 1}), gabion.DropNotForNIC),
		gets(arp(1, peer, peer, everybody), gabion.PassARP), // announcement
		gets(arp(2, peer, peer, everybody), gabion.PassARP),
		gets(arp(2, guest, guest, everybody), gabion.DropNotForNIC), // of the guest's own address
	}},
}, []life{
	{"RARP after a migration", []step{
		sends(rarp(guest), gabion.PassARP),
		sends(rarp(guest, numberAt(6, 4)), gabion.DropARPInvalid),
		sends(rarp(guest, numberAt(6, 1)), gabion.DropARPInvalid),
		sends(rarp(guest, cut(27)), gabion.DropARPInvalid),
		sends(rarp(guest, bytesAt(8, stranger.mac[:]...)), gabion.DropARPSpoof),
		sends(rarp(guest, bytesAt(18, stranger.mac[:]...)), gabion.DropARPSpoof),
		sends(rarp(guest), gabion.PassARP),
	}},
	{"more RARP than anybody needs", slices.Concat(
		slices.Repeat([]step{sends(rarp(guest), gabion.PassARP)}, 11),
		[]step{
			sends(rarp(guest), gabion.DropRARPRate),
			after(999 * time.Millisecond),
			sends(rarp(guest), gabion.DropRARPRate),
			after(time.Millisecond),
			sends(rarp(guest), gabion.PassARP),
			sends(rarp(guest), gabion.DropRARPRate),
		},
	)},
}, malformedARP())

func rarp(m machine, edits ...edit) []byte {
	return ethernet(m.mac, everybody, typeRARP, arp(3, m, m, everybody, edits...)[14:])
}

// malformedARP is the same for both directions.
func malformedARP() []life {
	wrong := []edit{
		cut(27), cut(1), numberAt(0, 6), numberAt(2, 0x86dd), bytesAt(4, 8), bytesAt(5, 16), numberAt(6, 0),
		numberAt(6, 3), numberAt(6, 0x101),
	}
	steps := []step{
		sends(arp(1, guest, peer, everybody, padded(18)), gabion.PassARP),
		gets(arp(1, peer, guest, everybody, padded(18)), gabion.PassARP),
	}
	for _, e := range wrong {
		steps = append(steps,
			sends(arp(1, guest, peer, everybody, e), gabion.DropARPInvalid),
			gets(arp(1, peer, guest, everybody, e), gabion.DropARPInvalid))
	}
	return []life{{"ARP that is none", steps}}
}

// reattach gives the guest's NIC another slot.
func (w *programs) reattach(slot uint32) {
	w.Helper()
	w.put(w.objects.Nics, uint32(loopback), nicOfMachine(loopback, slot, guestSet, guest))
}
