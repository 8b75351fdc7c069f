package policy

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
)

// Instance is the instance of that id, nil if there is none.
func (w *World) Instance(id string) *gabion.Instance { return w.instances[id] }

// Rule is the rule of that id, nil if there is none.
func (w *World) Rule(id string) *gabion.Rule { return w.rules[id] }

// Group is the group of that id, nil if there is none.
func (w *World) Group(id string) *gabion.Group {
	if g := w.groups[id]; g != nil {
		return g.object
	}
	return nil
}

// Standing is how much stands behind a group.
type Standing struct {
	Rules   int // of its own
	Members int // instances that hold it
	Users   int // other groups with rules that name it
}

// Standing counts for the group of that id; all is 0 if there is none.
func (w *World) Standing(id string) Standing {
	g := w.groups[id]
	if g == nil || g.object == nil {
		return Standing{}
	}
	users := map[string]bool{}
	for _, r := range g.naming {
		if r.Group != id && w.names(r) {
			users[r.Group] = true
		}
	}
	return Standing{Rules: len(g.rules), Members: g.size, Users: len(users)}
}

// Rules yields the group's own rules, in no order.
func (w *World) Rules(group string) iter.Seq[*gabion.Rule] {
	if g := w.groups[group]; g != nil {
		return maps.Values(g.rules)
	}
	return func(func(*gabion.Rule) bool) {}
}

// Naming yields the rules that name the group, in no order.
func (w *World) Naming(id string) iter.Seq[*gabion.Rule] {
	return func(yield func(*gabion.Rule) bool) {
		g := w.groups[id]
		if g == nil {
			return
		}
		for _, r := range g.naming {
			if w.names(r) && !yield(r) {
				return
			}
		}
	}
}

// CountInstances is how many instances the host has, of all organizations.
func (w *World) CountInstances(host string) int { return len(w.hosts[host]) }

// Enforces tells whether an instance of the host holds the rule's group.
func (w *World) Enforces(host, rule string) bool {
	r := w.rules[rule]
	return r != nil && w.groups[r.Group].held[host] > 0
}

// Runs tells whether the host has that instance of the organization, or without
// one any of it.
func (w *World) Runs(host, organization, instance string) bool {
	if instance != "" {
		i := w.hosts[host][instance]
		return i != nil && i.Organization == organization
	}
	for _, i := range w.hosts[host] {
		if i.Organization == organization {
			return true
		}
	}
	return false
}

// Owners are the instances of the organization that own the address: one, unless
// somebody wrote around the checks that keep addresses apart.
func (w *World) Owners(organization string, address netip.Addr) []*gabion.Instance {
	return w.owners[organizationAddress{organization, address}]
}

// own notes whose the instance's addresses are.
func (w *World) own(i *gabion.Instance) {
	w.disown(i)
	for _, a := range addresses(i) {
		key := organizationAddress{i.Organization, a}
		w.owners[key] = append(slices.Clip(w.owners[key]), i)
	}
}

func (w *World) disown(i *gabion.Instance) {
	for _, a := range addresses(i) {
		key := organizationAddress{i.Organization, a}
		left := slices.DeleteFunc(slices.Clone(w.owners[key]), func(o *gabion.Instance) bool { return o.ID == i.ID })
		if len(left) == 0 {
			delete(w.owners, key)
		} else {
			w.owners[key] = left
		}
	}
}
