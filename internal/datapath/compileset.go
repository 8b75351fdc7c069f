package datapath

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// groupRules is what the rules of a group come to.
type groupRules struct {
	rules  []*ruleEntry // sorted by id
	closes bool         // has an egress rule
}

// ruleEntry is a rule as policies hold it, but for the number of its peer.
type ruleEntry struct {
	id        string
	slot      uint32
	direction gabion.Direction
	protocol  gabion.Protocol
	ports     []portPrefix
	peer      gabion.Peer
}

// compileRules numbers the rules of a group as it is in a view.
func (c *compiler) compileRules(view *policy.View, id string) (*groupRules, error) {
	return memo(c.groups, viewedGroup{view, id}, func() (*groupRules, error) {
		g, group := &groupRules{}, view.Groups[id]
		rules := group.Rules
		for i := range rules {
			r := &rules[i]
			// A bad egress rule allows nothing, but it is one: egress closes.
			g.closes = g.closes || r.Direction == gabion.Egress
			if err := r.Validate(); err != nil {
				c.refuse("leave rule %s of group %s out: %w", r.ID, id, err)
				continue
			}
			if r.Peer.IsGroup() && view.Peer(group, r) == nil {
				c.refuse("leave rule %s of group %s out: its organization has no group %s", r.ID, id, r.Peer.Group)
				continue
			}
			slot, err := c.number(KindRule, r.ID)
			if err != nil {
				return nil, err
			}
			g.rules = append(g.rules, &ruleEntry{
				id: r.ID, slot: slot, direction: r.Direction, protocol: r.Protocol,
				ports: portPrefixes(r), peer: r.Peer,
			})
		}
		slices.SortFunc(g.rules, func(a, b *ruleEntry) int { return cmp.Compare(a.id, b.id) })
		return g, nil
	})
}

// compileSet unites the rules of groups as they are in a view. The error is an
// overflow if the set does not fit.
func (c *compiler) compileSet(n namedSet, view *policy.View) (*PolicySet, error) {
	s := &setCompiler{compiler: c, from: view, set: newPolicySet()}
	for _, id := range n.ids {
		g, err := c.compileRules(view, id)
		if err != nil {
			return nil, err
		}
		if g.closes {
			s.set.Flags |= EgressClosed
		}
		s.rules = append(s.rules, g.rules...)
	}
	slices.SortFunc(s.rules, func(a, b *ruleEntry) int { return cmp.Compare(a.id, b.id) })
	if err := s.compile(); err != nil {
		return nil, err
	}
	if err := s.fitsBeside(c.standing.Sets[n.number]); err != nil {
		return nil, err
	}
	s.adopt()
	return s.set, nil
}

type setCompiler struct {
	*compiler
	from  *policy.View
	rules []*ruleEntry // of all groups, sorted by id
	set   *PolicySet
}

func (s *setCompiler) compile() error {
	var networks [2]map[netip.Prefix][]int // index into rules
	networks[gabion.Ingress] = map[netip.Prefix][]int{}
	networks[gabion.Egress] = map[netip.Prefix][]int{}
	for i, r := range s.rules {
		for _, n := range s.networksOf(r) {
			networks[r.direction][n] = append(networks[r.direction][n], i)
		}
		if !r.peer.IsGroup() {
			continue
		}
		group, err := s.peer(r.peer.Group)
		if err != nil {
			return err
		}
		if err := s.admit(r, group); err != nil {
			return err
		}
	}
	for direction := range networks {
		if err := s.classes(direction, networks[direction]); err != nil {
			return err
		}
	}
	return nil
}

// networksOf are the networks that a rule admits: its own, or its group's external sources.
func (s *setCompiler) networksOf(r *ruleEntry) []netip.Prefix {
	if !r.peer.IsGroup() {
		return []netip.Prefix{r.peer.Network}
	}
	if g := s.from.Groups[r.peer.Group]; g != nil {
		return g.Sources
	}
	return nil
}

// classes admits each network's rules for the addresses in it that no narrower
// network holds, and with them the rules of all networks around it: the datapath
// looks up the narrowest only.
func (s *setCompiler) classes(direction int, networks map[netip.Prefix][]int) error {
	cidrs, all := s.set.CIDRs[direction], usable(networks)
	if len(all) > s.limits.CIDRs {
		return s.tooManyNetworks() // before they take numbers, which all sets share
	}
	for _, c := range chains(all) {
		class, err := s.numbers.Number(KindClass, c.digest())
		if err != nil {
			return err
		}
		cidrs[cidrKey(c.network())] = class
		if err := s.admitAll(rulesOf(c, networks), PeerClass|class); err != nil {
			return err
		}
	}
	shadowIPv4(cidrs, networks)
	if len(cidrs) > s.limits.CIDRs {
		return s.tooManyNetworks()
	}
	return nil
}

func (s *setCompiler) tooManyNetworks() error { return &overflow{s.limits.CIDRs, "networks", s.from} }

// rulesOf are the rules of all networks of a chain, by index and so by id.
func rulesOf(c chain, networks map[netip.Prefix][]int) []int {
	var rules []int
	for _, n := range c {
		rules = append(rules, networks[n]...)
	}
	if len(c) > 1 {
		slices.Sort(rules)
	}
	return rules
}

// usable leaves out networks that hold no packet's address.
func usable(networks map[netip.Prefix][]int) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(networks))
	for n := range networks {
		if n.IsValid() && n == n.Masked() && !n.Addr().Is4In6() {
			list = append(list, n)
		}
	}
	return list
}

// shadowIPv4 keeps an IPv6 network such as ::/0 from holding IPv4 addresses, which
// the map writes as ::ffff:a.b.c.d. Class 0 has no rules.
func shadowIPv4(cidrs map[CIDRKey]uint32, networks map[netip.Prefix][]int) {
	for n := range networks {
		if !coversIPv4(n) {
			continue
		}
		if _, taken := cidrs[cidrKey(ipv4)]; !taken {
			cidrs[cidrKey(ipv4)] = 0
		}
		return
	}
}

func (s *setCompiler) admitAll(rules []int, peer uint32) error {
	for _, i := range rules {
		if err := s.admit(s.rules[i], peer); err != nil {
			return err
		}
	}
	return nil
}

// admit adds a rule for a peer. Of rules that share a key the first stays, which
// is the one of the lowest id: the others would admit the same.
func (s *setCompiler) admit(r *ruleEntry, peer uint32) error {
	for _, p := range r.ports {
		key := policyKey(peer, r.direction, r.protocol, p)
		if _, taken := s.set.Policies[key]; !taken {
			s.set.Policies[key] = r.slot
		}
	}
	if len(s.set.Policies) > s.limits.Policies {
		return &overflow{s.limits.Policies, "policy entries (rules × port prefixes × networks inside their networks)", s.from}
	}
	return nil
}

func policyKey(peer uint32, d gabion.Direction, protocol gabion.Protocol, p portPrefix) PolicyKey {
	return PolicyKey{
		Prefixlen: uint32(policyKeyBitsNoPort + p.bits),
		Peer:      network32(peer),
		Direction: uint8(d),
		Protocol:  uint8(protocol),
		Port:      network16(p.port),
	}
}

func cidrKey(n netip.Prefix) CIDRKey {
	return CIDRKey{Prefixlen: uint32(mappedBits(n)), Address: addressOf(n.Addr())}
}
