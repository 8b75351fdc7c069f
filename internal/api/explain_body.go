package api

import (
	"context"
	"fmt"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

func (a *api) explanation(ctx context.Context, org string, from, to policy.End, s policy.Service) (openapi.Explanation, error) {
	e := a.Explainer.Explain(from, to, s)
	body := openapi.Explanation{Allowed: e.Verdict() == gabion.Pass}
	var err error
	if body.From, err = a.endBody(ctx, org, from, e.Egress); err != nil {
		return body, err
	}
	if body.To, err = a.endBody(ctx, org, to, e.Ingress); err != nil {
		return body, err
	}
	body.Summary = summary(body, s)
	return body, nil
}

func (a *api) endBody(ctx context.Context, org string, end policy.End, d *policy.Decision) (openapi.ConnectionEnd, error) {
	body := openapi.ConnectionEnd{Address: end.Address.String()}
	if d == nil {
		return body, nil
	}
	body.Instance = &openapi.Reference{ID: end.Instance.ID, Name: end.Instance.Name}
	body.Verdict = openapi.Verdict(d.Verdict().String())
	body.Reason = d.Reason.String()
	if d.Rule == nil {
		return body, nil
	}
	n, err := a.peerNames(ctx, org, []gabion.Rule{*d.Rule, {Peer: gabion.Peer{Group: d.Rule.Group}}})
	if err != nil {
		return body, err
	}
	if rule, ok := ruleBody(*d.Rule, n); ok {
		body.Rule = &rule
	}
	if name, ok := n[d.Rule.Group]; ok {
		body.SecurityGroup = &openapi.Reference{ID: d.Rule.Group, Name: name}
	}
	return body, nil
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
	return fmt.Sprintf("%s from %s to %s %s%s", what, endName(e.From), endName(e.To), verdict, because(e))
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
