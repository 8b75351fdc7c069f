package feed

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// chunkWeight is about how many objects one message of a snapshot carries; it
// keeps a message well below a megabyte.
const chunkWeight = 2000

// encodeView makes one delta of a whole view.
func encodeView(v *policy.View) *feedpb.Delta {
	return encodeDelta(wholeDelta(v))
}

// wholeDelta is the delta that makes the view out of an empty one, sorted by id.
func wholeDelta(v *policy.View) *policy.Delta {
	return &policy.Delta{
		Revision:  v.Revision,
		Groups:    sortedValues(v.Groups),
		Members:   sortedValues(v.Members),
		Instances: sortedValues(v.Instances),
	}
}

func sortedValues[T any](m map[string]T) []T {
	all := make([]T, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[id])
	}
	return all
}

// chunks splits a view into deltas that are small enough for one message each.
// Applied in order they make the view: groups, members, instances.
func chunks(v *policy.View) []*policy.Delta {
	c := chunker{revision: v.Revision}
	whole := wholeDelta(v)
	for _, g := range whole.Groups {
		d := c.room(1 + len(g.Rules) + len(g.Sources))
		d.Groups = append(d.Groups, g)
	}
	for _, m := range whole.Members {
		d := c.room(1)
		d.Members = append(d.Members, m)
	}
	for _, i := range whole.Instances {
		d := c.room(1)
		d.Instances = append(d.Instances, i)
	}
	return c.deltas
}

type chunker struct {
	revision int64
	deltas   []*policy.Delta
	weight   int
}

// room is the delta that the next object of that weight goes into.
func (c *chunker) room(weight int) *policy.Delta {
	if len(c.deltas) == 0 || c.weight+weight > chunkWeight {
		c.deltas = append(c.deltas, &policy.Delta{Revision: c.revision})
		c.weight = 0
	}
	c.weight += weight
	return c.deltas[len(c.deltas)-1]
}

// weight is how many objects a delta carries.
func weight(d *policy.Delta) int {
	n := len(d.Members) + len(d.Instances) + len(d.GoneGroups) + len(d.GoneMembers) + len(d.GoneInstances)
	for _, g := range d.Groups {
		n += 1 + len(g.Rules) + len(g.Sources)
	}
	return n
}

func encodeDelta(d *policy.Delta) *feedpb.Delta {
	return &feedpb.Delta{
		Revision:      d.Revision,
		Groups:        each(d.Groups, encodeGroup),
		Members:       each(d.Members, encodeMember),
		Instances:     each(d.Instances, encodeInstance),
		GoneGroups:    d.GoneGroups,
		GoneMembers:   d.GoneMembers,
		GoneInstances: d.GoneInstances,
	}
}

func each[From, To any](from []From, convert func(From) To) []To {
	if len(from) == 0 {
		return nil
	}
	to := make([]To, len(from))
	for i, f := range from {
		to[i] = convert(f)
	}
	return to
}

func encodeGroup(g *policy.Group) *feedpb.Group {
	return &feedpb.Group{
		Id:           g.ID,
		Organization: g.Organization,
		Name:         g.Name,
		Rules:        each(g.Rules, encodeRule),
		Sources:      each(g.Sources, encodePrefix),
	}
}

func encodeRule(r gabion.Rule) *feedpb.Rule {
	m := &feedpb.Rule{
		Id:          r.ID,
		Direction:   uint32(r.Direction),
		Protocol:    uint32(r.Protocol),
		StartPort:   uint32(r.Ports.Start),
		EndPort:     uint32(r.Ports.End),
		IcmpType:    int32(r.ICMP.Type),
		IcmpCode:    int32(r.ICMP.Code),
		PeerGroup:   r.Peer.Group,
		Description: r.Description,
	}
	if !r.Peer.IsGroup() {
		m.Network = encodePrefix(r.Peer.Network)
	}
	return m
}

func encodeMember(m *policy.Member) *feedpb.Member {
	return &feedpb.Member{
		Instance:     m.Instance,
		Organization: m.Organization,
		Addresses:    each(m.Addresses, netip.Addr.AsSlice),
		Groups:       m.Groups,
	}
}

func encodeInstance(i *gabion.Instance) *feedpb.Instance {
	return &feedpb.Instance{
		Id:           i.ID,
		Organization: i.Organization,
		Name:         i.Name,
		Groups:       i.Groups,
		Nics:         each(i.NICs, encodeNIC),
	}
}

func encodeNIC(n gabion.NIC) *feedpb.NIC {
	return &feedpb.NIC{
		Interface: n.Interface,
		Mac:       n.MAC[:],
		Addresses: each(n.Addresses, netip.Addr.AsSlice),
		Managed:   n.Managed,
	}
}

// encodePrefix is the address, 4 or 16 bytes, and the length in one more.
func encodePrefix(p netip.Prefix) []byte {
	return append(p.Addr().AsSlice(), byte(p.Bits()))
}
