package policy_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// zone is the plain set of objects that a World is held against.
type zone struct {
	groups    map[string]*gabion.Group
	rules     map[string]*gabion.Rule
	instances map[string]*gabion.Instance
}

func newZone() *zone {
	return &zone{
		groups:    map[string]*gabion.Group{},
		rules:     map[string]*gabion.Rule{},
		instances: map[string]*gabion.Instance{},
	}
}

func (z *zone) apply(c policy.Change) {
	for _, g := range c.Groups {
		z.groups[g.ID] = g
	}
	for _, r := range c.Rules {
		z.rules[r.ID] = r
	}
	for _, i := range c.Instances {
		z.instances[i.ID] = i
	}
	for _, id := range c.GoneGroups {
		delete(z.groups, id)
	}
	for _, id := range c.GoneRules {
		delete(z.rules, id)
	}
	for _, id := range c.GoneInstances {
		delete(z.instances, id)
	}
}

// all is the objects, as a store's snapshot has them.
func (z *zone) all(revision int64) policy.Change {
	return policy.Change{
		Revision: revision, Groups: slices.Collect(maps.Values(z.groups)),
		Rules: slices.Collect(maps.Values(z.rules)), Instances: slices.Collect(maps.Values(z.instances)),
	}
}

// view spells out what a host needs, from nothing but the objects.
func (z *zone) view(host string) *policy.View {
	v := policy.NewView()
	held, named := map[string]bool{}, map[string]bool{}
	for id, i := range z.instances {
		if i.Host != host {
			continue
		}
		v.Instances[id] = i
		for _, g := range i.Groups {
			if z.holds(i, g) {
				held[g] = true
			}
		}
	}
	for _, r := range z.rules {
		holder, peer := z.groups[r.Group], z.groups[r.Peer.Group]
		if held[r.Group] && peer != nil && peer.Organization == holder.Organization {
			named[r.Peer.Group] = true
		}
	}
	for id, g := range z.groups {
		if held[id] || named[id] {
			v.Groups[id] = z.group(g, held[id], named[id])
		}
	}
	for id, i := range z.instances {
		if m := z.member(i, named); len(m.Groups) > 0 {
			v.Members[id] = m
		}
	}
	return v
}

func (z *zone) holds(i *gabion.Instance, group string) bool {
	g := z.groups[group]
	return g != nil && g.Organization == i.Organization
}

func (z *zone) group(g *gabion.Group, held, named bool) *policy.Group {
	out := &policy.Group{ID: g.ID, Organization: g.Organization, Name: g.Name}
	if held {
		for _, id := range slices.Sorted(maps.Keys(z.rules)) {
			if z.rules[id].Group == g.ID {
				out.Rules = append(out.Rules, *z.rules[id])
			}
		}
	}
	if named {
		out.Sources = g.Sources
	}
	return out
}

func (z *zone) member(i *gabion.Instance, named map[string]bool) *policy.Member {
	m := &policy.Member{Instance: i.ID, Organization: i.Organization}
	for _, n := range i.NICs {
		m.Addresses = append(m.Addresses, n.Addresses...)
	}
	for _, g := range slices.Compact(slices.Sorted(slices.Values(i.Groups))) {
		if named[g] && z.holds(i, g) {
			m.Groups = append(m.Groups, g)
		}
	}
	return m
}

var (
	organizations = []string{"blue", "red"}
	hosts         = []string{"", "h1", "h2", "h3"}
	groupIDs      = []string{"g1", "g2", "g3", "g4", "g5", "g6"}
	ruleIDs       = []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"}
	instanceIDs   = []string{"i1", "i2", "i3", "i4", "i5", "i6"}
	sources       = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
)

// anyGroup mostly keeps a group in one organization, so that most worlds make sense.
func anyGroup(t *rapid.T) *gabion.Group {
	id := rapid.SampledFrom(groupIDs).Draw(t, "group")
	org := "blue"
	if id > "g4" || rapid.IntRange(0, 9).Draw(t, "stray") == 0 {
		org = "red"
	}
	return &gabion.Group{
		ID: id, Organization: org,
		Name:    rapid.SampledFrom([]string{"web", "db"}).Draw(t, "name"),
		Sources: rapid.SliceOfNDistinct(rapid.SampledFrom(sources), 0, 2, netip.Prefix.String).Draw(t, "sources"),
	}
}

func anyRule(t *rapid.T) *gabion.Rule {
	r := &gabion.Rule{
		ID:        rapid.SampledFrom(ruleIDs).Draw(t, "rule"),
		Group:     rapid.SampledFrom(groupIDs).Draw(t, "of group"),
		Direction: gabion.Direction(rapid.IntRange(0, 1).Draw(t, "direction")),
		Protocol:  gabion.TCP,
	}
	if rapid.IntRange(0, 3).Draw(t, "peer") == 0 {
		r.Peer.Network = sources[0]
	} else {
		r.Peer.Group = rapid.SampledFrom(groupIDs).Draw(t, "peer group")
	}
	return r
}

func anyInstance(t *rapid.T) *gabion.Instance {
	address := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 3).Draw(t, "address"))})
	return &gabion.Instance{
		ID:           rapid.SampledFrom(instanceIDs).Draw(t, "instance"),
		Organization: organizations[max(0, rapid.IntRange(-2, 1).Draw(t, "organization"))],
		Name:         rapid.SampledFrom([]string{"one", "two"}).Draw(t, "name"),
		Host:         rapid.SampledFrom(hosts).Draw(t, "host"),
		Groups:       rapid.SliceOfN(rapid.SampledFrom(groupIDs), 1, 3).Draw(t, "groups"),
		NICs:         []gabion.NIC{{Interface: "tap0", Addresses: []netip.Addr{address}}},
	}
}

