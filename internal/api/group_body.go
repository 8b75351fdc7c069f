package api

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

// names are the names of groups, by id.
type names map[string]string

func namesOf(groups []gabion.Group) names {
	n := make(names, len(groups))
	for _, g := range groups {
		n[g.ID] = g.Name
	}
	return n
}

// references are the groups of those ids that there are.
func (n names) references(ids []string) []openapi.Reference {
	list := make([]openapi.Reference, 0, len(ids))
	for _, id := range ids {
		if name, ok := n[id]; ok {
			list = append(list, openapi.Reference{ID: id, Name: name})
		}
	}
	return list
}

// peerNames are the names of the groups that the rules name. One that is gone
// is left out.
func (a *api) peerNames(ctx context.Context, org string, rules []gabion.Rule) (names, error) {
	var ids []string
	for _, r := range rules {
		if r.Peer.IsGroup() {
			ids = append(ids, r.Peer.Group)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return lookUp(ctx, a, org, func(w *policy.World) names { return groupNames(w, org, ids...) })
}

func groupBody(g gabion.Group, rules []gabion.Rule, n names, primary string) openapi.SecurityGroup {
	body := openapi.SecurityGroup{
		ID: g.ID, Name: g.Name, Description: g.Description,
		Visibility: openapi.SecurityGroupVisibilityPrivate,
		Primary:    g.ID == primary,
	}
	for _, source := range g.Sources {
		body.ExternalSources = append(body.ExternalSources, source.String())
	}
	for _, r := range rules {
		if rule, ok := ruleBody(r, n); ok {
			body.Rules = append(body.Rules, rule)
		}
	}
	return body
}

// ruleBody is the rule as it was given; false if its peer is gone, and so is it.
func ruleBody(r gabion.Rule, n names) (openapi.SecurityGroupRule, bool) {
	body := openapi.SecurityGroupRule{
		ID:            r.ID,
		FlowDirection: openapi.FlowDirection(r.Direction.String()),
		Protocol:      openapi.Protocol(r.Protocol.String()),
		Description:   r.Description,
		StartPort:     int(r.Ports.Start),
		EndPort:       int(r.Ports.End),
	}
	if r.Protocol.IsICMP() {
		body.ICMP = &openapi.ICMP{Type: r.ICMP.Type, Code: r.ICMP.Code}
	}
	if !r.Peer.IsGroup() {
		body.Network = r.Peer.Network.String()
		return body, true
	}
	name, ok := n[r.Peer.Group]
	body.SecurityGroup = &openapi.Reference{ID: r.Peer.Group, Name: name}
	return body, ok
}

func memberBodies(members []*gabion.Instance) []openapi.Reference {
	bodies := make([]openapi.Reference, len(members))
	for k, i := range members {
		bodies[k] = openapi.Reference{ID: i.ID, Name: i.Name}
	}
	return bodies
}

// rulesNaming are the rules of all groups whose peer is the group, by the names of
// their groups.
func rulesNaming(w *policy.World, group *gabion.Group) []openapi.UsingRule {
	naming, n := []openapi.UsingRule{}, names{group.ID: group.Name}
	for r := range w.Naming(group.ID) {
		body, _ := ruleBody(*r, n)
		holder := w.Group(r.Group)
		naming = append(naming, openapi.UsingRule{
			SecurityGroup: openapi.Reference{ID: holder.ID, Name: holder.Name}, Rule: body,
		})
	}
	slices.SortFunc(naming, func(a, b openapi.UsingRule) int {
		return cmp.Or(
			strings.Compare(a.SecurityGroup.Name, b.SecurityGroup.Name),
			strings.Compare(a.SecurityGroup.ID, b.SecurityGroup.ID),
			strings.Compare(a.Rule.ID, b.Rule.ID),
		)
	})
	return naming
}
