package api

import (
	"context"
	"fmt"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

func (a *api) explanation(ctx context.Context, org string, from, to policy.End, s policy.Service) (openapi.Explanation, error) {
	loaded := a.askLoaded(ctx, from, to, s)
	e := a.Explainer.Explain(from, to, s)
	body := openapi.Explanation{Allowed: e.Verdict() == gabion.Pass}
	var err error
	if body.From, err = a.endBody(ctx, org, from, to, e.Egress); err != nil {
		return body, err
	}
	if body.To, err = a.endBody(ctx, org, to, from, e.Ingress); err != nil {
		return body, err
	}
	body.From.Loaded, body.To.Loaded = loaded[gabion.Egress], loaded[gabion.Ingress]
	body.Summary = summary(body, s)
	return body, nil
}

// endBody is what one end says of a connection with the other.
func (a *api) endBody(ctx context.Context, org string, end, other policy.End, d *policy.Decision) (openapi.ConnectionEnd, error) {
	body := openapi.ConnectionEnd{Address: end.Address.String()}
	if d == nil {
		return body, nil
	}
	body.Instance = &openapi.Reference{ID: end.Instance.ID, Name: end.Instance.Name}
	body.Verdict = openapi.Verdict(d.Verdict().String())
	body.Reason = d.Reason.String()
	n, err := a.decisionNames(ctx, org, d)
	if err != nil {
		return body, err
	}
	body.Nearest = nearestBody(d.Nearest, n)
	if d.Rule == nil {
		return body, nil
	}
	if rule, ok := ruleBody(*d.Rule, n); ok {
		body.Rule = &rule
	}
	body.SecurityGroup = groupReference(d.Rule.Group, n)
	body.Membership = membershipBody(d.Means, other, n)
	return body, nil
}

// decisionNames are the names of all groups that a decision speaks of.
func (a *api) decisionNames(ctx context.Context, org string, d *policy.Decision) (names, error) {
	var rules []gabion.Rule
	add := func(r *gabion.Rule) {
		rules = append(rules, *r, gabion.Rule{Peer: gabion.Peer{Group: r.Group}})
	}
	if d.Rule != nil {
		add(d.Rule)
	}
	for _, near := range d.Nearest {
		add(near.Rule)
	}
	if len(rules) == 0 {
		return nil, nil
	}
	return a.peerNames(ctx, org, rules)
}

func groupReference(id string, n names) *openapi.Reference {
	if name, ok := n[id]; ok {
		return &openapi.Reference{ID: id, Name: name}
	}
	return nil
}

func nearestBody(all []policy.Near, n names) []openapi.NearRule {
	var bodies []openapi.NearRule
	for _, near := range all {
		rule, ok := ruleBody(*near.Rule, n)
		group := groupReference(near.Rule.Group, n)
		if !ok || group == nil {
			continue // it went meanwhile
		}
		body := openapi.NearRule{Rule: rule, SecurityGroup: *group}
		for _, difference := range near.Differs {
			body.Differs = append(body.Differs, openapi.NearRuleDiffers(difference))
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func membershipBody(m *policy.Means, other policy.End, n names) *openapi.Membership {
	if m == nil {
		return nil
	}
	body := &openapi.Membership{Address: other.Address.String(), Means: openapi.MembershipMeans(m.Kind)}
	if m.Via.IsValid() {
		body.Via = m.Via.String()
	}
	body.SecurityGroup = groupReference(m.Group, n)
	return body
}

// summary says it in one sentence.
func summary(e openapi.Explanation, s policy.Service) string {
	what := s.Protocol.String()
	switch {
	case s.Protocol.HasPorts():
		what = fmt.Sprintf("%s %d", s.Protocol, s.Port)
	case s.Protocol.IsICMP():
		what = fmt.Sprintf("%s %d/%d", s.Protocol, s.Type, s.Code)
	}
	verdict := "is denied: "
	if e.Allowed {
		verdict = "is allowed: "
	}
	return fmt.Sprintf("%s from %s to %s %s%s%s", what, endName(e.From), endName(e.To), verdict, because(e), alarmText(e))
}

// alarmText says that programs decide otherwise than the policy.
func alarmText(e openapi.Explanation) string {
	for _, end := range []openapi.ConnectionEnd{e.From, e.To} {
		if end.Loaded != nil && end.Loaded.Unavailable == "" && !end.Loaded.Agrees {
			return fmt.Sprintf("; but the programs at %s decide otherwise (%s), which is a fault of Gabion: tell its operator", end.Instance.Name, end.Loaded.Reason)
		}
	}
	return ""
}

func endName(end openapi.ConnectionEnd) string {
	if end.Instance == nil {
		return end.Address
	}
	return fmt.Sprintf("%s (%s)", end.Instance.Name, end.Address)
}

func because(e openapi.Explanation) string {
	switch {
	case e.From.Instance == nil && e.To.Instance == nil:
		return "neither end is an instance"
	case e.From.Verdict == openapi.Drop:
		return fmt.Sprintf("no egress rule of %s admits it", e.From.Instance.Name)
	case e.To.Verdict == openapi.Drop:
		return fmt.Sprintf("no ingress rule of %s admits it", e.To.Instance.Name)
	case e.To.SecurityGroup != nil:
		return fmt.Sprintf("by an ingress rule of group %s", e.To.SecurityGroup.Name)
	case e.From.SecurityGroup != nil:
		return fmt.Sprintf("by an egress rule of group %s", e.From.SecurityGroup.Name)
	}
	return fmt.Sprintf("%s has no egress rule, so all egress is open", e.From.Instance.Name)
}
