package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

// maxBatch is how many rules one request may add.
const maxBatch = 100

// AddRuleToSecurityGroup adds one rule.
func (a *api) AddRuleToSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.AddRuleRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		rule, err := a.newRule(ctx, org, id, body)
		if err != nil {
			return gabion.Operation{}, err
		}
		return a.addRules(ctx, org, id, []gabion.Rule{rule})
	})
}

// AddRulesToSecurityGroup adds several rules, all or none.
func (a *api) AddRulesToSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.AddRulesRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		if n := len(body.Rules); n == 0 || n > maxBatch {
			return gabion.Operation{}, gabion.Invalid("rules", "are %d; give 1 to %d at once", n, maxBatch)
		}
		rules, err := a.newRules(ctx, org, id, body.Rules)
		if err != nil {
			return gabion.Operation{}, err
		}
		return a.addRules(ctx, org, id, rules)
	})
}

// ReplaceRulesOfSecurityGroup makes the group's rules those given.
func (a *api) ReplaceRulesOfSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.ReplaceRulesRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		if body.Rules == nil {
			return gabion.Operation{}, gabion.Invalid("rules", "are missing; give all that the group is to have, or [] for none")
		}
		rules, err := a.newRules(ctx, org, id, body.Rules)
		if err != nil {
			return gabion.Operation{}, err
		}
		before, err := a.Store.GroupRules(ctx, org, id)
		if err != nil {
			return gabion.Operation{}, err
		}
		op, err := a.Store.ReplaceRules(ctx, org, id, rules)
		if err == nil {
			op.Message = egressWarning(countEgress(before), countEgress(rules))
		}
		return op, err
	})
}

// newRules are the rules that a request describes, each once.
func (a *api) newRules(ctx context.Context, org, group string, bodies []openapi.AddRuleRequest) ([]gabion.Rule, error) {
	rules, seen := make([]gabion.Rule, len(bodies)), map[string]int{}
	for i, body := range bodies {
		part := fmt.Sprintf("rules[%d]", i)
		rule, err := a.newRule(ctx, org, group, body)
		if err != nil {
			return nil, within(part, err)
		}
		if first, twice := seen[rule.Key()]; twice {
			return nil, gabion.Invalid(part, "is the same as rules[%d]; give it once", first)
		}
		seen[rule.Key()] = i
		rules[i] = rule
	}
	return rules, nil
}

// addRules adds the rules and warns if they close what was open.
func (a *api) addRules(ctx context.Context, org, group string, rules []gabion.Rule) (gabion.Operation, error) {
	before, err := a.Store.GroupRules(ctx, org, group)
	if err != nil {
		return gabion.Operation{}, err
	}
	op, err := a.Store.AddRules(ctx, org, group, rules)
	if n := countEgress(before); err == nil {
		op.Message = egressWarning(n, n+countEgress(rules))
	}
	return op, err
}

// DeleteRuleFromSecurityGroup deletes one rule and warns if that opens what was closed.
func (a *api) DeleteRuleFromSecurityGroup(w http.ResponseWriter, r *http.Request, id, ruleID string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		before, err := a.Store.GroupRules(ctx, org, id)
		if err != nil {
			return gabion.Operation{}, err
		}
		op, err := a.Store.DeleteRule(ctx, org, id, ruleID)
		if err == nil && isOnlyEgress(before, ruleID) {
			op.Message = egressWarning(1, 0)
		}
		return op, err
	})
}

// egressWarning says what turning the egress switch means, by how many egress rules
// the group had and has; empty if it was not turned.
func egressWarning(before, after int) string {
	switch {
	case before == 0 && after > 0:
		return "the group's first egress rule: its instances now send only what an egress rule of one of their groups admits"
	case before > 0 && after == 0:
		return "the group's last egress rule is gone: its instances now send anything, unless another of their groups has an egress rule"
	}
	return ""
}

func countEgress(rules []gabion.Rule) (n int) {
	for _, r := range rules {
		if r.Direction == gabion.Egress {
			n++
		}
	}
	return n
}

func isOnlyEgress(rules []gabion.Rule, id string) bool {
	for _, r := range rules {
		if r.ID == id {
			return r.Direction == gabion.Egress && countEgress(rules) == 1
		}
	}
	return false
}

