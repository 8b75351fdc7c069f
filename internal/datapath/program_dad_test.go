package datapath

import (
	"net/netip"
	"time"

	"github.com/gabion/gabion"
)

// groupOf is whom a solicitation for the address goes to: who has the address listens there.
func groupOf(a netip.Addr) machine {
	b := a.As16()
	return peer.at("ff02::1:ff00:0").behind([6]byte{0x33, 0x33, 0xff, b[13], b[14], b[15]}).ending(b[13:])
}

// ending is the machine with other last bytes of its IPv6 address.
func (m machine) ending(bytes []byte) machine {
	b := m.ip6.As16()
	copy(b[16-len(bytes):], bytes)
	m.ip6 = netip.AddrFrom16(b)
	return m
}

// detects is duplicate address detection of an address.
func detects(address string, options ...[]byte) []byte {
	a := netip.MustParseAddr(address)
	return nd(nobody, groupOf(a), neighbor(135, a, options...))
}

// speaks is a frame whose source is an IPv6 address.
func speaks(address string) []byte {
	return nd(guest.at(address), solicited, neighbor(135, peer.ip6))
}

var second = after(time.Second)

var dadLives = []life{
	{"duplicate address detection", []step{
		sends(detects(guest.ip6.String()), gabion.PassND),
		sends(detects(guestLL.ip6.String()), gabion.PassND),
		sends(detects(guest.ip6.String(), source), gabion.DropNDInvalid),
		sends(detects(peer.ip6.String()), gabion.DropNDSpoof),
		sends(detects(guest.ip6.String(), linkLayer(1, peer.mac)), gabion.DropNDSpoof),
		sends(detects("fec0::6"), gabion.DropNDSpoof),
		sends(detects("::"), gabion.DropNDSpoof),
	}},
	{"a link-local address is learned a second after its first detection", []step{
		sends(speaks("fe80::2"), gabion.DropIPSpoof),
		sends(detects("fe80::2"), gabion.PassND),
		sends(speaks("fe80::2"), gabion.DropIPSpoof),
		sends(nd(guest, allNodes, neighbor(136, netip.MustParseAddr("fe80::2"), target)), gabion.DropNDSpoof),
		gets(nd(peer, groupOf(netip.MustParseAddr("fe80::2")), neighbor(135, netip.MustParseAddr("fe80::2"))), gabion.DropNotForNIC),
		after(952 << 20), // ticks
		sends(detects("fe80::2"), gabion.PassND),
		sends(speaks("fe80::2"), gabion.DropIPSpoof),
		after(1 << 20),
		sends(speaks("fe80::2"), gabion.PassND),
		sends(ip6(guest.at("fe80::2"), peerLL, protoTCP, ssh), gabion.PassEgressOpen),
		sends(nd(guest, allNodes, neighbor(136, netip.MustParseAddr("fe80::2"), target)), gabion.PassND),
		gets(nd(peer, groupOf(netip.MustParseAddr("fe80::2")), neighbor(135, netip.MustParseAddr("fe80::2"))), gabion.PassND),
		sends(detects("fe80::2"), gabion.PassND),
		sends(speaks("fe80::2"), gabion.PassND), // still
		after((1<<32 - 10) << 20),               // nearly until the ticks of flows wrap
		sends(speaks("fe80::2"), gabion.PassND), // still
		after(20 << 20),                         // and a little longer
		sends(speaks("fe80::2"), gabion.PassND), // still
		sends(speaks("fe80::3"), gabion.DropIPSpoof),
	}},
	{"a detection that nobody hears learns nothing", []step{
		sends(nd(nobody, groupOf(private).behind([6]byte{2, 0xde, 0xad, 0, 0, 1}), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, groupOf(private).behind(everybody), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, groupOf(private).behind(solicited.mac), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, solicited.behind(groupOf(private).mac), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, allNodes.behind(groupOf(private).mac), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, peerLL.behind(groupOf(private).mac), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, groupOf(private).at("ff05::1:ff03:4").behind(groupOf(private).mac), neighbor(135, private)), gabion.DropNDInvalid),
		sends(nd(nobody, solicited, neighbor(135, guest.ip6)), gabion.DropNDInvalid), // not of one's own either
		second,
		sends(speaks(private.String()), gabion.DropIPSpoof),
		sends(detects(private.String()), gabion.PassND),
		second,
		sends(speaks(private.String()), gabion.PassND),
	}},
	{"addresses of others' MACs are not learned", []step{
		sends(detects(peerLL.ip6.String()), gabion.DropNDSpoof),
		sends(detects("fe80::ff:fe00:1"), gabion.DropNDSpoof),
		second,
		sends(speaks(peerLL.ip6.String()), gabion.DropIPSpoof),
		sends(detects("fe80::ff:fd00:1"), gabion.PassND),
	}},
	{"addresses of named routers are not learned", []step{
		sends(detects("fe80::1"), gabion.PassND),
		then(func(w *programs) {
			for _, router := range []string{"fe80::1", "fe80::2"} {
				w.name(bpfNamedKey{Kind: kindRouter, Address: addressBytes(netip.MustParseAddr(router))})
			}
			w.name(bpfNamedKey{Kind: kindDHCPServer, Address: addressBytes(netip.MustParseAddr("fe80::3"))})
		}),
		sends(detects("fe80::1"), gabion.PassND), // already
		sends(detects("fe80::2"), gabion.DropNDSpoof),
		sends(detects("fe80::3"), gabion.PassND),
		second,
		sends(speaks("fe80::2"), gabion.DropIPSpoof),
		sends(speaks("fe80::3"), gabion.PassND),
	}},
	{"four addresses are learned, and a fifth in the place of the first", []step{
		sends(detects("fe80::2"), gabion.PassND),
		sends(detects("fe80::3"), gabion.PassND),
		sends(detects("febf:ffff::4"), gabion.PassND),
		sends(detects("fe80::5"), gabion.PassND),
		second,
		sends(speaks("fe80::2"), gabion.PassND),
		sends(speaks("fe80::5"), gabion.PassND),
		sends(detects("fe80::2"), gabion.PassND), // known: nothing changes
		sends(detects("fe80::6"), gabion.PassND),
		sends(speaks("fe80::2"), gabion.DropIPSpoof),
		sends(speaks("fe80::3"), gabion.PassND),
		sends(speaks("febf:ffff::4"), gabion.PassND),
		sends(speaks("fe80::5"), gabion.PassND),
		sends(speaks("fe80::6"), gabion.DropIPSpoof),
		second,
		sends(speaks("fe80::6"), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, netip.MustParseAddr("febf:ffff::4"))), gabion.DropNotForNIC),
		sends(detects("fe80::7"), gabion.PassND), // in the free place
		sends(speaks("fe80::3"), gabion.PassND),
		sends(detects("fe80::8"), gabion.PassND), // in the place of the first
		sends(speaks("fe80::3"), gabion.DropIPSpoof),
		sends(speaks("fe80::5"), gabion.PassND),
		sends(speaks("fe80::6"), gabion.PassND),
	}},
	{"an address that somebody else has is withdrawn", []step{
		sends(detects(private.String()), gabion.PassND),
		second,
		sends(speaks(private.String()), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, netip.MustParseAddr("fe80::77"))), gabion.DropNotForNIC),
		sends(speaks(private.String()), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, private), hops(64)), gabion.DropNDInvalid),
		gets(nd(peerLL, allNodes.behind(stranger.mac), neighbor(136, private)), gabion.DropNotForNIC),
		sends(speaks(private.String()), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, private)), gabion.DropNotForNIC),
		sends(speaks(private.String()), gabion.DropIPSpoof),
		sends(detects(private.String()), gabion.PassND), // again
		second,
		sends(speaks(private.String()), gabion.PassND),
		gets(nd(peerLL, guest.at(private.String()), neighbor(136, private)), gabion.PassND),
		sends(speaks(private.String()), gabion.DropIPSpoof),
	}},
	{"an address that somebody else says to have at once is not learned", []step{
		sends(detects(private.String()), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, private)), gabion.DropNotForNIC),
		second,
		sends(speaks(private.String()), gabion.DropIPSpoof),
		sends(speaks(guestLL.ip6.String()), gabion.PassND),
		gets(nd(peerLL, allNodes, neighbor(136, guestLL.ip6)), gabion.DropNotForNIC),
		sends(speaks(guestLL.ip6.String()), gabion.PassND), // nothing takes the MAC's own
	}},
}
