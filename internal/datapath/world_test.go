package datapath_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"pgregory.net/rapid"
)

// numbers gives numbers as the datapath does, without a kernel.
type numbers map[datapath.ID]uint32

func (n numbers) Number(k datapath.Kind, name [16]byte) (uint32, error) {
	id := datapath.ID{Kind: k, Name: name}
	if _, ok := n[id]; !ok {
		n[id] = uint32(len(n) + 1)
	}
	return n[id], nil
}

var roomy = datapath.Limits{
	NICs: 1024, PolicySets: 2048, RemoteSets: 65536, Rules: 65536,
	Members: 1 << 20, Policies: 1 << 18, CIDRs: 1 << 16,
}

// The random worlds are small and dense, so that everything meets everything.
const (
	worldGroups    = 6
	worldInstances = 3
	worldMembers   = 6
)

func groupID(n int) string { return fmt.Sprintf("group-%d", n) }

// groupsOf are the numbers of an organization's first and last group.
func groupsOf(organization string) (first, last int) {
	if organization == "org-b" {
		return 4, worldGroups - 1
	}
	return 0, 3
}

func organizationOf(group int) string {
	if group < 4 {
		return "org-a"
	}
	return "org-b"
}

// drawView is a host's view: any instances, groups, rules, sources and members,
// each group named or not.
func drawView(t *rapid.T) *policy.View {
	v := policy.NewView()
	for n := range worldGroups {
		v.Groups[groupID(n)] = drawGroup(t, n)
	}
	for n := range worldInstances {
		if i := drawInstance(t, n); i != nil {
			v.Instances[i.ID] = i
		}
	}
	for n := range worldMembers {
		if m := drawMember(t, n); m != nil {
			v.Members[m.Instance] = m
		}
	}
	return v
}

func drawGroup(t *rapid.T, n int) *policy.Group {
	g := &policy.Group{ID: groupID(n), Organization: organizationOf(n), Name: groupID(n)}
	for r := range rapid.IntRange(0, 5).Draw(t, "rules") {
		g.Rules = append(g.Rules, drawRule(t, fmt.Sprintf("rule-%d-%d", n, r), g.ID))
	}
	g.Sources = distinct(rapid.SliceOfN(drawNetwork(), 0, 2).Draw(t, "sources"))
	return g
}

func distinct(networks []netip.Prefix) []netip.Prefix {
	seen := map[netip.Prefix]bool{}
	for _, n := range networks {
		seen[n] = true
	}
	return slices.SortedFunc(maps.Keys(seen), netip.Prefix.Compare)
}

// drawNetwork nests often, in both families, down to single addresses and up to /0.
func drawNetwork() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := drawAddress().Draw(t, "address")
		lengths := []int{0, 7, 8, 23, 24, 30, 32}
		if a.Is6() {
			lengths = []int{0, 16, 64, 80, 96, 126, 128}
		}
		return netip.PrefixFrom(a, rapid.SampledFrom(lengths).Draw(t, "length")).Masked()
	})
}

func drawAddress() *rapid.Generator[netip.Addr] {
	return rapid.SampledFrom([]netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1"),
		netip.MustParseAddr("11.0.0.1"), netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("0.0.0.1"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db9::1"),
		netip.MustParseAddr("::1"), netip.MustParseAddr("::fffe:0:1"),
	})
}

func drawRule(t *rapid.T, id, group string) gabion.Rule {
	r := gabion.Rule{
		ID: id, Group: group,
		Direction: rapid.SampledFrom([]gabion.Direction{gabion.Ingress, gabion.Egress}).Draw(t, "direction"),
		Protocol:  rapid.SampledFrom([]gabion.Protocol{gabion.TCP, gabion.UDP, gabion.ICMP, gabion.ICMPv6, gabion.GRE}).Draw(t, "protocol"),
	}
	switch {
	case r.Protocol.HasPorts():
		r.Ports = drawPorts(t)
	case r.Protocol.IsICMP():
		r.ICMP = drawICMP(t)
	}
	if rapid.Bool().Draw(t, "by group") {
		r.Peer.Group = groupID(rapid.IntRange(0, worldGroups-1).Draw(t, "peer"))
	} else {
		r.Peer.Network = drawNetwork().Draw(t, "network")
	}
	if r.Validate() != nil { // ICMP of the other family
		r.Protocol, r.ICMP = gabion.TCP, gabion.ICMPMatch{}
	}
	return r
}

