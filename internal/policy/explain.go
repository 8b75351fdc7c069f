package policy

import (
	"net/netip"

	"github.com/gabion/gabion"
)

// End is one end of a connection: an instance's address, or, without instance, an
// address that Gabion doesn't filter.
type End struct {
	Instance *gabion.Instance
	Address  netip.Addr
}

// Service is what a connection is opened to.
type Service struct {
	Protocol gabion.Protocol
	Port     uint16 // TCP and UDP: of the receiver
	Type     uint8  // ICMP and ICMPv6
	Code     uint8
}

// Decision is what one end says of a new connection.
type Decision struct {
	Reason  gabion.Reason
	Rule    *gabion.Rule // that admits it; nil if none was needed or none does
	Means   *Means       // how the rule came to mean the other end; nil without rule
	Nearest []Near       // if rules deny it: those that differ least, best first
}

// Verdict is what the connection gets at this end.
func (d Decision) Verdict() gabion.Verdict { return d.Reason.Verdict() }

// Explanation is what both ends say of a new connection. An end that is no
// instance is open, and has no decision.
type Explanation struct {
	Egress  *Decision // the sender's
	Ingress *Decision // the receiver's
}

// Verdict is what the connection gets: both ends decide.
func (e Explanation) Verdict() gabion.Verdict { return e.Deciding().Verdict() }

// Deciding is the decision that counts: the first that drops, or else the last
// one. It passes for no reason if neither end is an instance.
func (e Explanation) Deciding() Decision {
	switch {
	case e.Egress != nil && e.Egress.Verdict() == gabion.Drop, e.Egress != nil && e.Ingress == nil:
		return *e.Egress
	case e.Ingress != nil:
		return *e.Ingress
	}
	return Decision{Reason: gabion.PassEgressOpen}
}

// Decide tells whether the instance's rules admit a new flow.
func (v *View) Decide(i *gabion.Instance, q Question) Decision {
	members := v.membership()
	rules := v.rulesOf(i, members)
	if rules == nil {
		return Decision{Reason: gabion.DropNoPolicy}
	}
	answer := rules.ask(q)
	d := Decision{Reason: answer.Reason, Rule: rules.rule(answer.Rule)}
	if d.Rule != nil {
		d.Means = v.means(d.Rule, i.Organization, q.Remote, members)
	} else if d.Verdict() == gabion.Drop {
		d.Nearest = rules.nearest(q)
	}
	return d
}

func (s *ruleset) rule(id string) *gabion.Rule {
	for k := range s.rules {
		if s.rules[k].ID == id {
			return s.rules[k].Rule
		}
	}
	return nil
}

// Explain tells whether a new connection is admitted, and by what. Both addresses
// are of one IP version.
func (w *World) Explain(from, to End, s Service) Explanation {
	return Explanation{
		Egress:  w.decide(from, gabion.Egress, to.Address, s),
		Ingress: w.decide(to, gabion.Ingress, from.Address, s),
	}
}

// decide asks the end's instance, if it is one.
func (w *World) decide(end End, d gabion.Direction, remote netip.Addr, s Service) *Decision {
	if end.Instance == nil {
		return nil
	}
	decision := w.viewFor(end.Instance, remote).Decide(end.Instance, Question{
		Direction: d, Remote: remote, Protocol: s.Protocol, Port: s.Port, Type: s.Type, Code: s.Code,
	})
	return &decision
}

// viewFor is as much of a view as it takes to judge one remote address.
func (w *World) viewFor(i *gabion.Instance, remote netip.Addr) *View {
	v := NewView()
	v.Revision = w.revision
	for _, id := range listed(i) {
		g := w.groups[id]
		if g == nil || !g.counts(i) {
			continue
		}
		v.Groups[id] = g.describe(true, true)
		for _, r := range g.rules {
			if w.names(r) {
				v.Groups[r.Peer.Group] = w.groups[r.Peer.Group].describe(true, true)
			}
		}
	}
	for _, owner := range w.Owners(i.Organization, remote) {
		v.Members[owner.ID] = &Member{
			Instance: owner.ID, Organization: owner.Organization,
			Addresses: addresses(owner), Groups: listed(owner),
		}
	}
	return v
}
