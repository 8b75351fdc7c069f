package policy

import (
	"iter"
	"maps"
	"slices"

	"github.com/gabion/gabion"
)

// World is every object of the zone, of all organizations, and what each host
// needs of them. It takes any objects, also some that contradict one another: a
// rule of no known group, or with a peer of another organization, names nothing,
// and an instance holds no group that is not of its own organization.
//
// A World belongs to one goroutine.
type World struct {
	revision  int64
	groups    map[string]*groupIndex // also of ids that objects only refer to
	rules     map[string]*gabion.Rule
	instances map[string]*gabion.Instance
	hosts     map[string]map[string]*gabion.Instance // by host and id
	owners    map[organizationAddress][]*gabion.Instance
	seen      map[string]seen // by instance; see World.member

	groupRolls    rolls[gabion.Group]
	instanceRolls rolls[gabion.Instance]
}

// groupIndex is who refers to a group, and which hosts need what of it.
//
// The counts are kept so that a change costs what it changes: a host begins to
// need something when its count leaves zero and ceases to when it is back there.
type groupIndex struct {
	object  *gabion.Group // nil while the id is only referred to
	rules   map[string]*gabion.Rule
	naming  map[string]*gabion.Rule     // rules whose peer it is
	members map[string]*gabion.Instance // instances that list it

	size  int            // instances that hold it
	held  map[string]int // by host: instances there that hold it
	named map[string]int // by host: rules of groups held there that name it

	shown [4]*Group // what hosts see of it, by what they need; see World.show
}

// NewWorld is a world without objects.
func NewWorld() *World {
	return &World{
		groups:    map[string]*groupIndex{},
		rules:     map[string]*gabion.Rule{},
		instances: map[string]*gabion.Instance{},
		hosts:     map[string]map[string]*gabion.Instance{},
		owners:    map[organizationAddress][]*gabion.Instance{},
		seen:      map[string]seen{},

		groupRolls:    rolls[gabion.Group]{},
		instanceRolls: rolls[gabion.Instance]{},
	}
}

// WorldOf is a world of these objects. It costs what they take: what they mean for a
// host is found out when that host comes.
func WorldOf(c Change) *World {
	t := touched{world: NewWorld()}
	t.replace(c)
	return t.world
}

// Revision is that of the last change.
func (w *World) Revision() int64 { return w.revision }

// Hosts yields the hosts that have instances, in no order.
func (w *World) Hosts() iter.Seq[string] { return maps.Keys(w.hosts) }

// Apply changes the objects and returns, by host, what that means for the hosts
// that it concerns. What no host sees yet costs nothing but its place.
func (w *World) Apply(c Change) map[string]*Delta {
	t := touched{world: w, hosts: map[string]*before{}}
	t.replace(c)
	return t.deltas()
}

func (t *touched) replace(c Change) {
	t.world.revision = c.Revision
	for id, g := range changes(c.Groups, c.GoneGroups, func(g *gabion.Group) string { return g.ID }) {
		t.replaceGroup(id, g)
	}
	t.replaceRules(changes(c.Rules, c.GoneRules, func(r *gabion.Rule) string { return r.ID }))
	t.replaceInstances(changes(c.Instances, c.GoneInstances, func(i *gabion.Instance) string { return i.ID }))
}

// changes is what each id becomes: nil if the object is gone.
func changes[T any](set []*T, gone []string, id func(*T) string) map[string]*T {
	next := make(map[string]*T, len(set)+len(gone))
	for _, o := range set {
		next[id(o)] = o
	}
	for _, id := range gone {
		next[id] = nil
	}
	return next
}

// replaceGroup lets the group id become next. A group that appears, vanishes or
// moves to another organization changes what every reference to it means.
func (t *touched) replaceGroup(id string, next *gabion.Group) {
	g := t.world.group(id)
	t.groupEverywhere(id)
	t.world.enrol(id, g.object, next)
	if sameOrganization(g.object, next) {
		g.setObject(next)
		return
	}
	t.detach(id, g)
	g.setObject(next)
	t.attach(id, g)
	t.world.forget(id)
}

