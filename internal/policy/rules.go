package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// Question is what the rules are asked about a new flow.
type Question struct {
	Direction gabion.Direction
	Remote    netip.Addr
	Protocol  gabion.Protocol // any IP protocol, also one that no rule can name
	Port      uint16          // TCP and UDP: the opener's destination
	Type      uint8           // ICMP and ICMPv6
	Code      uint8
}

// isICMP tells whether the question is about ICMP of its own IP version. Over the
// other one, ICMP and ICMPv6 are protocols that no rule names.
func (q *Question) isICMP() bool {
	return q.Protocol == gabion.ICMP && q.Remote.Is4() || q.Protocol == gabion.ICMPv6 && q.Remote.Is6()
}

// ruleset is the united rules of all groups of an instance.
type ruleset struct {
	rules        []heldRule
	egressClosed bool // some group has an egress rule
}

// heldRule is a rule with what stands behind its peer.
type heldRule struct {
	*gabion.Rule
	holds func(netip.Addr) bool
}

// ask is "Rules": the answer of the first rule that admits, or of the defaults.
func (s *ruleset) ask(q Question) Result {
	for k := range s.rules {
		if s.rules[k].admits(&q) {
			return Result{Reason: gabion.PassRule, Rule: s.rules[k].ID}
		}
	}
	switch {
	case q.Direction == gabion.Ingress:
		return Result{Reason: gabion.DropDeniedIngress}
	case s.egressClosed:
		return Result{Reason: gabion.DropDeniedEgress}
	}
	return Result{Reason: gabion.PassEgressOpen}
}

// admits tells whether the rule of that id is still there and admits.
func (s *ruleset) admits(id string, q Question) bool {
	return slices.ContainsFunc(s.rules, func(r heldRule) bool { return r.ID == id && r.admits(&q) })
}

func (r *heldRule) admits(q *Question) bool {
	return r.Direction == q.Direction && r.Protocol == q.Protocol && r.contains(q) && r.holds(q.Remote)
}

// contains tells whether the question is within the rule's ports, or type and code.
func (r *heldRule) contains(q *Question) bool {
	switch {
	case r.Protocol.IsICMP():
		return q.isICMP() && r.ICMP.Contains(q.Type, q.Code)
	case r.Protocol.HasPorts():
		return r.Ports.Contains(q.Port)
	}
	return true
}

// membership is which of the named groups hold an address, by organization.
type membership map[organizationAddress][]string

type organizationAddress struct {
	organization string
	address      netip.Addr
}

func (v *View) membership() membership {
	all := membership{}
	for _, m := range v.Members {
		for _, a := range m.Addresses {
			key := organizationAddress{m.Organization, a}
			all[key] = append(all[key], m.Groups...)
		}
	}
	return all
}

// rulesOf unites the rules of the instance's groups, in the order of their ids.
// A rule that is not valid matches nothing, and stops nobody. There are none if
// not all groups are known.
func (v *View) rulesOf(i *gabion.Instance, all membership) *ruleset {
	held, err := v.Held(i)
	if err != nil {
		return nil
	}
	s := &ruleset{}
	for _, g := range held {
		s.egressClosed = s.egressClosed || g.ClosesEgress()
		for k := range g.Rules {
			if r := &g.Rules[k]; r.Validate() == nil {
				s.rules = append(s.rules, heldRule{r, v.peerOf(g, r, all)})
			}
		}
	}
	slices.SortFunc(s.rules, func(a, b heldRule) int { return strings.Compare(a.ID, b.ID) })
	return s
}

// peerOf is which addresses stand behind the peer of a rule of g.
func (v *View) peerOf(g *Group, r *gabion.Rule, all membership) func(netip.Addr) bool {
	if !r.Peer.IsGroup() {
		return r.Peer.Network.Contains
	}
	peer := v.Peer(g, r)
	return func(a netip.Addr) bool {
		return peer != nil && (slices.Contains(all[organizationAddress{g.Organization, a}], peer.ID) ||
			slices.ContainsFunc(peer.Sources, func(s netip.Prefix) bool { return s.Contains(a) }))
	}
}
