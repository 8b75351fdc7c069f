package policy

import (
	"iter"

	"github.com/gabion/gabion"
)

// Held yields the groups whose rules count for the instance: those of its own
// organization that it lists, each once.
func (v *View) Held(i *gabion.Instance) iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		for _, id := range listed(i) {
			g := v.Groups[id]
			if g != nil && g.Organization == i.Organization && !yield(g) {
				return
			}
		}
	}
}

// EgressClosed tells whether only what an egress rule matches leaves the
// instance. Any egress rule does it, also one that can match nothing, and so does
// a group that the instance lists and nobody knows: it may have had one.
func (v *View) EgressClosed(i *gabion.Instance) bool {
	known := 0
	for g := range v.Held(i) {
		known++
		for k := range g.Rules {
			if g.Rules[k].Direction == gabion.Egress {
				return true
			}
		}
	}
	return known < len(listed(i))
}

// Peer is the group that a rule of the holder names. It is nil, and the rule
// matches nothing, if there is none in the holder's organization.
func (v *View) Peer(holder *Group, r *gabion.Rule) *Group {
	peer := v.Groups[r.Peer.Group]
	if peer == nil || peer.Organization != holder.Organization {
		return nil
	}
	return peer
}