// enrol lists the group where it belongs.
func (w *World) enrol(id string, prev, next *gabion.Group) {
	if prev != nil {
		w.groupRolls.note(prev.Organization, id, nil)
	}
	if next != nil {
		w.groupRolls.note(next.Organization, id, next)
	}
}

func sameOrganization(a, b *gabion.Group) bool {
	return a != nil && b != nil && a.Organization == b.Organization
}

func (g *groupIndex) setObject(o *gabion.Group) {
	g.object = o
	g.shown = [4]*Group{}
}

// attach counts what refers to the group.
func (t *touched) attach(id string, g *groupIndex) {
	for _, r := range g.naming {
		t.countRule(r, +1)
	}
	for _, i := range g.members {
		t.countHolder(i, id, +1)
	}
}

// detach is the reverse of attach, in reverse order.
func (t *touched) detach(id string, g *groupIndex) {
	for _, i := range g.members {
		t.countHolder(i, id, -1)
	}
	for _, r := range g.naming {
		t.countRule(r, -1)
	}
}

// replaceRules counts what comes before what goes, so that what stays needed is
// never given up in between.
func (t *touched) replaceRules(next map[string]*gabion.Rule) {
	var gone []*gabion.Rule
	for id, r := range next {
		if prev := t.world.rules[id]; prev != nil {
			t.unlinkRule(prev)
			gone = append(gone, prev)
		}
		if r != nil {
			t.linkRule(r)
			t.countRule(r, +1)
		}
	}
	for _, r := range gone {
		t.countRule(r, -1)
		t.world.forget(r.Group)
		t.world.forget(r.Peer.Group)
	}
}

func (t *touched) linkRule(r *gabion.Rule) {
	w := t.world
	t.groupWhereHeld(r.Group)
	w.rules[r.ID] = r
	w.group(r.Group).rules[r.ID] = r
	w.group(r.Group).shown = [4]*Group{}
	if r.Peer.IsGroup() {
		w.group(r.Peer.Group).naming[r.ID] = r
	}
}

func (t *touched) unlinkRule(r *gabion.Rule) {
	w := t.world
	t.groupWhereHeld(r.Group)
	delete(w.rules, r.ID)
	delete(w.group(r.Group).rules, r.ID)
	w.group(r.Group).shown = [4]*Group{}
	if r.Peer.IsGroup() {
		delete(w.group(r.Peer.Group).naming, r.ID)
	}
}

// countRule adds n to how often the rule's peer is named, where it counts.
func (t *touched) countRule(r *gabion.Rule, n int) {
	if !t.world.names(r) {
		return
	}
	for host := range t.world.groups[r.Group].held {
		t.countNamed(r.Peer.Group, host, n)
	}
}

// replaceInstances counts what comes before what goes, like replaceRules.
func (t *touched) replaceInstances(next map[string]*gabion.Instance) {
	var gone []*gabion.Instance
	for id, i := range next {
		prev := t.world.instances[id]
		if prev != nil && i != nil && sameStanding(prev, i) {
			t.instance(prev.Host, id)
			t.world.place(i)
			continue
		}
		t.standing(prev)
		t.standing(i)
		if prev != nil {
			t.world.remove(prev)
			gone = append(gone, prev)
		}
		if i != nil {
			t.world.place(i)
			t.countInstance(i, +1)
		}
	}
	for _, i := range gone {
		t.countInstance(i, -1)
	}
	for _, i := range gone {
		for _, id := range listed(i) {
			t.world.forget(id)
		}
	}
}

// sameStanding tells whether nobody but the instance's own host can tell a from b.
func sameStanding(a, b *gabion.Instance) bool {
	return a.Host == b.Host && a.Organization == b.Organization &&
		slices.Equal(a.Groups, b.Groups) && slices.Equal(addresses(a), addresses(b))
}

// standing remembers who sees the instance before it changes.
func (t *touched) standing(i *gabion.Instance) {
	if i == nil {
		return
	}
	t.instance(i.Host, i.ID)
	for _, id := range listed(i) {
		for host := range t.world.group(id).named {
			t.member(host, i.ID)
		}
	}
}

