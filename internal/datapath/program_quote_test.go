package datapath

import (
	"slices"
	"time"

	"github.com/gabion/gabion"
)

// refusal makes ICMP errors of the family.
type refusal struct {
	ip       packetMaker
	protocol uint8
	kinds    []uint8
	echo     echo
}

var (
	refusal4 = refusal{ip4, protoICMP, []uint8{3, 4, 11, 12}, echo4}
	refusal6 = refusal{ip6, protoICMPv6, []uint8{1, 2, 3, 4}, echo6}
)

// of is the error that quotes a frame.
func (r refusal) of(frame []byte, from, to machine) []byte {
	return r.kind(r.kinds[0], frame, from, to)
}

func (r refusal) kind(kind uint8, frame []byte, from, to machine) []byte {
	return r.ip(from, to, r.protocol, icmp(kind, 0, 0, quote(frame)...))
}

var icmpErrorLives = slices.Concat(
	refusals("to the guest", func(r refusal) []step {
		sent := r.ip(guest, stranger, protoUDP, udp(7, 7))
		steps := []step{
			gets(r.of(sent, stranger, guest), gabion.DropDeniedIngress),
			sends(sent, gabion.PassEgressOpen),
		}
		for _, kind := range r.kinds {
			steps = append(steps,
				gets(r.kind(kind, sent, stranger, guest), gabion.PassICMPError),
				gets(r.kind(kind, sent, visitor, guest), gabion.PassICMPError)) // of a router on the way
		}
		return append(steps,
			gets(r.kind(13, sent, stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(r.ip(guest, stranger, protoUDP, udp(7, 8)), stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(r.ip(stranger, guest, protoUDP, udp(7, 7)), stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(r.ip(peer, stranger, protoUDP, udp(7, 7)), stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(r.ip(guest, stranger, protoTCP, tcp(7, 7, syn)), stranger, guest), gabion.DropDeniedIngress),
			after(31*time.Second), // nothing of the flow was touched
			gets(r.of(sent, stranger, guest), gabion.DropDeniedIngress),
		)
	}),
	refusals("from the guest", func(r refusal) []step {
		got := r.ip(peer, guest, protoUDP, udp(999, 53))
		return []step{
			then(func(w *programs) { w.rules.closeEgress() }),
			sends(r.of(got, guest, peer), gabion.DropDeniedEgress),
			gets(got, gabion.PassRule),
			sends(r.of(got, guest, peer), gabion.PassICMPError),
			sends(r.of(got, guest, visitor), gabion.DropDeniedEgress), // to somebody else
			sends(r.of(r.ip(peer, stranger, protoUDP, udp(999, 53)), guest, peer), gabion.DropDeniedEgress),
			sends(r.of(r.ip(guest, peer, protoUDP, udp(53, 999)), guest, peer), gabion.DropDeniedEgress),
			sends(r.of(got, peer.behind(guest.mac), peer), gabion.DropIPSpoof),
		}
	}),
	refusals("of echo", func(r refusal) []step {
		return []step{
			sends(r.echo.asks(guest, stranger, 5), gabion.PassEgressOpen),
			gets(r.of(r.echo.asks(guest, stranger, 5), stranger, guest), gabion.PassICMPError),
			gets(r.of(r.echo.asks(guest, stranger, 6), stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(r.echo.answers(guest, stranger, 5), stranger, guest), gabion.DropDeniedIngress),
			gets(r.echo.asks(visitor, guest, 5), gabion.PassRule),
			gets(r.of(r.echo.answers(guest, visitor, 5), visitor, guest), gabion.PassICMPError),
			gets(r.of(r.ip(guest, stranger, r.protocol, icmp(r.kinds[0], 0, 5)), stranger, guest), gabion.DropDeniedIngress),
		}
	}),
	refusals("of a revoked flow", func(r refusal) []step {
		got := r.ip(peer, guest, protoUDP, udp(999, 53))
		answer := r.ip(guest, peer, protoUDP, udp(53, 999))
		return []step{
			gets(got, gabion.PassRule),
			gets(r.of(answer, peer, guest), gabion.PassICMPError),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(r.of(answer, peer, guest), gabion.DropDeniedIngress),
			then(func(w *programs) { w.rules.allow(rulePeerUDP, gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(r.of(answer, peer, guest), gabion.PassICMPError),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(got, gabion.DropRevoked),
		}
	}),
	refusals("of a connection", func(r refusal) []step {
		c := connection{r.ip, peer, guest}
		return append(c.opens(),
			sends(r.of(c.says(ack, 1, 1, 100), guest, peer), gabion.PassICMPError),
			gets(r.of(c.answers(ack, 1, 1, 100), visitor, guest), gabion.PassICMPError),
			gets(c.says(rst, 2001, 0, 0), gabion.PassFlow),
			gets(r.of(c.answers(ack, 1, 1, 100), visitor, guest), gabion.PassICMPError),
			after(11*time.Second),
			gets(r.of(c.answers(ack, 1, 1, 100), visitor, guest), gabion.DropDeniedIngress),
		)
	}),
	refusals("that quote too little or too strangely", func(r refusal) []step {
		sent := r.ip(guest, stranger, protoUDP, udp(7, 7))
		header := len(quote(sent)) - 8
		return []step{
			sends(sent, gabion.PassEgressOpen),
			gets(r.of(sent, stranger, guest), gabion.PassICMPError),
			gets(r.of(sent[:len(sent)-1], stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(sent[:14+header], stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(sent[:14+8], stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(sent[:14], stranger, guest), gabion.DropDeniedIngress),
			gets(r.of(bytesAt(14, 0x55)(slices.Clone(sent)), stranger, guest), gabion.DropDeniedIngress),
		}
	}),
	[]life{
		{"ICMP errors that quote IPv4 options and fragments", []step{
			sends(ip4(guest, stranger, protoUDP, udp(7, 7)), gabion.PassEgressOpen),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, append([]byte{131, 3, 0, 0}, udp(7, 7)...), bytesAt(0, 0x46)), stranger, guest), gabion.PassICMPError),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, udp(7, 7), bytesAt(0, 0x44)), stranger, guest), gabion.DropDeniedIngress),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, udp(7, 7), numberAt(2, 9999)), stranger, guest), gabion.PassICMPError),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, udp(7, 7), numberAt(2, 0)), stranger, guest), gabion.PassICMPError),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, udp(7, 7), fragment4(1, 0, true)), stranger, guest), gabion.PassICMPError),
			gets(refusal4.of(ip4(guest, stranger, protoUDP, udp(7, 7), fragment4(1, 8, true)), stranger, guest), gabion.DropDeniedIngress),
			gets(ip4(stranger, guest, protoICMP, icmp(3, 0, 0, quote(ip6(guest, stranger, protoUDP, udp(7, 7)))...)), gabion.DropDeniedIngress),
		}},
		{"ICMPv6 errors that quote extension headers and fragments", []step{
			sends(ip6(guest, stranger, protoUDP, udp(7, 7)), gabion.PassEgressOpen),
			gets(refusal6.of(ip6(guest, stranger, hopByHop, extension(destination, 0, extension(protoUDP, 1, udp(7, 7)))), stranger, guest), gabion.PassICMPError),
			gets(refusal6.of(ip6(guest, stranger, destination, extension(hopByHop, 0, extension(protoUDP, 1, udp(7, 7)))), stranger, guest), gabion.DropDeniedIngress),
			gets(refusal6.of(ip6(guest, stranger, fragmented, fragment6(protoUDP, 1, 0, true, udp(7, 7))), stranger, guest), gabion.PassICMPError),
			gets(refusal6.of(ip6(guest, stranger, fragmented, fragment6(protoUDP, 1, 0, false, udp(7, 7))), stranger, guest), gabion.PassICMPError),
			gets(refusal6.of(ip6(guest, stranger, fragmented, fragment6(protoUDP, 1, 8, false, udp(7, 7))), stranger, guest), gabion.DropDeniedIngress),
			gets(refusal6.of(ip6(guest, stranger, routing, bytesAt(2, 0)(extension(protoUDP, 0, udp(7, 7)))), stranger, guest), gabion.DropDeniedIngress),
			gets(refusal6.of(ip6(guest, stranger, protoUDP, udp(7, 7), numberAt(4, 0)), stranger, guest), gabion.PassICMPError),
		}},
		{"ICMP errors in fragments, until something is revoked", []step{
			gets(ip4(peer, guest, protoUDP, udp(999, 53)), gabion.PassRule),
			gets(errorPiece(1, 0), gabion.PassICMPError),
			gets(errorPiece(1, 1), gabion.PassICMPError),
			then((*programs).bump),
			gets(errorPiece(1, 2), gabion.DropFragmentOrphan),
			gets(errorPiece(2, 0), gabion.PassICMPError), // asked anew
			gets(errorPiece(2, 1), gabion.PassICMPError),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(errorPiece(2, 2), gabion.DropFragmentOrphan),
			gets(errorPiece(3, 0), gabion.DropDeniedIngress),
		}},
		{"ICMP errors in fragments that a rule admits", []step{
			then(func(w *programs) { w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMP, 3<<8, 8) }),
			gets(errorPiece(1, 0), gabion.PassRule),
			then((*programs).bump),
			gets(errorPiece(1, 1), gabion.PassRule), // judged like its first
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.ICMP, 3<<8, 8) }),
			gets(errorPiece(1, 2), gabion.DropDeniedIngress),
		}},
		{"ICMP errors may be allowed by rules", []step{
			gets(refusal4.of(ip4(guest, peer, protoUDP, udp(7, 7)), peer, guest), gabion.DropDeniedIngress),
			then(func(w *programs) { w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMP, 3<<8, 8) }),
			gets(refusal4.of(ip4(guest, peer, protoUDP, udp(7, 7)), peer, guest), gabion.PassRule),
		}},
	},
)

func refusals(name string, f func(refusal) []step) []life {
	return []life{{"ICMP errors " + name, f(refusal4)}, {"ICMPv6 errors " + name, f(refusal6)}}
}

// errorPiece is one of the fragments of an error of the peer's that quotes an answer of the guest's.
func errorPiece(id uint16, number int) []byte {
	whole := icmp(3, 3, 0, quote(ip4(guest, peer, protoUDP, udp(53, 999, make([]byte, 40)...)))...)
	const length = 40
	whole = append(whole, make([]byte, 4*length)...)
	return ip4(peer, guest, protoICMP, whole[number*length:(number+1)*length], fragment4(id, number*length, true))
}
