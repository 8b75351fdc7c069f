package datapath

import (
	"slices"
	"time"

	"github.com/gabion/gabion"
)

// echo makes ICMP or ICMPv6 echo of the family.
type echo struct {
	ip             packetMaker
	protocol       uint8
	request, reply uint8
}

var (
	echo4 = echo{ip4, protoICMP, 8, 0}
	echo6 = echo{ip6, protoICMPv6, 128, 129}
)

func (e echo) asks(from, to machine, id uint16) []byte {
	return e.ip(from, to, e.protocol, icmp(e.request, 0, id))
}

func (e echo) answers(from, to machine, id uint16) []byte {
	return e.ip(from, to, e.protocol, icmp(e.reply, 0, id))
}

var flowLives = slices.Concat(
	both("UDP", func(ip packetMaker) []step {
		return []step{
			gets(ip(stranger, guest, protoUDP, udp(53, 999)), gabion.DropDeniedIngress),
			sends(ip(guest, stranger, protoUDP, udp(999, 53)), gabion.PassEgressOpen),
			sends(ip(guest, stranger, protoUDP, udp(999, 53)), gabion.PassFlow),
			gets(ip(stranger, guest, protoUDP, udp(53, 998)), gabion.DropDeniedIngress),
			gets(ip(stranger, guest, protoUDP, udp(54, 999)), gabion.DropDeniedIngress),
			gets(ip(visitor, guest, protoUDP, udp(53, 999)), gabion.DropDeniedIngress),
			gets(ip(stranger, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
			after(179 * time.Second),
			gets(ip(stranger, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
			after(181 * time.Second),
			gets(ip(stranger, guest, protoUDP, udp(53, 999)), gabion.DropDeniedIngress),
			sends(ip(guest, stranger, protoUDP, udp(999, 53)), gabion.PassEgressOpen),
		}
	}),
	both("UDP that nobody answers", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassRule),
			after(29 * time.Second),
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassFlow),
			after(29 * time.Second),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassFlow),
			after(179 * time.Second),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassFlow),
			gets(ip(peer, guest, protoUDP, udp(998, 53)), gabion.PassRule),
			after(31 * time.Second),
			gets(ip(peer, guest, protoUDP, udp(998, 53)), gabion.PassRule),
		}
	}),
	both("GRE and what else has no ports", func(ip packetMaker) []step {
		return []step{
			gets(ip(stranger, guest, protoGRE, nil), gabion.DropDeniedIngress),
			gets(ip(peer, guest, protoGRE, nil), gabion.PassRule),
			sends(ip(guest, peer, protoGRE, nil), gabion.PassFlow),
			after(599 * time.Second),
			gets(ip(peer, guest, protoGRE, nil), gabion.PassFlow),
			after(601 * time.Second),
			gets(ip(peer, guest, protoGRE, nil), gabion.PassRule),
			gets(ip(peer, guest, 132, nil), gabion.DropDeniedIngress),
			sends(ip(guest, peer, 132, nil), gabion.PassEgressOpen),
			gets(ip(peer, guest, 132, nil), gabion.PassFlow),
		}
	}),
	echoes("from outside", func(e echo) []step {
		return []step{
			gets(e.asks(stranger, guest, 1), gabion.DropDeniedIngress),
			gets(e.asks(visitor, guest, 1), gabion.PassRule),
			gets(e.asks(visitor, guest, 1), gabion.PassFlow),
			gets(e.asks(visitor, guest, 2), gabion.PassRule),
			sends(e.answers(guest, visitor, 1), gabion.PassFlow),
			gets(e.answers(visitor, guest, 1), gabion.DropDeniedIngress), // of a question that the guest never asked
			gets(e.asks(visitor, guest, 1), gabion.PassFlow),
			after(31 * time.Second),
			gets(e.asks(visitor, guest, 1), gabion.PassRule),
		}
	}),
	echoes("from the guest", func(e echo) []step {
		return []step{
			gets(e.answers(stranger, guest, 1), gabion.DropDeniedIngress),
			sends(e.asks(guest, stranger, 1), gabion.PassEgressOpen),
			gets(e.answers(stranger, guest, 2), gabion.DropDeniedIngress),
			gets(e.answers(stranger, guest, 1), gabion.PassFlow),
			gets(e.answers(stranger, guest, 1), gabion.PassFlow),
			gets(e.asks(stranger, guest, 1), gabion.DropDeniedIngress),
			after(31 * time.Second),
			gets(e.answers(stranger, guest, 1), gabion.DropDeniedIngress),
			sends(e.answers(guest, stranger, 1), gabion.PassEgressOpen), // begins nothing
			sends(e.answers(guest, stranger, 1), gabion.PassEgressOpen),
		}
	}),
	both("a revoked rule cuts a flow, both ways, and revives it", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassRule),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassFlow),
			then(func(w *programs) {
				w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16)
				w.rules.closeEgress()
			}),
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.DropRevoked),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.DropRevoked),
			then(func(w *programs) { w.rules.allow(rulePeerUDP, gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassFlow),
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassFlow),
		}
	}),
	both("a revoked flow makes room for one the other way", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassRule),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassFlow),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.UDP, 53, 16) }),
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.DropRevoked),
			sends(ip(guest, peer, protoUDP, udp(53, 999)), gabion.PassEgressOpen),
			gets(ip(peer, guest, protoUDP, udp(999, 53)), gabion.PassFlow),
		}
	}),
	both("egress that closes cuts what only it admitted", func(ip packetMaker) []step {
		return []step{
			sends(ip(guest, stranger, protoTCP, web), gabion.PassEgressOpen),
			sends(ip(guest, peer, protoUDP, udp(1, 53)), gabion.PassEgressOpen),
			then(func(w *programs) {
				w.rules.allow(ruleOut, gabion.Egress, peerGroup, gabion.UDP, 53, 16)
				w.rules.closeEgress()
				w.bump()
			}),
			sends(ip(guest, stranger, protoTCP, web), gabion.DropRevoked),
			gets(ip(stranger, guest, protoTCP, tcp(80, 40000, syn|ack)), gabion.DropRevoked),
			sends(ip(guest, peer, protoUDP, udp(1, 53)), gabion.PassFlow),
			sends(ip(guest, peer, protoUDP, udp(2, 53)), gabion.PassRule),
			sends(ip(guest, peer, protoUDP, udp(2, 54)), gabion.DropDeniedEgress),
			sends(ip(guest, stranger, protoUDP, udp(2, 53)), gabion.DropDeniedEgress),
			sends(echo4.asks(guest, peer, 1), gabion.DropDeniedEgress),
		}
	}),
	both("an epoch that changes nothing changes nothing", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, ssh), gabion.PassRule),
			then((*programs).bump),
			sends(ip(guest, peer, protoTCP, tcp(22, 40000, syn|ack)), gabion.PassFlow),
			then((*programs).bump),
			gets(ip(peer, guest, protoTCP, tcp(40000, 22, ack)), gabion.PassFlow),
		}
	}),
	echoes("revoked", func(e echo) []step {
		kind := uint16(e.request) << 8
		return []step{
			gets(e.asks(visitor, guest, 1), gabion.PassRule),
			sends(e.answers(guest, visitor, 1), gabion.PassFlow),
			then(func(w *programs) {
				w.rules.revoke(gabion.Ingress, classPeer|classAny, gabion.Protocol(e.protocol), kind, 8)
			}),
			gets(e.asks(visitor, guest, 1), gabion.DropRevoked),
			sends(e.answers(guest, visitor, 1), gabion.PassEgressOpen), // by itself; the flow stays as it is
			gets(e.asks(visitor, guest, 1), gabion.DropRevoked),
			then(func(w *programs) { w.rules.closeEgress() }),
			sends(e.answers(guest, visitor, 1), gabion.DropRevoked),
			then(func(w *programs) {
				w.rules.allow(rulePing, gabion.Ingress, classPeer|classAny, gabion.Protocol(e.protocol), kind, 16)
			}),
			gets(e.asks(visitor, guest, 1), gabion.PassFlow),
			sends(e.answers(guest, visitor, 1), gabion.PassFlow),
		}
	}),
	[]life{
		{"a full table refuses what settles and keeps what is there", slices.Concat(
			conversations(0, flowLimit),
			[]step{
				sends(ip4(guest, peer, protoUDP, udp(1000, 53)), gabion.PassFlow),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassEgressOpen),
				gets(ip4(peer, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.DropTableFull),
				gets(ip4(peer, guest, protoUDP, udp(53, 999)), gabion.PassFlow), // answers still come
				gets(ip4(peer, guest, protoTCP, ssh), gabion.PassRule),
				sends(ip4(guest, peer, protoTCP, tcp(22, 40000, syn|ack)), gabion.PassFlow),
				gets(ip4(peer, guest, protoTCP, tcp(40000, 22, ack)), gabion.DropTableFull),
				gets(ip4(peer, guest, protoUDP, udp(53, 1000)), gabion.PassFlow),
				then(func(w *programs) { w.forget(gabion.UDP, 1000) }),
				gets(ip4(peer, guest, protoTCP, tcp(40000, 22, ack)), gabion.PassFlow),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.DropTableFull),
				then(func(w *programs) { w.forget(gabion.UDP, 1001) }),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassFlow),
			},
		)},
		{"questions that are answered once fill no table", slices.Concat(
			questions(4*flowLimit),
			conversations(0, flowLimit),
			[]step{
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassEgressOpen),
				gets(ip4(peer, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.DropTableFull), // what speaks again does
			},
		)},
	},
)