// place lets the instance take its place, or that of the one with its id.
func (w *World) place(i *gabion.Instance) {
	w.instances[i.ID] = i
	w.instanceRolls.note(i.Organization, i.ID, i)
	w.own(i)
	for _, id := range listed(i) {
		w.group(id).members[i.ID] = i
	}
	if i.Host == "" {
		return
	}
	if w.hosts[i.Host] == nil {
		w.hosts[i.Host] = map[string]*gabion.Instance{}
	}
	w.hosts[i.Host][i.ID] = i
}

func (w *World) remove(i *gabion.Instance) {
	delete(w.instances, i.ID)
	delete(w.seen, i.ID)
	w.instanceRolls.note(i.Organization, i.ID, nil)
	w.disown(i)
	for _, id := range listed(i) {
		delete(w.group(id).members, i.ID)
	}
	delete(w.hosts[i.Host], i.ID)
	if len(w.hosts[i.Host]) == 0 {
		delete(w.hosts, i.Host)
	}
}

// countInstance adds n to how often the instance's groups are held on its host.
func (t *touched) countInstance(i *gabion.Instance, n int) {
	for _, id := range listed(i) {
		t.countHolder(i, id, n)
	}
}

// listed are the groups that an instance lists, each once.
func listed(i *gabion.Instance) []string {
	if len(i.Groups) == 1 {
		return i.Groups
	}
	return slices.Compact(slices.Sorted(slices.Values(i.Groups)))
}

// countHolder adds n to how often the group is held on the instance's host. The
// first holder brings all that the group's rules name, the last one takes it along.
func (t *touched) countHolder(i *gabion.Instance, group string, n int) {
	g := t.world.groups[group]
	if !g.counts(i) {
		return
	}
	g.size += n
	if i.Host == "" {
		return
	}
	t.group(i.Host, group)
	if !count(g.held, i.Host, n) {
		return
	}
	for _, r := range g.rules {
		if t.world.names(r) {
			t.countNamed(r.Peer.Group, i.Host, n)
		}
	}
}

// countNamed adds n to how often rules of the host name the group. The first
// such rule brings the group's members, the last one takes them along.
func (t *touched) countNamed(group, host string, n int) {
	g := t.world.groups[group]
	t.group(host, group)
	if was := g.named[host]; was == 0 || was+n == 0 {
		for id := range g.members {
			t.member(host, id)
		}
	}
	count(g.named, host, n)
}

// count adds n to the host's count and tells whether it left zero or came back.
func count(counts map[string]int, host string, n int) bool {
	was := counts[host]
	if was+n == 0 {
		delete(counts, host)
		return true
	}
	counts[host] = was + n
	return was == 0
}

// group is the index of the group id, made if there is none.
func (w *World) group(id string) *groupIndex {
	g := w.groups[id]
	if g == nil {
		g = &groupIndex{
			rules:   map[string]*gabion.Rule{},
			naming:  map[string]*gabion.Rule{},
			members: map[string]*gabion.Instance{},
			held:    map[string]int{},
			named:   map[string]int{},
		}
		w.groups[id] = g
	}
	return g
}

// forget drops the index of a group that is gone and that nothing refers to.
func (w *World) forget(id string) {
	g := w.groups[id]
	if g != nil && g.object == nil && len(g.rules)+len(g.naming)+len(g.members) == 0 {
		delete(w.groups, id)
	}
}

// counts tells whether the instance, which lists the group, holds it.
func (g *groupIndex) counts(i *gabion.Instance) bool {
	return g.object != nil && g.object.Organization == i.Organization
}

// names tells whether the rule has a group as peer that exists for its own group.
func (w *World) names(r *gabion.Rule) bool {
	if !r.Peer.IsGroup() {
		return false
	}
	holder, peer := w.groups[r.Group], w.groups[r.Peer.Group]
	return holder != nil && peer != nil && sameOrganization(holder.object, peer.object)
}
