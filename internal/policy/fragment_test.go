package policy_test

import (
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// piece is a fragment of an IPv4 datagram from the remote.
func piece(protocol uint8, id uint16, offset int, more bool, payload []byte) []byte {
	return in4(frame.IPv4{Protocol: protocol, ID: id, Offset: offset, More: more, Payload: payload})
}

// piece6 is the same over IPv6.
func piece6(id uint32, offset int, more bool, payload []byte) []byte {
	return in6(frame.IPv6{Extensions: []frame.Extension{frame.Piece(id, offset, more)}, Protocol: 17, Payload: payload})
}

// query is a DNS query of 8·n bytes.
func query(n int) []byte {
	return frame.UDP{Source: 4000, Destination: 53, Payload: make([]byte, 8*n-8)}.Bytes()
}

func TestFragments(t *testing.T) {
	first, body := piece(17, 1, 0, true, query(2)), make([]byte, 16)
	second, last := piece(17, 1, 16, true, body), piece(17, 1, 32, false, body[:5])

	b := newBench(t, dns)
	b.in("first", first, gabion.PassRule)
	b.in("second", second, gabion.PassFlow)
	b.in("last", last, gabion.PassFlow)
	b.in("last again", last, gabion.DropFragmentOrphan)

	b = newBench(t, dns)
	b.in("later ones first", second, gabion.DropFragmentOrphan)
	b.in("first", first, gabion.PassRule)
	b.in("behind the expected place", last, gabion.DropFragmentOrphan)
	b.in("the expected one", second, gabion.PassFlow)
	b.in("overlapping", piece(17, 1, 24, true, body), gabion.DropFragmentInvalid)
	b.in("what follows", last, gabion.DropFragmentOrphan)

	b = newBench(t, dns)
	b.in("first", first, gabion.PassRule)
	b.in("with another id", piece(17, 2, 16, true, body), gabion.DropFragmentOrphan)
	b.in("of another protocol", piece(47, 1, 16, true, body), gabion.DropFragmentOrphan)
	b.in("the expected one", second, gabion.PassFlow)
	b.wait(31 * time.Second)
	b.in("too late", last, gabion.DropFragmentOrphan)

	b = newBench(t, dns)
	b.in("first", first, gabion.PassRule)
	b.setRules()
	b.in("second once the rule is gone", second, gabion.DropRevoked)
	b.setRules(dns)
	b.in("second once it is back", second, gabion.PassFlow)

	b = newBench(t)
	b.in("first without a rule", first, gabion.DropDeniedIngress)
	b.in("second", second, gabion.DropFragmentOrphan)

	b = newBench(t, dns)
	b.in("first", first, gabion.PassRule)
	b.setRules()
	b.in("first again, revoked", first, gabion.DropRevoked)
	b.setRules(dns)
	b.in("the datagram is forgotten", second, gabion.DropFragmentOrphan)
}

func TestFragmentForm(t *testing.T) {
	b := newBench(t, dns, ssh, gre)
	b.in("first that 8 does not divide", piece(17, 1, 0, true, query(2)[:15]), gabion.DropFragmentInvalid)
	b.in("first without the UDP header", piece(17, 1, 0, true, query(1)[:7]), gabion.DropFragmentInvalid)
	b.in("first with half the TCP header", piece(6, 1, 0, true, syn.Bytes()[:16]), gabion.DropFragmentInvalid)
	b.in("first with all of it", piece(6, 1, 0, true, append(syn.Bytes(), 1, 2, 3, 4)), gabion.PassRule)
	b.in("TCP at offset 8", piece(6, 1, 8, false, make([]byte, 8)), gabion.DropFragmentInvalid)
	b.in("TCP in place", piece(6, 1, 24, false, make([]byte, 8)), gabion.PassFlow)
	b.in("first whose UDP length says more", patch(piece(17, 3, 0, true, query(1)), 24, 0, 80), gabion.PassRule)
	b.in("later that 8 does not divide", piece(17, 3, 8, true, make([]byte, 15)), gabion.DropFragmentInvalid)
	b.in("later of nothing", piece(17, 3, 8, true, nil), gabion.DropFragmentInvalid)
	b.in("later past 65535", piece(17, 3, 65528, false, make([]byte, 8)), gabion.DropFragmentInvalid)
	b.in("later up to 65535", piece(17, 3, 65528, false, make([]byte, 7)), gabion.DropFragmentOrphan)
	b.in("last of nothing", piece(17, 3, 8, false, nil), gabion.PassFlow)
	b.in("a broken first", piece(47, 4, 0, true, make([]byte, 15)), gabion.DropFragmentInvalid)
	b.in("GRE", piece(47, 4, 0, true, make([]byte, 16)), gabion.PassRule)
	b.in("a broken first behind a good one", piece(47, 4, 0, true, make([]byte, 15)), gabion.DropFragmentInvalid)
	b.in("forgets nothing", piece(47, 4, 16, false, make([]byte, 3)), gabion.PassFlow)
}

func TestFragmentsOverIPv6(t *testing.T) {
	b := newBench(t, dns6)
	b.in("first", piece6(1, 0, true, query(2)), gabion.PassRule)
	b.in("second", piece6(1, 16, true, make([]byte, 8)), gabion.PassFlow)
	b.in("last, with a next header that says nothing", patch(piece6(1, 24, false, []byte{1}), 40, 58), gabion.PassFlow)
	b.in("later with 8 bytes offset is not TCP", piece6(2, 8, false, make([]byte, 8)), gabion.DropFragmentOrphan)
	b.in("first with a header behind the fragment header", in6(frame.IPv6{
		Extensions: []frame.Extension{frame.Piece(3, 0, true), frame.Options(frame.Destination, 0)},
		Protocol:   17, Payload: query(1),
	}), gabion.PassFlow)
	b.in("its end counts from the fragment header", piece6(3, 16, false, []byte{1}), gabion.PassFlow)
	b.in("the whole chain is not there", in6(frame.IPv6{
		Extensions: []frame.Extension{frame.Piece(3, 0, true)}, Protocol: 17, Payload: query(1)[:7],
	}), gabion.DropFragmentInvalid)
}

func TestFragmentsOfBothDirectionsAreApart(t *testing.T) {
	b := newBench(t, dns)
	first := frame.IPv4{Source: nic4, Destination: nic4, Protocol: 17, ID: 1, More: true, Payload: query(1)}
	later := frame.IPv4{Source: nic4, Destination: nic4, Protocol: 17, ID: 1, Offset: 8, Payload: make([]byte, 8)}
	b.out("first", out4(first), gabion.PassEgressOpen)
	b.in("later, the other way", in4(later), gabion.DropFragmentOrphan)
	b.out("later", out4(later), gabion.PassFlow)
}

func TestFragmentsOfTCPMoveNothing(t *testing.T) {
	b := newBench(t, ssh)
	b.in("SYN in a first fragment", piece(6, 1, 0, true, append(syn.Bytes(), 1, 2, 3, 4)), gabion.PassRule)
	b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.in("its later fragment establishes", piece(6, 1, 24, false, make([]byte, 8)), gabion.PassFlow)
	b.in("RST where it would have ended", fromR(frame.RST, 113, 0, ""), gabion.PassFlow)
	b.wait(time.Hour)
	b.in("still established", fromR(frame.ACK, 105, 501, ""), gabion.PassFlow)
}