// conversations fills places of the guest's table.
func conversations(from, to int) (steps []step) {
	for i := from; i < to; i++ {
		steps = append(steps,
			sends(ip4(guest, peer, protoUDP, udp(uint16(1000+i), 53)), gabion.PassEgressOpen),
			gets(ip4(peer, guest, protoUDP, udp(53, uint16(1000+i))), gabion.PassFlow),
			sends(ip4(guest, peer, protoUDP, udp(uint16(1000+i), 53)), gabion.PassFlow))
	}
	return steps
}

// questions are asked by somebody who may forge where they come from, and each is answered.
func questions(n int) (steps []step) {
	for i := range n {
		steps = append(steps,
			gets(ip4(peer, guest, protoUDP, udp(uint16(1000+i), 53)), gabion.PassRule),
			sends(ip4(guest, peer, protoUDP, udp(53, uint16(1000+i))), gabion.PassFlow))
	}
	return steps
}

// forget deletes the guest's flow from a port to the peer's 53.
func (w *programs) forget(protocol gabion.Protocol, port uint16) {
	w.Helper()
	w.must(w.table.Delete(bpfFlowKey{
		Remote: addressBytes(peer.ip4), Local: addressBytes(guest.ip4), Rport: swap16(53), Lport: swap16(port), Protocol: uint8(protocol),
	}))
}

