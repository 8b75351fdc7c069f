package traffic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// nic is a NIC of the host, as its frames need it.
type nic struct {
	gabion.NIC
	organization string
}

// zone is the objects as they are, and what becomes of them.
type zone struct {
	*rand.Rand
	revision  int64
	groups    map[string]*gabion.Group
	rules     map[string]*gabion.Rule
	instances map[string]*gabion.Instance
	nics      map[string]*nic // of the host, by interface; those that are gone too
	strict    map[string]bool // organizations that have egress rules
	muted     []*gabion.Rule  // away for a while
	lastRule  int
}

var organizations = []string{"blue", "red"}

// The organizations use the same addresses. Interfaces tap0 and tap1 are blue's,
// tap2 and tap3 red's.
const nicsPerOrganization = 2

// Interfaces are all that a script's instances have.
func Interfaces() []string { return []string{"tap0", "tap1", "tap2", "tap3"} }

func group(organization string, n int) string { return fmt.Sprintf("%s-%d", organization, n) }

const groupsPerOrganization = 4

// Addresses: of the host's NICs, of members elsewhere, of nobody, of external sources.
func local4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + n)}) }
func local6(n int) netip.Addr { return v6(uint16(1 + n)) }
func away4(n int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + n)}) }
func away6(n int) netip.Addr  { return v6(uint16(0x10 + n)) }

func v6(n uint16) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 14: byte(n >> 8), 15: byte(n)})
}

var (
	strangers4 = []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("198.51.100.7")}
	strangers6 = []netip.Addr{netip.MustParseAddr("2001:db9::1"), netip.MustParseAddr("2001:dba::7")}
	gateway    = gabion.MAC{2, 0xff, 0, 0, 0, 1}

	networks4 = parse("0.0.0.0/0", "10.0.0.0/24", "10.0.0.8/29", "10.0.0.11/32", "203.0.113.0/24")
	networks6 = parse("::/0", "2001:db8::/64", "2001:db8::10/127", "2001:db9::/32", "fe80::/10")
	sources   = parse("198.51.100.0/24", "2001:dba::/32", "203.0.113.1/32", "10.0.0.12/30")
)

func parse(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for k, s := range texts {
		all[k] = netip.MustParsePrefix(s)
	}
	return all
}

func newZone(r *rand.Rand) *zone {
	return &zone{
		Rand:      r,
		groups:    map[string]*gabion.Group{},
		rules:     map[string]*gabion.Rule{},
		instances: map[string]*gabion.Instance{},
		nics:      map[string]*nic{},
		strict:    map[string]bool{},
	}
}

// begin makes up the first objects.
func (z *zone) begin() *policy.Change {
	c := z.next()
	for _, organization := range organizations {
		z.strict[organization] = z.IntN(3) == 0
		for n := range groupsPerOrganization {
			z.set(c, z.newGroup(organization, n))
			z.set(c, z.wide(z.newRule(organization)))
		}
		for range 12 {
			z.set(c, z.newRule(organization))
		}
		for n := range nicsPerOrganization {
			z.set(c, z.newLocal(organization, n))
		}
		for n := range 3 {
			z.set(c, z.newAway(organization, n))
		}
	}
	return c
}

func (z *zone) next() *policy.Change {
	z.revision++
	return &policy.Change{Revision: z.revision}
}

// set puts an object into the zone and the change.
func (z *zone) set(c *policy.Change, object any) {
	switch o := object.(type) {
	case *gabion.Group:
		z.groups[o.ID] = o
		c.Groups = append(c.Groups, o)
	case *gabion.Rule:
		z.rules[o.ID] = o
		c.Rules = append(c.Rules, o)
	case *gabion.Instance:
		z.instances[o.ID] = o
		c.Instances = append(c.Instances, o)
		if o.Host == Host {
			for _, n := range o.NICs {
				z.nics[n.Interface] = &nic{NIC: n, organization: o.Organization}
			}
		}
	}
}

// anyDirection rarely turns the egress switch of an organization that has no need of it.
func (z *zone) anyDirection(organization string) gabion.Direction {
	if z.strict[organization] {
		return gabion.Direction(z.IntN(2))
	}
	return mostly(z.Rand, 60, gabion.Ingress, gabion.Egress)
}

