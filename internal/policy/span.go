package policy

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// The span of a host is what its view holds: its instances; the groups that they
// hold, with rules; the groups that those rules name, with external sources; and
// the instances of the zone that hold a named group.

// View is the whole view of a host, as for a snapshot.
func (w *World) View(host string) *View {
	v := NewView()
	v.Revision = w.revision
	held := map[string]bool{}
	for id, i := range w.hosts[host] {
		v.Instances[id] = i
		for _, group := range listed(i) {
			if !held[group] && w.groups[group].counts(i) {
				held[group] = true
				w.viewHeld(v, host, group)
			}
		}
	}
	return v
}

// viewHeld adds a group that an instance holds, and all that its rules name.
func (w *World) viewHeld(v *View, host, id string) {
	v.Groups[id] = w.show(host, id)
	for _, r := range w.groups[id].rules {
		if w.names(r) {
			w.viewNamed(v, host, r.Peer.Group)
		}
	}
}

// viewNamed adds a group that a rule of the host names, and its members.
func (w *World) viewNamed(v *View, host, id string) {
	v.Groups[id] = w.show(host, id)
	for member := range w.groups[id].members {
		if v.Members[member] == nil {
			if m := w.member(host, member); m != nil {
				v.Members[member] = m
			}
		}
	}
}

// show is what the host sees of a group: nil if it doesn't need it. Hosts that
// need the same share one object.
func (w *World) show(host, id string) *Group {
	g := w.groups[id]
	if g == nil || g.object == nil {
		return nil
	}
	held, named := g.held[host] > 0, g.named[host] > 0
	if !held && !named {
		return nil
	}
	need := 0
	if held {
		need |= 1
	}
	if named {
		need |= 2
	}
	if g.shown[need] == nil {
		g.shown[need] = g.describe(held, named)
	}
	return g.shown[need]
}

func (g *groupIndex) describe(held, named bool) *Group {
	out := &Group{ID: g.object.ID, Organization: g.object.Organization, Name: g.object.Name}
	if held {
		out.Rules = make([]gabion.Rule, 0, len(g.rules))
		for _, r := range g.rules {
			out.Rules = append(out.Rules, *r)
		}
		slices.SortFunc(out.Rules, func(a, b gabion.Rule) int { return strings.Compare(a.ID, b.ID) })
	}
	if named {
		out.Sources = g.object.Sources
	}
	return out
}

// member is what the host sees of an instance as a member of groups that its
// rules name: nil if it is in none. Hosts that see the same share one object, if
// nobody saw anything else in between.
func (w *World) member(host, id string) *Member {
	i := w.instances[id]
	if i == nil {
		return nil
	}
	var room [gabion.MaxGroupsPerInstance]string
	groups := room[:0]
	for _, group := range listed(i) {
		if g := w.groups[group]; g.counts(i) && g.named[host] > 0 {
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 {
		return nil
	}
	last := w.seen[id]
	if last.of != i || !slices.Equal(last.member.Groups, groups) {
		m := &Member{Instance: id, Organization: i.Organization, Addresses: addresses(i), Groups: slices.Clone(groups)}
		last = seen{i, m}
		w.seen[id] = last
	}
	return last.member
}

// seen is what was last seen of an instance as a member.
type seen struct {
	of     *gabion.Instance
	member *Member
}

func addresses(i *gabion.Instance) []netip.Addr {
	var all []netip.Addr
	for _, n := range i.NICs {
		all = append(all, n.Addresses...)
	}
	return all
}

// touched remembers what hosts saw of the objects that a change may show them
// otherwise, each from before the change first touched it.
type touched struct {
	world *World
	hosts map[string]*before // nil: nobody asks for deltas
}

type before struct {
	instances map[string]*gabion.Instance
	groups    map[string]*Group
	members   map[string]*Member
}

func (t *touched) host(host string) *before {
	b := t.hosts[host]
	if b == nil {
		b = &before{
			instances: map[string]*gabion.Instance{},
			groups:    map[string]*Group{},
			members:   map[string]*Member{},
		}
		t.hosts[host] = b
	}
	return b
}

func (t *touched) instance(host, id string) {
	if host != "" && t.hosts != nil {
		remember(t.host(host).instances, id, func() *gabion.Instance { return t.world.hosts[host][id] })
	}
}

func (t *touched) group(host, id string) {
	if t.hosts != nil {
		remember(t.host(host).groups, id, func() *Group { return t.world.show(host, id) })
	}
}

func (t *touched) member(host, id string) {
	if t.hosts != nil {
		remember(t.host(host).members, id, func() *Member { return t.world.member(host, id) })
	}
}

func remember[T any](seen map[string]*T, id string, now func() *T) {
	if _, ok := seen[id]; !ok {
		seen[id] = now()
	}
}

func (t *touched) groupWhereHeld(id string) {
	for host := range t.world.group(id).held {
		t.group(host, id)
	}
}

func (t *touched) groupEverywhere(id string) {
	t.groupWhereHeld(id)
	for host := range t.world.group(id).named {
		t.group(host, id)
	}
}

// deltas is what the hosts see now and did not before.
func (t *touched) deltas() map[string]*Delta {
	deltas := map[string]*Delta{}
	for host, b := range t.hosts {
		if d := t.delta(host, b); !d.IsEmpty() {
			deltas[host] = d
		}
	}
	return deltas
}

func (t *touched) delta(host string, b *before) *Delta {
	w := t.world
	d := &Delta{Revision: w.revision}
	d.Instances, d.GoneInstances = compare(b.instances, func(id string) *gabion.Instance { return w.hosts[host][id] })
	d.Groups, d.GoneGroups = compare(b.groups, func(id string) *Group { return w.show(host, id) })
	d.Members, d.GoneMembers = compare(b.members, func(id string) *Member { return w.member(host, id) })
	return d
}

// compare returns, sorted by id, the objects that differ from before, and the
// ids of those that were there and are not any more.
func compare[T any](before map[string]*T, now func(id string) *T) (set []*T, gone []string) {
	ids := make([]string, 0, len(before))
	for id := range before {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		was, is := before[id], now(id)
		switch {
		case is == nil && was != nil:
			gone = append(gone, id)
		case is != nil && !same(was, is):
			set = append(set, is)
		}
	}
	return set, gone
}

func same[T any](a, b *T) bool {
	return a == b || a != nil && reflect.DeepEqual(a, b)
}
