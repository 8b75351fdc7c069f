package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// aSecond is one in ticks, and just is a tick.
const (
	just    = 1 << 20 * time.Nanosecond
	aSecond = 953 * just
)

// nth is a link-local address that an instance may make up.
func nth(n byte) netip.Addr { return netip.AddrFrom16([16]byte{0xfe, 0x80, 15: n}) }

// asks is duplicate address detection as it should be.
func (b *bench) asks(what string, target netip.Addr, want gabion.Reason) {
	b.Helper()
	b.out(what, detection(target, target), want)
}

// sendsFrom opens a connection from the address.
func (b *bench) sendsFrom(what string, source netip.Addr, want gabion.Reason) {
	b.Helper()
	b.out(what, out6(frame.IPv6{Source: source, Protocol: 6, Payload: syn.Bytes()}), want)
}

// defended is somebody else's answer that the address is theirs.
func defended(a netip.Addr) []byte {
	m := nd{source: a, destination: allNodes, kind: frame.NeighborAdvertisement, body: frame.About(a)}
	return addressed(frame.Multicast(allNodes), in6(m.packet()))
}

func TestLearnedAddressesCountAfterASecond(t *testing.T) {
	b := newBench(t)
	b.now = b.now.Truncate(just)
	solicits := out6(nd{source: privacyAddress, kind: frame.NeighborSolicitation, body: frame.About(remote6)}.packet())
	solicited := addressed(frame.Multicast(allNodes), in6(nd{kind: frame.NeighborSolicitation, body: frame.About(privacyAddress)}.packet()))
	reaches := in6(frame.IPv6{Destination: privacyAddress, Protocol: 6, Payload: syn.Bytes()})
	b.sendsFrom("before it is learned", privacyAddress, gabion.DropIPSpoof)
	b.asks("detection", privacyAddress, gabion.PassND)
	b.sendsFrom("at once", privacyAddress, gabion.DropIPSpoof)
	b.out("solicits at once", solicits, gabion.DropIPSpoof)
	b.in("is solicited at once", solicited, gabion.DropNotForNIC)
	b.in("is reached at once", reaches, gabion.DropNotOwned)
	b.wait(aSecond / 2)
	b.asks("detection again does not begin anew", privacyAddress, gabion.PassND)
	b.wait(aSecond - aSecond/2 - just)
	b.sendsFrom("a tick before a second", privacyAddress, gabion.DropIPSpoof)
	b.wait(just)
	b.sendsFrom("after a second", privacyAddress, gabion.PassEgressOpen)
	b.out("solicits after a second", solicits, gabion.PassND)
	b.in("is solicited after a second", solicited, gabion.PassND)
	b.in("is reached after a second", reaches, gabion.DropDeniedIngress)
	b.asks("detection once more", privacyAddress, gabion.PassND)
	b.setRules(ssh)
	b.sendsFrom("under other rules", privacyAddress, gabion.PassFlow)
}

func TestFourAddressesAreLearned(t *testing.T) {
	b := newBench(t)
	for n := range byte(4) {
		b.asks("detection of one of four", nth(n+1), gabion.PassND)
		b.wait(aSecond)
	}
	b.sendsFrom("the first", nth(1), gabion.PassEgressOpen)
	b.asks("the second again stays the second", nth(2), gabion.PassND)
	b.asks("a fifth", nth(5), gabion.PassND)
	b.sendsFrom("the fifth took the place of the first", nth(1), gabion.DropIPSpoof)
	b.sendsFrom("but does not count yet", nth(5), gabion.DropIPSpoof)
	b.wait(aSecond)
	b.sendsFrom("now it does", nth(5), gabion.PassEgressOpen)
	b.sendsFrom("the second stayed", nth(2), gabion.PassEgressOpen)
	b.asks("a sixth", nth(6), gabion.PassND)
	b.sendsFrom("it took the place of the second", nth(2), gabion.DropIPSpoof)
	b.sendsFrom("the third stayed", nth(3), gabion.PassEgressOpen)
}

func TestLearnedAddressesAreWithdrawn(t *testing.T) {
	b := newBench(t)
	b.asks("detection", privacyAddress, gabion.PassND)
	b.asks("of another", nth(1), gabion.PassND)
	b.in("somebody has it, within the second", defended(privacyAddress), gabion.DropNotForNIC)
	b.wait(aSecond)
	b.sendsFrom("withdrawn", privacyAddress, gabion.DropIPSpoof)
	b.sendsFrom("the other is not", nth(1), gabion.PassEgressOpen)

	b.asks("detection again", privacyAddress, gabion.PassND)
	b.wait(aSecond)
	b.sendsFrom("it counts", privacyAddress, gabion.PassEgressOpen)
	b.in("somebody has another", defended(nth(7)), gabion.DropNotForNIC)
	b.sendsFrom("it stays", privacyAddress, gabion.PassFlow)
	b.in("somebody has it, after the second", defended(privacyAddress), gabion.DropNotForNIC)
	b.sendsFrom("withdrawn again", privacyAddress, gabion.DropIPSpoof)
	b.asks("detection once more", privacyAddress, gabion.PassND)
	b.sendsFrom("begins a second of its own", privacyAddress, gabion.DropIPSpoof)
	b.in("who has it tells the NIC alone", in6(nd{source: privacyAddress, kind: frame.NeighborAdvertisement, body: frame.About(privacyAddress)}.packet()), gabion.PassND)
	b.wait(aSecond)
	b.sendsFrom("withdrawn as well", privacyAddress, gabion.DropIPSpoof)
}

func TestRoutersAddressesAreNotLearned(t *testing.T) {
	b := newBench(t)
	b.configure(policy.Config{Routers: []netip.Addr{privacyAddress}})
	b.asks("a named router's", privacyAddress, gabion.DropNDSpoof)
	b.asks("nobody's", nth(1), gabion.PassND)
	b.configure(policy.Config{})
	b.asks("with no router named", privacyAddress, gabion.PassND)
}