// wide makes a rule admit more: all of its protocol, from everywhere.
func (z *zone) wide(r *gabion.Rule) *gabion.Rule {
	r.Ports = gabion.PortRange{}
	r.Peer = gabion.Peer{Network: pick(z.Rand, networks4[0], networks6[0])}
	if r.Protocol.IsICMP() {
		r.Protocol, r.ICMP, r.Peer.Network = gabion.ICMP, gabion.AnyICMP, networks4[0]
		if z.IntN(2) == 0 {
			r.Protocol, r.Peer.Network = gabion.ICMPv6, networks6[0]
		}
	}
	return r
}

func (z *zone) newGroup(organization string, n int) *gabion.Group {
	g := &gabion.Group{ID: group(organization, n), Organization: organization, Name: "group"}
	if z.IntN(2) == 0 {
		g.Sources = []netip.Prefix{pick(z.Rand, sources...)}
	}
	return g
}

// newRule names a group of its own organization, but for one time in thirty.
func (z *zone) newRule(organization string) *gabion.Rule {
	z.lastRule++
	r := &gabion.Rule{
		ID:        fmt.Sprintf("rule-%d", z.lastRule),
		Group:     group(organization, z.IntN(groupsPerOrganization)),
		Direction: z.anyDirection(organization),
		Protocol: pick(z.Rand, gabion.TCP, gabion.TCP, gabion.TCP, gabion.UDP, gabion.UDP, gabion.ICMP, gabion.ICMPv6,
			gabion.GRE, gabion.ESP, gabion.AH, gabion.IPIP),
	}
	switch {
	case r.Protocol.HasPorts():
		r.Ports = pick(z.Rand, gabion.PortRange{}, gabion.PortRange{Start: 22, End: 22}, gabion.PortRange{Start: 53, End: 80}, gabion.PortRange{Start: 1, End: 65535})
	case r.Protocol.IsICMP():
		r.ICMP = pick(z.Rand, gabion.AnyICMP, gabion.ICMPMatch{Type: 8, Code: -1}, gabion.ICMPMatch{Type: 128, Code: 0},
			gabion.ICMPMatch{Type: 0, Code: 0}, gabion.ICMPMatch{Type: 129, Code: -1}, gabion.ICMPMatch{Type: 3, Code: 1}, gabion.ICMPMatch{Type: 1, Code: -1})
	}
	if z.IntN(2) == 0 {
		other := organizations[z.IntN(2)]
		r.Peer.Group = group(mostly(z.Rand, 15, organization, other), z.IntN(groupsPerOrganization))
	} else {
		r.Peer.Network = pick(z.Rand, slices.Concat(networks4, networks6)...)
	}
	return r
}

// newLocal is an instance of this host with one NIC. One in forty lists a group
// that it can't have.
func (z *zone) newLocal(organization string, n int) *gabion.Instance {
	at := n + nicsPerOrganization*slices.Index(organizations, organization)
	groups := z.someGroups(organization)
	if z.IntN(40) == 0 {
		groups = append(groups, pick(z.Rand, "nowhere", "blue-0", "red-0"))
	}
	addresses := []netip.Addr{local4(n), local6(n)}
	if z.IntN(3) == 0 {
		addresses = append(addresses, netip.AddrFrom4([4]byte{10, 0, 0, byte(101 + n)}), v6(uint16(0x101+n)))
	}
	return &gabion.Instance{
		ID: fmt.Sprintf("local-%d", at), Organization: organization, Host: Host, Groups: groups,
		NICs: []gabion.NIC{{Interface: Interfaces()[at], MAC: gabion.MAC{2, 0, 0, 0, 0, byte(1 + at)}, Addresses: addresses}},
	}
}

func (z *zone) newAway(organization string, n int) *gabion.Instance {
	return &gabion.Instance{
		ID: fmt.Sprintf("away-%s-%d", organization, n), Organization: organization, Host: "elsewhere", Groups: z.someGroups(organization),
		NICs: []gabion.NIC{{Interface: "tap0", Addresses: []netip.Addr{away4(n), away6(n)}}},
	}
}