func anyChange(t *rapid.T) policy.Change {
	var c policy.Change
	for range rapid.IntRange(1, 4).Draw(t, "objects") {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			c.Groups = append(c.Groups, anyGroup(t))
		case 1:
			c.Rules = append(c.Rules, anyRule(t))
		case 2:
			c.Instances = append(c.Instances, anyInstance(t))
		case 3:
			c.GoneGroups = append(c.GoneGroups, rapid.SampledFrom(groupIDs).Draw(t, "gone group"))
		case 4:
			c.GoneRules = append(c.GoneRules, rapid.SampledFrom(ruleIDs).Draw(t, "gone rule"))
		case 5:
			c.GoneInstances = append(c.GoneInstances, rapid.SampledFrom(instanceIDs).Draw(t, "gone instance"))
		}
	}
	return c
}

var viewOptions = cmp.Options{
	cmpopts.IgnoreFields(policy.View{}, "Revision"),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// TestDeltasAddUpToTheView holds for any objects, also some that contradict one
// another: the deltas take every host's view to what the objects say, and a host
// whose view stays the same gets none.
func TestDeltasAddUpToTheView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world, objects := policy.NewWorld(), newZone()
		views := map[string]*policy.View{"h1": policy.NewView(), "h2": policy.NewView(), "h3": policy.NewView()}
		for revision := range int64(rapid.IntRange(1, 30).Draw(t, "changes")) {
			c := anyChange(t)
			c.Revision = revision + 1
			if rapid.IntRange(0, 4).Draw(t, "begins anew") == 0 {
				world = policy.WorldOf(objects.all(revision))
			}
			deltas := world.Apply(c)
			objects.apply(c)
			for host, view := range views {
				want := objects.view(host)
				if d := deltas[host]; d != nil {
					if cmp.Equal(view, want, viewOptions) {
						t.Fatalf("%s got a delta that changes nothing: %+v", host, d)
					}
					view.Apply(d)
				}
				if diff := cmp.Diff(want, view, viewOptions); diff != "" {
					t.Fatalf("%s after %+v: deltas (-want +got)\n%s", host, c, diff)
				}
				if diff := cmp.Diff(want, world.View(host), viewOptions); diff != "" {
					t.Fatalf("%s after %+v: View (-want +got)\n%s", host, c, diff)
				}
			}
			if _, ok := deltas[""]; ok {
				t.Fatal("a delta for no host")
			}
		}
	})
}

func TestHostsAreThoseWithInstances(t *testing.T) {
	w := policy.NewWorld()
	w.Apply(policy.Change{Revision: 1, Instances: []*gabion.Instance{
		{ID: "i1", Host: "h1"}, {ID: "i2", Host: "h2"}, {ID: "i3"},
	}})
	w.Apply(policy.Change{Revision: 2, GoneInstances: []string{"i2"}})
	if got := slices.Collect(w.Hosts()); !slices.Equal(got, []string{"h1"}) {
		t.Fatalf("hosts are %v, want h1", got)
	}
	if w.Revision() != 2 {
		t.Fatalf("revision is %d, want 2", w.Revision())
	}
}

// crowd is a world with n members of one group on 100 hosts, each of which holds
// a group whose rule names it.
func crowd(n int) *policy.World {
	c := policy.Change{
		Revision: 1,
		Groups: []*gabion.Group{
			{ID: "all", Organization: "blue", Name: "all"},
			{ID: "web", Organization: "blue", Name: "web"},
		},
		Rules: []*gabion.Rule{{ID: "r", Group: "web", Protocol: gabion.TCP, Peer: gabion.Peer{Group: "all"}}},
	}
	for k := range n {
		c.Instances = append(c.Instances, crowdInstance(k, "all"))
	}
	for k := range 10 {
		c.Instances = append(c.Instances, crowdInstance(n+k, "web"))
	}
	w := policy.NewWorld()
	w.Apply(c)
	return w
}

func crowdInstance(k int, group string) *gabion.Instance {
	return &gabion.Instance{
		ID: fmt.Sprintf("i%d", k), Organization: "blue", Host: fmt.Sprintf("h%d", k%100), Groups: []string{group},
		NICs: []gabion.NIC{{Interface: fmt.Sprintf("tap%d", k), Addresses: []netip.Addr{
			netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}),
		}}},
	}
}

// BenchmarkMemberComes shows that a member costs the same in any crowd.
func BenchmarkMemberComes(b *testing.B) {
	for _, n := range []int{500, 50_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			w := crowd(n)
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				deltas := w.Apply(policy.Change{Revision: int64(k), Instances: []*gabion.Instance{crowdInstance(n+10+k%1000, "all")}})
				if len(deltas) == 0 && k < 1000 {
					b.Fatal("nobody is concerned")
				}
				w.Apply(policy.Change{Revision: int64(k), GoneInstances: []string{fmt.Sprintf("i%d", n+10+k%1000)}})
			}
		})
	}
}

func BenchmarkRuleComes(b *testing.B) {
	w := crowd(50_000)
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		w.Apply(policy.Change{Revision: int64(k), Rules: []*gabion.Rule{
			{ID: "ssh", Group: "web", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 22, End: 22 + uint16(k%1000)}, Peer: gabion.Peer{Group: "all"}},
		}})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		crowd(50_000)
	}
}

func BenchmarkView(b *testing.B) {
	w := crowd(50_000)
	b.ReportAllocs()
	for b.Loop() {
		w.View("h1")
	}
}