func drawPorts(t *rapid.T) gabion.PortRange {
	if rapid.Bool().Draw(t, "any port") {
		return gabion.PortRange{}
	}
	ports := rapid.SampledFrom([]uint16{1, 22, 79, 80, 81, 443, 1023, 1024, 32768, 65534, 65535})
	a, b := ports.Draw(t, "a port"), ports.Draw(t, "another")
	return gabion.PortRange{Start: min(a, b), End: max(a, b)}
}

func drawICMP(t *rapid.T) gabion.ICMPMatch {
	return rapid.SampledFrom([]gabion.ICMPMatch{
		gabion.AnyICMP, {Type: 0, Code: 0}, {Type: 3, Code: -1}, {Type: 3, Code: 4}, {Type: 8, Code: 0}, {Type: 255, Code: 255},
	}).Draw(t, "icmp")
}

func drawGroups(t *rapid.T, organization string) []string {
	first, last := groupsOf(organization)
	n := rapid.SliceOfNDistinct(rapid.IntRange(first, last), 1, 2, rapid.ID[int]).Draw(t, "groups")
	ids := make([]string, len(n))
	for i := range n {
		ids[i] = groupID(n[i])
	}
	slices.Sort(ids)
	return ids
}

func drawInstance(t *rapid.T, n int) *gabion.Instance {
	if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
		return nil
	}
	organization := rapid.SampledFrom([]string{"org-a", "org-b"}).Draw(t, "organization")
	return &gabion.Instance{
		ID: fmt.Sprintf("instance-%d", n), Organization: organization,
		Groups: drawGroups(t, organization),
		NICs: []gabion.NIC{{
			Interface: interfaceName(n), MAC: gabion.MAC{2, 0, 0, 0, 0, byte(n)},
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), netip.AddrFrom16([16]byte{0xfd, 15: byte(n)})},
		}},
	}
}

func interfaceName(n int) string { return fmt.Sprintf("tap%d", n) }

// links has all interfaces of the random worlds.
func links() map[string]int {
	l := map[string]int{}
	for n := range worldInstances {
		l[interfaceName(n)] = 100 + n
	}
	return l
}

func drawMember(t *rapid.T, n int) *policy.Member {
	if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
		return nil
	}
	organization := rapid.SampledFrom([]string{"org-a", "org-a", "org-b"}).Draw(t, "organization")
	return &policy.Member{
		Instance: fmt.Sprintf("member-%d", n), Organization: organization,
		Addresses: []netip.Addr{drawAddress().Draw(t, "address"), drawAddress().Draw(t, "other address")},
		Groups:    drawGroups(t, organization),
	}
}

func drawQuestion(t *rapid.T) question {
	return question{
		ifindex:   uint32(100 + rapid.IntRange(0, worldInstances-1).Draw(t, "nic")),
		direction: rapid.SampledFrom([]gabion.Direction{gabion.Ingress, gabion.Egress}).Draw(t, "direction"),
		remote:    drawAddress().Draw(t, "remote"),
		protocol:  rapid.SampledFrom([]gabion.Protocol{gabion.TCP, gabion.UDP, gabion.ICMP, gabion.ICMPv6, gabion.GRE, gabion.ESP}).Draw(t, "protocol"),
		port:      drawPort(t),
	}
}

func drawPort(t *rapid.T) uint16 {
	return rapid.OneOf(
		rapid.SampledFrom([]uint16{0, 1, 2, 21, 22, 23, 80, 443, 0x0300, 0x0304, 0x0800, 1023, 1024, 32767, 32768, 65535}),
		rapid.Uint16(),
	).Draw(t, "port")
}

// instanceAt is the instance whose interface has that ifindex.
func instanceAt(v *policy.View, ifindex uint32) *gabion.Instance {
	return v.Instances[fmt.Sprintf("instance-%d", ifindex-100)]
}
