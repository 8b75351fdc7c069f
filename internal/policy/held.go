package policy

import (
	"fmt"
	"slices"

	"github.com/gabion/gabion"
)

// Held are the groups whose rules count for the instance, each once. Without one
// of them nobody knows what the instance may do, so that it has no policy at all.
func (v *View) Held(i *gabion.Instance) ([]*Group, error) {
	if len(i.Groups) == 0 {
		return nil, fmt.Errorf("instance %s belongs to no group", i.ID)
	}
	var held []*Group
	for _, id := range listed(i) {
		g := v.Groups[id]
		if g == nil || g.Organization != i.Organization {
			return nil, fmt.Errorf("instance %s belongs to group %s, which its organization does not have", i.ID, id)
		}
		held = append(held, g)
	}
	return held, nil
}

// ClosesEgress tells whether the group lets only what an egress rule matches
// leave. Any egress rule does it, also one that can match nothing.
func (g *Group) ClosesEgress() bool {
	return slices.ContainsFunc(g.Rules, func(r gabion.Rule) bool { return r.Direction == gabion.Egress })
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
