package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// MaxNearest is how many rules a denial names.
const MaxNearest = 5

// Near is a rule that does not admit a connection, and in what it differs.
type Near struct {
	Rule    *gabion.Rule
	Differs []Difference
}

// Difference is one thing in which a rule and a connection differ.
type Difference string

// The differences, in the order in which they are told.
const (
	ByProtocol Difference = "protocol"
	ByPort     Difference = "port"
	ByICMP     Difference = "icmp"
	ByPeer     Difference = "peer"
)

// nearest are the rules of that direction that differ least from the question.
// A rule of another protocol is further away than one that only means others.
func (s *ruleset) nearest(q Question) []Near {
	var all []Near
	for k := range s.rules {
		if r := &s.rules[k]; r.Direction == q.Direction {
			all = append(all, Near{r.Rule, r.differs(&q)})
		}
	}
	slices.SortStableFunc(all, func(a, b Near) int {
		return cmp.Or(cmp.Compare(a.distance(), b.distance()), strings.Compare(a.Rule.ID, b.Rule.ID))
	})
	return all[:min(len(all), MaxNearest)]
}

func (r *heldRule) differs(q *Question) []Difference {
	var all []Difference
	switch {
	case r.Protocol != q.Protocol:
		all = append(all, ByProtocol)
	case r.contains(q):
	case r.Protocol.HasPorts():
		all = append(all, ByPort)
	default:
		all = append(all, ByICMP)
	}
	if !r.holds(q.Remote) {
		all = append(all, ByPeer)
	}
	return all
}

// distance is 1 for another peer, 2 for another port or ICMP type, 4 for another protocol.
func (n Near) distance() (d int) {
	for _, difference := range n.Differs {
		switch difference {
		case ByPeer:
			d++
		case ByProtocol:
			d += 4
		default:
			d += 2
		}
	}
	return d
}

// Means is how an address came to be meant by a rule.
type Means struct {
	Kind  MeansKind
	Group string       // id, if the rule's peer is a group
	Via   netip.Prefix // that contains the address; not valid for a member
}

// MeansKind is a way for an address to be meant.
type MeansKind string

// The ways.
const (
	ByMember  MeansKind = "member"          // it is a member's of the group
	BySource  MeansKind = "external-source" // it is in an external source of the group
	ByNetwork MeansKind = "network"         // it is in the rule's network
)

// means tells how the rule, which admits the address, came to mean it.
func (v *View) means(r *gabion.Rule, organization string, address netip.Addr, all membership) *Means {
	if !r.Peer.IsGroup() {
		return &Means{Kind: ByNetwork, Via: r.Peer.Network}
	}
	if slices.Contains(all[organizationAddress{organization, address}], r.Peer.Group) {
		return &Means{Kind: ByMember, Group: r.Peer.Group}
	}
	for _, source := range v.Groups[r.Peer.Group].Sources {
		if source.Contains(address) {
			return &Means{Kind: BySource, Group: r.Peer.Group, Via: source}
		}
	}
	return nil
}
