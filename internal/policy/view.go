// Package policy says what policy means: which part of the world a host needs
// (World), what its rules say of a connection (Decide, Explain), and what becomes
// of a frame (Evaluator).
//
// It is pure: no I/O, no clock, no goroutine, and it must not know of etcd,
// gRPC, eBPF or HTTP. The evaluator is written from docs/verdicts.md and never
// from the eBPF programs, which it is held against.
package policy

import (
	"net/netip"

	"github.com/gabion/gabion"
)

// View is all that one host needs to know to enforce policy: its instances, the
// rules of their groups, and what stands behind the groups that those rules name.
type View struct {
	Revision  int64
	Instances map[string]*gabion.Instance // by id: the host's own
	Groups    map[string]*Group           // by id: held by an instance here, or named by a rule of such a group
	Members   map[string]*Member          // by instance id: of the named groups, on any host
}

// NewView is the view of a host without instances.
func NewView() *View {
	return &View{
		Instances: map[string]*gabion.Instance{},
		Groups:    map[string]*Group{},
		Members:   map[string]*Member{},
	}
}

// Group is what a host knows of a group. Only what it needs is filled in.
type Group struct {
	ID           string
	Organization string
	Name         string
	Rules        []gabion.Rule  // sorted by id; filled in if an instance of the host holds the group
	Sources      []netip.Prefix // filled in if a rule of the host names the group
}

// Member is what a host knows of an instance that stands behind a named group.
type Member struct {
	Instance     string
	Organization string
	Addresses    []netip.Addr // of all NICs
	Groups       []string     // those of its groups that rules of the host name; sorted, never empty
}

// Delta takes a host's view from one revision to the next. Objects in it replace
// those of the same id. A delta is applied whole or not at all.
type Delta struct {
	Revision int64

	Instances []*gabion.Instance
	Groups    []*Group
	Members   []*Member

	GoneInstances []string
	GoneGroups    []string
	GoneMembers   []string
}

// IsEmpty tells whether the delta changes nothing but the revision.
func (d *Delta) IsEmpty() bool {
	return len(d.Instances)+len(d.Groups)+len(d.Members)+
		len(d.GoneInstances)+len(d.GoneGroups)+len(d.GoneMembers) == 0
}

// Apply changes the view by the delta. Objects are shared, not copied: nobody
// changes an object once it is in a view or a delta.
func (v *View) Apply(d *Delta) {
	v.Revision = d.Revision
	for _, i := range d.Instances {
		v.Instances[i.ID] = i
	}
	for _, g := range d.Groups {
		v.Groups[g.ID] = g
	}
	for _, m := range d.Members {
		v.Members[m.Instance] = m
	}
	for _, id := range d.GoneInstances {
		delete(v.Instances, id)
	}
	for _, id := range d.GoneGroups {
		delete(v.Groups, id)
	}
	for _, id := range d.GoneMembers {
		delete(v.Members, id)
	}
}
