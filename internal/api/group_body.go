package api

import (
	"context"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
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

// peerNames reads the names of the groups that the rules name. One that is gone
// is left out.
func (a *api) peerNames(ctx context.Context, org string, rules []gabion.Rule) (names, error) {
	n := names{}
	for _, r := range rules {
		if _, known := n[r.Peer.Group]; known || !r.Peer.IsGroup() {
			continue
		}
		if err := a.addName(ctx, n, org, r.Peer.Group); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (a *api) addName(ctx context.Context, n names, org, id string) error {
	g, err := a.Store.Group(ctx, org, id)
	switch {
	case gabion.CodeOf(err) == gabion.CodeNotFound:
		return nil
	case err != nil:
		return err
	}
	n[id] = g.Name
	return nil
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

func membersOf(group string, instances []gabion.Instance) []openapi.Reference {
	members := []openapi.Reference{}
	for _, i := range instances {
		if slices.Contains(i.Groups, group) {
			members = append(members, openapi.Reference{ID: i.ID, Name: i.Name})
		}
	}
	return members
}

// rulesNaming are the rules of all groups whose peer is the group.
func (a *api) rulesNaming(ctx context.Context, org, group string) ([]openapi.UsingRule, error) {
	rules, err := a.Store.Rules(ctx, org)
	if err != nil {
		return nil, err
	}
	groups, err := a.Store.Groups(ctx, org)
	if err != nil {
		return nil, err
	}
	n, naming := namesOf(groups), []openapi.UsingRule{}
	for _, r := range rules {
		body, ok := ruleBody(r, n)
		if holder, held := n[r.Group]; ok && held && r.Peer.Group == group {
			naming = append(naming, openapi.UsingRule{
				SecurityGroup: openapi.Reference{ID: r.Group, Name: holder}, Rule: body,
			})
		}
	}
	return naming, nil
}