func (z *zone) someGroups(organization string) []string {
	var groups []string
	for n := range groupsPerOrganization {
		if z.IntN(2) == 0 {
			groups = append(groups, group(organization, n))
		}
	}
	if groups == nil {
		return []string{group(organization, 0)}
	}
	return groups
}

// change is what an operator or a tenant does next: most often to rules, and most
// of what goes comes back. Several things at once are not what one call does.
func (z *zone) change() Step {
	c, things := z.next(), 1
	if z.IntN(3) == 0 {
		things = 2 + z.IntN(2)
	}
	organization := pick(z.Rand, organizations...)
	for range things {
		switch k := z.IntN(20); {
		case k < 4:
			z.set(c, z.newRule(organization))
		case k < 6:
			z.set(c, z.wide(z.newRule(organization)))
		case k < 9:
			z.removeRule(c)
		case k < 13:
			z.mute(c, organization)
		case k < 14:
			z.turnEgress(c, organization)
		case k < 15:
			z.set(c, z.newGroup(organization, z.IntN(groupsPerOrganization)))
		case k < 17:
			z.set(c, z.newAway(organization, z.IntN(3)))
		case k < 19:
			z.set(c, z.newLocal(organization, z.IntN(nicsPerOrganization)))
		default:
			z.removeInstance(c)
		}
	}
	return Step{Change: c, One: things == 1}
}

func (z *zone) removeRule(c *policy.Change) {
	if len(z.rules) > 0 {
		z.remove(c, pick(z.Rand, slices.Sorted(maps.Keys(z.rules))...))
	}
}

func (z *zone) remove(c *policy.Change, rules ...string) {
	for _, id := range rules {
		delete(z.rules, id)
		c.GoneRules = append(c.GoneRules, id)
	}
}

// mute takes most rules away for a while, and the next time brings them back.
func (z *zone) mute(c *policy.Change, organization string) {
	if len(z.muted) > 0 {
		for _, r := range z.muted {
			z.set(c, r)
		}
		z.muted = nil
		return
	}
	for _, id := range z.rulesOf(organization) {
		if z.IntN(4) > 0 {
			z.muted = append(z.muted, z.rules[id])
			z.remove(c, id)
		}
	}
}

// turnEgress turns the egress switch.
func (z *zone) turnEgress(c *policy.Change, organization string) {
	opened := false
	for _, id := range z.rulesOf(organization) {
		if z.rules[id].Direction == gabion.Egress {
			z.remove(c, id)
			opened = true
		}
	}
	if !opened {
		for range 3 {
			r := z.newRule(organization)
			r.Direction = gabion.Egress
			z.set(c, r)
		}
	}
}

func (z *zone) rulesOf(organization string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(z.rules)) {
		if z.groups[z.rules[id].Group].Organization == organization {
			ids = append(ids, id)
		}
	}
	return ids
}

func (z *zone) removeInstance(c *policy.Change) {
	if len(z.instances) == 0 {
		return
	}
	id := pick(z.Rand, slices.Sorted(maps.Keys(z.instances))...)
	delete(z.instances, id)
	c.GoneInstances = append(c.GoneInstances, id)
}

func (z *zone) anyNIC() *nic { return z.nics[pick(z.Rand, Interfaces()...)] }

// step is a frame that goes that way by the NIC.
func (z *zone) step(n *nic, way gabion.Direction, data []byte) Step {
	return Step{NIC: n.Interface, Way: way, Frame: data}
}

// address is one that the NIC owns, of that IP version.
func (z *zone) address(n *nic, isIPv6 bool) netip.Addr {
	var own []netip.Addr
	for _, a := range n.Addresses {
		if a.Is6() == isIPv6 {
			own = append(own, a)
		}
	}
	return pick(z.Rand, own...)
}

// remote is an address that is not the NIC's own: a member's, or a stranger's.
func (z *zone) remote(n *nic, isIPv6 bool) netip.Addr {
	all := append([]netip.Addr{local4(0), local4(1), away4(0), away4(1), away4(2)}, strangers4...)
	if isIPv6 {
		all = append([]netip.Addr{local6(0), local6(1), away6(0), away6(1), away6(2), gateway.LinkLocal()}, strangers6...)
	}
	return pick(z.Rand, slices.DeleteFunc(all, func(a netip.Addr) bool { return slices.Contains(n.Addresses, a) })...)
}