// newRule is the rule that a request describes, as it will be stored.
func (a *api) newRule(ctx context.Context, org, group string, body openapi.AddRuleRequest) (gabion.Rule, error) {
	r := gabion.Rule{ID: uuid.NewString(), Group: group, Description: body.Description}
	var err error
	if r.Direction, err = gabion.ParseDirection(string(body.FlowDirection)); err != nil {
		return r, err
	}
	if r.Protocol, err = gabion.ParseProtocol(string(body.Protocol)); err != nil {
		return r, err
	}
	if r.Ports, err = newPorts(r.Protocol, body.StartPort, body.EndPort); err != nil {
		return r, err
	}
	if r.ICMP, err = newICMP(r.Protocol, body.ICMP); err != nil {
		return r, err
	}
	if r.Peer, err = a.newPeer(ctx, org, body); err != nil {
		return r, err
	}
	return r, r.Validate()
}

func newPorts(p gabion.Protocol, start, end *int) (gabion.PortRange, error) {
	for _, port := range []struct {
		field        string
		value, other *int
	}{{"start-port", start, end}, {"end-port", end, start}} {
		switch {
		case port.value == nil && port.other != nil:
			return gabion.PortRange{}, gabion.Invalid(port.field, "is missing; give both ports, %d and %d for just that one", *port.other, *port.other)
		case port.value == nil:
		case !p.HasPorts():
			return gabion.PortRange{}, gabion.Invalid(port.field, "%s has no ports; leave start-port and end-port out", p)
		case *port.value < 1 || *port.value > 65535:
			return gabion.PortRange{}, gabion.Invalid(port.field, "%d is out of range; give 1 to 65535, or neither port for every port", *port.value)
		}
	}
	if start == nil {
		return gabion.PortRange{}, nil
	}
	return gabion.PortRange{Start: uint16(*start), End: uint16(*end)}, nil
}

func newICMP(p gabion.Protocol, body *openapi.ICMPRequest) (gabion.ICMPMatch, error) {
	switch {
	case !p.IsICMP() && body != nil:
		return gabion.ICMPMatch{}, gabion.Invalid("icmp", "%s has no ICMP type and code; leave icmp out", p)
	case !p.IsICMP():
		return gabion.ICMPMatch{}, nil
	}
	m := gabion.AnyICMP
	if body != nil {
		setIf(&m.Type, body.Type)
		setIf(&m.Code, body.Code)
	}
	return m, nil
}

func (a *api) newPeer(ctx context.Context, org string, body openapi.AddRuleRequest) (gabion.Peer, error) {
	switch {
	case body.Network != "" && body.SecurityGroup != nil:
		return gabion.Peer{}, gabion.Invalid("network", "is given beside security-group; give exactly one of them")
	case body.SecurityGroup != nil:
		id, err := a.peerGroup(ctx, org, *body.SecurityGroup)
		return gabion.Peer{Group: id}, err
	case body.Network == "":
		return gabion.Peer{}, gabion.Invalid("network", "is missing; give exactly one of network and security-group (0.0.0.0/0 is every IPv4 address, ::/0 every IPv6 address)")
	}
	network, err := gabion.ParseNetwork("network", body.Network)
	return gabion.Peer{Network: network}, err
}

// peerGroup is the id of the group that a request names by id or by name.
func (a *api) peerGroup(ctx context.Context, org string, peer openapi.PeerGroupRequest) (string, error) {
	switch {
	case peer.Visibility == openapi.PeerGroupRequestVisibilityPublic:
		return "", gabion.Invalid("security-group.visibility", "there are no public groups here; name one of your own")
	case peer.Visibility != "" && peer.Visibility != openapi.PeerGroupRequestVisibilityPrivate:
		return "", gabion.Invalid("security-group.visibility", "%q is neither; write private or leave it out", peer.Visibility)
	case peer.ID == "" && peer.Name == "":
		return "", gabion.Invalid("security-group.id", "is missing; give the group's id or name")
	case peer.ID == "":
		return a.groupNamed(ctx, org, peer.Name)
	}
	if err := requireID("security-group.id", peer.ID); err != nil {
		return "", err
	}
	g, err := a.Store.Group(ctx, org, peer.ID)
	if err == nil && peer.Name != "" && peer.Name != g.Name {
		return "", gabion.Invalid("security-group.name", "%q is not the name of %s, which is %q; give one of id and name", peer.Name, g.ID, g.Name)
	}
	return peer.ID, err
}

func (a *api) groupNamed(ctx context.Context, org, name string) (string, error) {
	found, err := lookUp(ctx, a, org, func(w *policy.World) []*gabion.Group { return w.Groups(org).Named(name) })
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", gabion.NotFound("security group", name)
	}
	return found[0].ID, nil
}