func echoes(name string, f func(echo) []step) []life {
	return []life{{"echo " + name + ", IPv4", f(echo4)}, {"echo " + name + ", IPv6", f(echo6)}}
}

var ruleLives = slices.Concat(
	both("ports, protocols and peers", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, ssh), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, web), gabion.DropDeniedIngress),
			gets(ip(peer, guest, protoUDP, udp(40000, 22)), gabion.DropDeniedIngress),
			gets(ip(visitor, guest, protoTCP, ssh), gabion.DropDeniedIngress),
			gets(ip(visitor, guest, protoTCP, web), gabion.PassRule),
			gets(ip(stranger, guest, protoTCP, ssh), gabion.DropDeniedIngress),
			gets(ip(stranger, guest, protoTCP, tcp(22, 40000, syn)), gabion.DropDeniedIngress),
		}
	}),
	both("port ranges are prefixes", func(ip packetMaker) []step {
		return []step{
			then(func(w *programs) { w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.TCP, 8000, 6) }), // 7168-8191
			gets(ip(peer, guest, protoTCP, tcp(1, 7167, syn)), gabion.DropDeniedIngress),
			gets(ip(peer, guest, protoTCP, tcp(1, 7168, syn)), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, tcp(1, 8191, syn)), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, tcp(1, 8192, syn)), gabion.DropDeniedIngress),
			gets(ip(peer, guest, protoUDP, udp(1, 8000)), gabion.DropDeniedIngress),
		}
	}),
	both("a revoked rule admits nothing new", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, tcp(2, 22, syn)), gabion.PassRule),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			gets(ip(peer, guest, protoTCP, tcp(3, 22, syn)), gabion.DropDeniedIngress),
			gets(ip(visitor, guest, protoTCP, tcp(1, 80, syn)), gabion.PassRule),
			then(func(w *programs) { w.rules.revoke(gabion.Ingress, classPeer|classAny, gabion.TCP, 80, 16) }),
			gets(ip(visitor, guest, protoTCP, tcp(2, 80, syn)), gabion.DropDeniedIngress),
			then(func(w *programs) { w.rules.allow(rulePeerSSH, gabion.Ingress, peerGroup, gabion.TCP, 22, 16) }),
			gets(ip(peer, guest, protoTCP, tcp(3, 22, syn)), gabion.PassRule),
			gets(ip(visitor, guest, protoTCP, tcp(2, 80, syn)), gabion.DropDeniedIngress),
		}
	}),
	both("a NIC that gets another policy", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.PassRule),
			then(func(w *programs) {
				w.ruleset(guestSet + 1)
				w.put(w.objects.Nics, uint32(loopback), nicOfMachine(loopback, nicSlot, guestSet+1, guest))
			}),
			gets(ip(peer, guest, protoTCP, tcp(2, 22, syn)), gabion.DropDeniedIngress), // before the epoch ends
			then((*programs).bump),
			gets(ip(peer, guest, protoTCP, tcp(2, 22, syn)), gabion.DropDeniedIngress),
			gets(ip(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.DropRevoked),
		}
	}),
	both("a NIC in the epoch that another has left", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.PassRule),
			then(func(w *programs) {
				const another = nicSlot + 2
				var left uint32
				w.must(w.objects.Epochs.Lookup(uint32(nicSlot), &left))
				w.rules.revoke(gabion.Ingress, peerGroup, gabion.TCP, 22, 16)
				w.put(w.objects.Epochs, uint32(another), left)
				w.inner(w.objects.Flows, bpfMapFlows, another, flowLimit)
				w.inner(w.objects.HalfOpen, bpfMapHalfOpen, another, 0)
				w.reattach(another)
			}),
			gets(ip(peer, guest, protoTCP, tcp(2, 22, syn)), gabion.DropDeniedIngress),
			gets(ip(visitor, guest, protoTCP, tcp(1, 80, syn)), gabion.PassRule),
		}
	}),
	both("several groups are united", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, tcp(1, 443, syn)), gabion.DropDeniedIngress),
			then(func(w *programs) {
				groups := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 31, 32, 33, 34, 35, peerGroup}
				w.member(2, peer.ip4, groups...)
				w.member(2, peer.ip6, groups...)
				w.rules.allow(ruleOut, gabion.Ingress, 33, gabion.TCP, 443, 16)
				w.rules.allow(ruleOut, gabion.Ingress, 36, gabion.TCP, 444, 16)
			}),
			gets(ip(peer, guest, protoTCP, tcp(1, 443, syn)), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, ssh), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, tcp(1, 444, syn)), gabion.DropDeniedIngress),
		}
	}),
	both("a member that is in a network, too", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, tcp(1, 80, syn)), gabion.DropDeniedIngress),
			then(func(w *programs) {
				w.rules.network(gabion.Ingress, "10.0.0.0/30", classAny)
				w.rules.network(gabion.Ingress, "2001:db8::/126", classAny)
			}),
			gets(ip(peer, guest, protoTCP, tcp(1, 80, syn)), gabion.PassRule),
			gets(ip(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.PassRule),
		}
	}),
	both("a member whose element has become another's", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, ssh), gabion.PassRule),
			then(func(w *programs) {
				w.put(w.objects.Members4, bpfMember4Key{Net: guestNet, Address: addr4(stranger.ip4)}, bpfMember{Set: 1, Tag: 9})
				w.put(w.objects.Members6, bpfMember6Key{Net: guestNet, Address: addressBytes(stranger.ip6)}, bpfMember{Set: 1, Tag: 9})
			}),
			gets(ip(stranger, guest, protoTCP, ssh), gabion.DropDeniedIngress),
			then(func(w *programs) {
				w.enroll(guestNet, stranger.ip4, 1)
				w.enroll(guestNet, stranger.ip6, 1)
			}),
			gets(ip(stranger, guest, protoTCP, ssh), gabion.PassRule),
		}
	}),
	both("an address that is a member in another organization", func(ip packetMaker) []step {
		return []step{
			gets(ip(peer, guest, protoTCP, ssh), gabion.PassRule),
			then(func(w *programs) {
				w.enroll(guestNet+1, stranger.ip4, 1)
				w.enroll(guestNet+1, stranger.ip6, 1)
			}),
			gets(ip(stranger, guest, protoTCP, ssh), gabion.DropDeniedIngress),
		}
	}),
	[]life{
		{"ICMP by type and code", []step{
			then(func(w *programs) {
				w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMP, 13<<8, 16)
				w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMPv6, 100<<8, 0)
			}),
			gets(ip4(peer, guest, protoICMP, icmp(13, 0, 1)), gabion.PassRule),
			gets(ip4(peer, guest, protoICMP, icmp(13, 0, 1)), gabion.PassRule), // leaves no state
			gets(ip4(peer, guest, protoICMP, icmp(13, 1, 1)), gabion.DropDeniedIngress),
			gets(ip4(peer, guest, protoICMP, icmp(14, 0, 1)), gabion.DropDeniedIngress),
			sends(ip4(guest, stranger, protoICMP, icmp(13, 0, 1)), gabion.PassEgressOpen),
			gets(ip4(stranger, guest, protoICMP, icmp(14, 0, 1)), gabion.DropDeniedIngress),
			gets(ip6(peer, guest, protoICMPv6, icmp(200, 7, 1)), gabion.PassRule),
			gets(ip6(peer, guest, protoICMPv6, icmp(128, 7, 1)), gabion.PassRule),
		}},
		{"echo replies may be allowed by themselves", []step{
			gets(ip4(peer, guest, protoICMP, icmp(0, 0, 1)), gabion.DropDeniedIngress),
			then(func(w *programs) { w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMP, 0, 16) }),
			gets(ip4(peer, guest, protoICMP, icmp(0, 0, 1)), gabion.PassRule),
			gets(ip4(peer, guest, protoICMP, icmp(0, 0, 1)), gabion.PassRule),
			gets(ip4(peer, guest, protoICMP, icmp(8, 0, 1)), gabion.DropDeniedIngress),
		}},
		{"the other family's ICMP has no rules", []step{
			then(func(w *programs) {
				w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMP, 0, 0)
				w.rules.allow(ruleOut, gabion.Ingress, peerGroup, gabion.ICMPv6, 0, 0)
			}),
			gets(ip4(peer, guest, protoICMP, icmp(13, 0, 1)), gabion.PassRule),
			gets(ip4(peer, guest, protoICMPv6, icmp(128, 0, 1)), gabion.DropDeniedIngress),
			gets(ip6(peer, guest, protoICMP, icmp(8, 0, 1)), gabion.DropDeniedIngress),
			sends(ip4(guest, peer, protoICMPv6, icmp(128, 0, 1)), gabion.PassEgressOpen),
			gets(ip4(peer, guest, protoICMPv6, icmp(128, 0, 1)), gabion.PassFlow),
		}},
		{"a policy that is not there yet", []step{
			gets(ip4(peer, guest, protoTCP, ssh), gabion.PassRule),
			then(func(w *programs) { w.put(w.objects.Nics, uint32(loopback), nicOfMachine(loopback, nicSlot, 99, guest)) }),
			gets(ip4(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.DropNoPolicy),
			then(func(w *programs) { w.reattach(nicSlot + 1) }),
			gets(ip4(peer, guest, protoTCP, tcp(1, 22, syn)), gabion.DropNoPolicy),
		}},
	},
)
