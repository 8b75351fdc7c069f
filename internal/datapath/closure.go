package datapath

import (
	"cmp"
	"net/netip"
	"slices"
)

// chain is a network and the networks around it, widest first: all that hold
// its addresses. It is what the datapath calls a class, before it has a number.
type chain []netip.Prefix

// network is the one that the chain is of.
func (c chain) network() netip.Prefix { return c[len(c)-1] }

// digest names the chain by what it holds, so that it keeps its number as long as
// it means the same.
func (c chain) digest() [16]byte {
	text := make([]byte, 0, 17*len(c))
	for _, p := range c {
		address := p.Addr().As16()
		text = append(text, address[:]...)
		text = append(text, byte(mappedBits(p)))
	}
	return digest(text)
}

// chains finds the chain of each network. Networks are distinct and masked; those
// of one family never lie around those of the other.
func chains(networks []netip.Prefix) []chain {
	// An outer network sorts before what lies in it, so the ones around the current
	// one are on a stack.
	slices.SortFunc(networks, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	all := make([]chain, 0, len(networks))
	var around chain
	for _, n := range networks {
		for len(around) > 0 && !around.network().Contains(n.Addr()) {
			around = around[:len(around)-1]
		}
		around = append(around, n)
		all = append(all, slices.Clone(around))
	}
	return all
}

// mappedBits is the length of a prefix where IPv4 is written as ::ffff:a.b.c.d.
func mappedBits(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 96 + p.Bits()
	}
	return p.Bits()
}

// ipv4 is where IPv4 lies among IPv6 addresses.
var ipv4 = netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96)

// coversIPv4 tells whether an IPv6 network would catch IPv4 addresses in a map that
// holds both families.
func coversIPv4(p netip.Prefix) bool {
	return p.Addr().Is6() && p.Bits() <= ipv4.Bits() && p.Contains(ipv4.Addr())
}
