package policy_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// nd is a message of neighbour discovery.
type nd struct {
	source, destination netip.Addr
	kind, code, hops    uint8 // no hops mean 255
	extensions          []frame.Extension
	body                []byte
}

func (m nd) packet() frame.IPv6 {
	if m.hops == 0 {
		m.hops = 255
	}
	return frame.IPv6{
		Source: m.source, Destination: m.destination, HopLimit: m.hops, Extensions: m.extensions, Protocol: 58,
		Payload: frame.ICMP{Type: m.kind, Code: m.code, Body: m.body}.Bytes(),
	}
}

// detection asks whether anybody has the target, in the group of who has the address.
func detection(target, address netip.Addr, options ...[]byte) []byte {
	group := frame.SolicitedNode(address)
	return addressed(frame.Multicast(group), out6(nd{
		source: netip.IPv6Unspecified(), destination: group, kind: frame.NeighborSolicitation, body: frame.About(target, options...),
	}.packet()))
}

func TestNDFromInstance(t *testing.T) {
	const ns, na, rs = frame.NeighborSolicitation, frame.NeighborAdvertisement, frame.RouterSolicitation
	anyone := netip.IPv6Unspecified()
	dad := func(target netip.Addr) []byte { return detection(target, target) }
	ask := func(source, target netip.Addr, options ...[]byte) []byte {
		return out6(nd{source: source, kind: ns, body: frame.About(target, options...)}.packet())
	}
	tell := func(source, target netip.Addr, options ...[]byte) []byte {
		return out6(nd{source: source, kind: na, body: frame.About(target, options...)}.packet())
	}
	own := frame.LinkLayer(frame.SourceLinkLayer, nicMAC)
	ownTarget := frame.LinkLayer(frame.TargetLinkLayer, nicMAC)
	nonce := []byte{14, 1, 0, 0, 0, 0, 0, 0}
	run(t, (*bench).out, []frameCase{
		{"NS", ask(nic6, remote6, own), gabion.PassND},
		{"NS from the link-local address", ask(nicLinkLocal, remote6, own), gabion.PassND},
		{"NS from another's", ask(other6, remote6, own), gabion.DropIPSpoof},
		{"NS with hop limit 254", out6(nd{kind: ns, hops: 254, body: frame.About(remote6)}.packet()), gabion.DropNDInvalid},
		{"NS with code 1", out6(nd{kind: ns, code: 1, body: frame.About(remote6)}.packet()), gabion.DropNDInvalid},
		{"NS as an atomic fragment", out6(nd{kind: ns, extensions: []frame.Extension{frame.Piece(1, 0, false)}, body: frame.About(remote6)}.packet()), gabion.DropNDInvalid},
		{"NS behind a header", out6(nd{kind: ns, extensions: []frame.Extension{frame.Options(frame.Destination, 0)}, body: frame.About(remote6)}.packet()), gabion.PassND},
		{"NS of 23 bytes", out6(nd{kind: ns, body: frame.About(remote6)[:15]}.packet()), gabion.DropMalformed},
		{"NS with another's MAC", ask(nic6, remote6, frame.LinkLayer(frame.SourceLinkLayer, remoteMAC)), gabion.DropNDSpoof},
		{"NS with another's MAC in an option that is not its own", ask(nic6, remote6, frame.LinkLayer(frame.TargetLinkLayer, remoteMAC)), gabion.PassND},
		{"NS with a MAC of 16 bytes", ask(nic6, remote6, append([]byte{1, 2}, make([]byte, 14)...)), gabion.DropNDSpoof},
		{"NS with an option of length 0", ask(nic6, remote6, []byte{14, 0, 0, 0, 0, 0, 0, 0}), gabion.DropNDInvalid},
		{"NS with an option past the end", ask(nic6, remote6, []byte{14, 2, 0, 0, 0, 0, 0, 0}), gabion.DropNDInvalid},
		{"NS with one byte of an option", ask(nic6, remote6, []byte{14}), gabion.DropNDInvalid},
		{"NS with 8 options", ask(nic6, remote6, bytes.Repeat(nonce, 8)), gabion.PassND},
		{"NS with 9 options", ask(nic6, remote6, bytes.Repeat(nonce, 9)), gabion.DropNDInvalid},
		{"NS with another's MAC in the second option", ask(nic6, remote6, nonce, frame.LinkLayer(frame.SourceLinkLayer, remoteMAC)), gabion.DropNDSpoof},
		{"NS for a multicast address", ask(nic6, allNodes, own), gabion.DropNDInvalid},
		{"DAD of an owned address", dad(nic6), gabion.PassND},
		{"DAD of the link-local address", dad(nicLinkLocal), gabion.PassND},
		{"DAD with a MAC", detection(nic6, nic6, own), gabion.DropNDInvalid},
		{"DAD of a link-local address", dad(privacyAddress), gabion.PassND},
		{"DAD of a link-local address, to another group", detection(privacyAddress, remoteLinkLocal), gabion.DropNDInvalid},
		{"DAD of a link-local address, to another MAC", addressed(remoteMAC, dad(privacyAddress)), gabion.DropNDInvalid},
		{"DAD of a link-local address, to all MACs", addressed(frame.Broadcast, dad(privacyAddress)), gabion.DropNDInvalid},
		{"DAD of a link-local address, to another group by its MAC", patch(dad(privacyAddress), 24+15, 0xff), gabion.DropNDInvalid},
		{"DAD of an owned address, to another group", detection(nic6, remote6), gabion.DropNDInvalid},
		{"DAD of the EUI-64 address of another MAC", dad(remoteLinkLocal), gabion.DropNDSpoof},
		{"DAD of another's address", dad(other6), gabion.DropNDSpoof},
		{"DAD of an address that is link-local no more", dad(netip.MustParseAddr("fec0::1")), gabion.DropNDSpoof},
		{"DAD of a multicast address", dad(allNodes), gabion.DropNDInvalid},
		{"NA", tell(nic6, nic6, ownTarget), gabion.PassND},
		{"NA from another's", tell(other6, nic6, ownTarget), gabion.DropIPSpoof},
		{"NA for another's", tell(nic6, other6, ownTarget), gabion.DropNDSpoof},
		{"NA with another's MAC", tell(nic6, nic6, frame.LinkLayer(frame.TargetLinkLayer, remoteMAC)), gabion.DropNDSpoof},
		{"NA with another's MAC in an option that is not its own", tell(nic6, nic6, frame.LinkLayer(frame.SourceLinkLayer, remoteMAC)), gabion.PassND},
		{"RS", out6(nd{source: nicLinkLocal, kind: rs, body: own}.packet()), gabion.PassND},
		{"RS from an owned address", out6(nd{source: nic6, kind: rs}.packet()), gabion.DropIPSpoof},
		{"RS with another's MAC", out6(nd{source: nicLinkLocal, kind: rs, body: frame.LinkLayer(frame.SourceLinkLayer, remoteMAC)}.packet()), gabion.DropNDSpoof},
		{"MLD query", out6(nd{source: nicLinkLocal, kind: frame.MLDQuery, hops: 1}.packet()), gabion.DropRouter},
		{"MLD done", out6(nd{source: nicLinkLocal, kind: frame.MLDDone, hops: 1}.packet()), gabion.PassND},
		{"MLD report", out6(nd{source: nicLinkLocal, kind: frame.MLDReport, hops: 1}.packet()), gabion.PassND},
		{"MLD report from ::", out6(nd{source: anyone, kind: frame.MLDv2Report, hops: 1}.packet()), gabion.PassND},
		{"MLD report from an owned address", out6(nd{source: nic6, kind: frame.MLDReport, hops: 1}.packet()), gabion.DropNDInvalid},
		{"MLD report with hop limit 2", out6(nd{source: nicLinkLocal, kind: frame.MLDReport, hops: 2}.packet()), gabion.DropNDInvalid},
		{"MLD report as an atomic fragment", out6(nd{source: nicLinkLocal, kind: frame.MLDReport, hops: 1, extensions: []frame.Extension{frame.Piece(1, 0, false)}}.packet()), gabion.DropNDInvalid},
	})
}

