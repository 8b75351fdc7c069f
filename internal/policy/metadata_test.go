package policy_test

import (
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// Where upper layers begin in the frames below.
const (
	upper4   = 14 + 20
	upper6   = 14 + 40
	atomic6  = upper6 + 8
	options4 = upper4 + 4
)

func TestWhatTheKernelDoesAfterwards(t *testing.T) {
	request := ethernet(frame.KindARP, arp(frame.ARPRequest, nicMAC, nic4, remote4))
	announcement := ethernet(frame.KindRARP, frame.ARP{Operation: frame.RARPRequest, SenderMAC: nicMAC, TargetMAC: nicMAC, SenderIP: nic4, TargetIP: nic4}.Bytes())
	echo, echo6 := icmp(out4, frame.ICMP{Type: frame.Echo}), icmp6(out6, frame.ICMP{Type: frame.Echo6})
	withOptions := out4(frame.IPv4{Protocol: 6, Options: []byte{1, 1, 1, 1}, Payload: syn.Bytes()})
	atomic := out6(frame.IPv6{Extensions: []frame.Extension{frame.Piece(1, 0, false)}, Protocol: 6, Payload: syn.Bytes()})
	sctp := out4(frame.IPv4{Protocol: 132, Payload: make([]byte, 16)})
	strange := out4(frame.IPv4{Protocol: 58, Payload: make([]byte, 16)})
	first := out4(frame.IPv4{Protocol: 17, ID: 1, More: true, Payload: query(2)})
	first6 := out6(frame.IPv6{Extensions: []frame.Extension{frame.Piece(1, 0, true)}, Protocol: 17, Payload: query(2)})
	later := out4(frame.IPv4{Protocol: 17, ID: 1, Offset: 16, Payload: make([]byte, 8)})
	foreign := out4(frame.IPv4{Source: other4, Protocol: 6, Payload: syn.Bytes()})
	discover := udp(out4, 67, 68)
	for _, c := range []struct {
		name  string
		frame policy.Frame
		want  gabion.Reason
	}{
		{"ARP", policy.Frame{Data: request}, gabion.PassARP},
		{"ARP with a checksum", policy.Frame{Data: request, Checksum: 20}, gabion.DropMalformed},
		{"ARP with a checksum from another MAC", policy.Frame{Data: sentBy(remoteMAC, request), Checksum: 20}, gabion.DropMalformed},
		{"RARP", policy.Frame{Data: announcement}, gabion.PassARP},
		{"RARP with a checksum", policy.Frame{Data: announcement, Checksum: 40}, gabion.DropMalformed},

		{"TCP", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 16}, gabion.PassEgressOpen},
		{"TCP, a checksum over a port", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 2}, gabion.DropMalformed},
		{"TCP, a checksum over an address", policy.Frame{Data: tcp(out4, syn), Checksum: 14 + 18}, gabion.DropMalformed},
		{"TCP, a byte too early", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 15}, gabion.DropMalformed},
		{"TCP, a byte too late", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 17}, gabion.DropMalformed},
		{"TCP, where UDP has it", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 6}, gabion.DropMalformed},
		{"TCP, in the Ethernet header", policy.Frame{Data: tcp(out4, syn), Checksum: 1}, gabion.DropMalformed},
		{"TCP that stands for several", policy.Frame{Data: tcp(out4, syn), Checksum: upper4 + 16, Several: true}, gabion.PassEgressOpen},
		{"TCP behind options", policy.Frame{Data: withOptions, Checksum: options4 + 16}, gabion.PassEgressOpen},
		{"TCP behind options, as if there were none", policy.Frame{Data: withOptions, Checksum: upper4 + 16}, gabion.DropMalformed},
		{"TCP over IPv6", policy.Frame{Data: tcp6(out6, syn), Checksum: upper6 + 16}, gabion.PassEgressOpen},
		{"TCP over IPv6, elsewhere", policy.Frame{Data: tcp6(out6, syn), Checksum: upper4 + 16}, gabion.DropMalformed},
		{"atomic fragment", policy.Frame{Data: atomic, Checksum: atomic6 + 16}, gabion.PassEgressOpen},
		{"atomic fragment, as if it were none", policy.Frame{Data: atomic, Checksum: upper6 + 16}, gabion.DropMalformed},
		{"atomic fragment that stands for several", policy.Frame{Data: atomic, Several: true}, gabion.PassEgressOpen},
		{"UDP", policy.Frame{Data: udp(out4, 1, 53), Checksum: upper4 + 6}, gabion.PassEgressOpen},
		{"UDP, a checksum over a port", policy.Frame{Data: udp(out4, 1, 53), Checksum: upper4 + 2}, gabion.DropMalformed},
		{"UDP over IPv6", policy.Frame{Data: udp6(out6, 1, 53), Checksum: upper6 + 6}, gabion.PassEgressOpen},
		{"ICMP", policy.Frame{Data: echo, Checksum: upper4 + 2}, gabion.PassEgressOpen},
		{"ICMP, a checksum over the type", policy.Frame{Data: echo, Checksum: upper4}, gabion.DropMalformed},
		{"ICMPv6", policy.Frame{Data: echo6, Checksum: upper6 + 2}, gabion.PassEgressOpen},
		{"ICMPv6, a checksum over the identifier", policy.Frame{Data: echo6, Checksum: upper6 + 4}, gabion.DropMalformed},
		{"SCTP, at its beginning", policy.Frame{Data: sctp, Checksum: upper4}, gabion.PassEgressOpen},
		{"SCTP", policy.Frame{Data: sctp, Checksum: upper4 + 8}, gabion.PassEgressOpen},
		{"SCTP, before it", policy.Frame{Data: sctp, Checksum: upper4 - 1}, gabion.DropMalformed},
		{"ICMPv6 over IPv4 is another protocol", policy.Frame{Data: strange, Checksum: upper4 + 9}, gabion.PassEgressOpen},

		{"first fragment", policy.Frame{Data: first}, gabion.PassEgressOpen},
		{"first fragment with a checksum in place", policy.Frame{Data: first, Checksum: upper4 + 6}, gabion.DropMalformed},
		{"first fragment over IPv6 with a checksum in place", policy.Frame{Data: first6, Checksum: atomic6 + 6}, gabion.DropMalformed},
		{"first fragment that stands for several", policy.Frame{Data: first, Several: true}, gabion.DropFragmentInvalid},
		{"first fragment over IPv6 that stands for several", policy.Frame{Data: first6, Several: true}, gabion.DropFragmentInvalid},
		{"first fragment that does both", policy.Frame{Data: first, Checksum: upper4 + 6, Several: true}, gabion.DropMalformed},
		{"later fragment", policy.Frame{Data: later}, gabion.DropFragmentOrphan},
		{"later fragment with a checksum", policy.Frame{Data: later, Checksum: upper4 + 6}, gabion.DropMalformed},
		{"later fragment that stands for several", policy.Frame{Data: later, Several: true}, gabion.DropFragmentInvalid},

		{"tunnel", policy.Frame{Data: udp(out4, 1, 53), Encapsulated: true}, gabion.DropMalformed},
		{"tunnel from another MAC", policy.Frame{Data: sentBy(remoteMAC, udp(out4, 1, 53)), Encapsulated: true}, gabion.DropMalformed},
		{"ARP in a tunnel", policy.Frame{Data: request, Encapsulated: true}, gabion.DropMalformed},

		{"another's MAC before a checksum elsewhere", policy.Frame{Data: sentBy(remoteMAC, tcp(out4, syn)), Checksum: 1}, gabion.DropMACSpoof},
		{"a checksum elsewhere before another's address", policy.Frame{Data: foreign, Checksum: 1}, gabion.DropMalformed},
		{"another's address", policy.Frame{Data: foreign, Checksum: upper4 + 16}, gabion.DropIPSpoof},
		{"a checksum elsewhere before a DHCP server", policy.Frame{Data: discover, Checksum: 1}, gabion.DropMalformed},
		{"a tag before a tunnel", policy.Frame{Data: tcp(out4, syn), VLAN: true, Encapsulated: true}, gabion.DropVLAN},
	} {
		b := newBench(t)
		b.expect("out", c.name, b.evaluator.FromInstance(uint64(b.now), tap, c.frame), c.want)
	}

	b := newBench(t, ssh)
	frames := policy.Frame{Data: tcp(in4, syn), Checksum: 1, Several: true, Encapsulated: true}
	b.expect("in", "what others leave is not looked at", b.evaluator.ToInstance(uint64(b.now), tap, frames), gabion.PassRule)
}