func TestNDToInstance(t *testing.T) {
	const ns, na, ra = frame.NeighborSolicitation, frame.NeighborAdvertisement, frame.RouterAdvertisement
	toAll := func(m nd) []byte { return addressed(frame.Multicast(allNodes), in6(m.packet())) }
	advertisement := nd{source: remoteLinkLocal, destination: allNodes, kind: ra, body: make([]byte, 8)}
	query := nd{source: remoteLinkLocal, destination: allNodes, kind: frame.MLDQuery, hops: 1}
	atomic := []frame.Extension{frame.Piece(1, 0, false)}
	first := []frame.Extension{frame.Piece(1, 0, true)}
	run(t, (*bench).in, []frameCase{
		{"NS for an owned address", toAll(nd{kind: ns, body: frame.About(nic6)}), gabion.PassND},
		{"NS for the link-local address", toAll(nd{kind: ns, body: frame.About(nicLinkLocal)}), gabion.PassND},
		{"NS for a neighbour's", toAll(nd{kind: ns, body: frame.About(other6)}), gabion.DropNotForNIC},
		{"NS with hop limit 254", toAll(nd{kind: ns, hops: 254, body: frame.About(nic6)}), gabion.DropNDInvalid},
		{"NS with code 1", toAll(nd{kind: ns, code: 1, body: frame.About(nic6)}), gabion.DropNDInvalid},
		{"NS of 23 bytes", toAll(nd{kind: ns, body: frame.About(nic6)[:15]}), gabion.DropNDInvalid},
		{"NS as an atomic fragment", toAll(nd{kind: ns, extensions: atomic, body: frame.About(nic6)}), gabion.DropNDInvalid},
		{"NS as a first fragment", toAll(nd{kind: ns, extensions: first, body: frame.About(nic6)}), gabion.DropNDInvalid},
		{"NA to the NIC", in6(nd{kind: na, body: frame.About(remote6)}.packet()), gabion.PassND},
		{"NA to all", toAll(nd{kind: na, body: frame.About(remote6)}), gabion.DropNotForNIC},
		{"RA", toAll(advertisement), gabion.PassND},
		{"RA of 15 bytes", toAll(nd{source: remoteLinkLocal, kind: ra, body: make([]byte, 7)}), gabion.DropNDInvalid},
		{"RA from no link-local address", toAll(nd{source: remote6, kind: ra, body: make([]byte, 8)}), gabion.DropNotForNIC},
		{"MLD query", toAll(query), gabion.PassND},
		{"MLD query to the NIC", in6(query.packet()), gabion.PassND},
		{"MLD query to another MAC", addressed(remoteMAC, in6(query.packet())), gabion.DropNotForNIC},
		{"MLD query from no link-local address", toAll(nd{source: remote6, destination: allNodes, kind: frame.MLDQuery, hops: 1}), gabion.DropNotForNIC},
		{"MLD query from ::", toAll(nd{source: netip.IPv6Unspecified(), destination: allNodes, kind: frame.MLDQuery, hops: 1}), gabion.DropNotForNIC},
		{"MLD query with hop limit 2", toAll(nd{source: remoteLinkLocal, destination: allNodes, kind: frame.MLDQuery, hops: 2}), gabion.DropNotForNIC},
		{"MLD query as an atomic fragment", toAll(nd{source: remoteLinkLocal, destination: allNodes, kind: frame.MLDQuery, hops: 1, extensions: atomic}), gabion.DropNotForNIC},
		{"MLD report", toAll(nd{source: remoteLinkLocal, destination: allNodes, kind: frame.MLDReport, hops: 1}), gabion.DropNotForNIC},
		{"RS to all", toAll(nd{kind: frame.RouterSolicitation}), gabion.DropNotForNIC},
		{"ICMPv6 redirect", in6(nd{kind: frame.Redirect6, body: make([]byte, 32)}.packet()), gabion.DropDeniedIngress},
	})

	b := newBench(t)
	b.configure(policy.Config{Routers: []netip.Addr{privacyAddress}})
	b.in("RA of a router that nobody named", toAll(advertisement), gabion.DropNotForNIC)
	b.configure(policy.Config{Routers: []netip.Addr{remoteLinkLocal}})
	b.in("RA of a named router", toAll(advertisement), gabion.PassND)
}
