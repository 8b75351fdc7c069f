package client

import (
	"context"

	"github.com/gabion/gabion/client/rest"
)

// Groups lists the security groups with their rules, in order of creation.
func (c *Client) Groups(ctx context.Context) ([]rest.SecurityGroup, error) {
	list, err := decode[rest.SecurityGroupList](c.rest.ListSecurityGroups(ctx, nil))
	return list.SecurityGroups, err
}

// Group shows one security group with its rules.
func (c *Client) Group(ctx context.Context, id string) (rest.SecurityGroup, error) {
	return decode[rest.SecurityGroup](c.rest.GetSecurityGroup(ctx, id))
}

// GroupUsage tells who uses a security group.
func (c *Client) GroupUsage(ctx context.Context, id string) (rest.SecurityGroupUsage, error) {
	return decode[rest.SecurityGroupUsage](c.rest.GetSecurityGroupUsage(ctx, id))
}

// CreateGroup creates a security group.
func (c *Client) CreateGroup(ctx context.Context, request rest.CreateSecurityGroupRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.CreateSecurityGroup(ctx, request))
}

// UpdateGroup renames or describes a security group anew.
func (c *Client) UpdateGroup(ctx context.Context, id string, request rest.UpdateSecurityGroupRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.UpdateSecurityGroup(ctx, id, request))
}

// DeleteGroup deletes a security group that nobody uses.
func (c *Client) DeleteGroup(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteSecurityGroup(ctx, id))
}

// MakePrimary makes the group the one that new instances get when they name none.
func (c *Client) MakePrimary(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.MakePrimarySecurityGroup(ctx, id))
}

// AddSource makes a network count as a member wherever the group is a peer.
func (c *Client) AddSource(ctx context.Context, group, cidr string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.AddExternalSourceToSecurityGroup(ctx, group, rest.SourceRequest{Cidr: cidr}))
}

// RemoveSource takes an external source away.
func (c *Client) RemoveSource(ctx context.Context, group, cidr string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.RemoveExternalSourceFromSecurityGroup(ctx, group, rest.SourceRequest{Cidr: cidr}))
}

// AddRules adds rules to a group, all or none. One alone goes the public API's
// way: a refusal then names its fields without a place in a list.
func (c *Client) AddRules(ctx context.Context, group string, rules []rest.AddRuleRequest) (rest.Operation, error) {
	if len(rules) == 1 {
		return decode[rest.Operation](c.rest.AddRuleToSecurityGroup(ctx, group, rules[0]))
	}
	return decode[rest.Operation](c.rest.AddRulesToSecurityGroup(ctx, group, rest.AddRulesRequest{Rules: rules}))
}

// ReplaceRules makes the group's rules those given, in one step. Rules that it has
// already are kept, with their ids.
func (c *Client) ReplaceRules(ctx context.Context, group string, rules []rest.AddRuleRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.ReplaceRulesOfSecurityGroup(ctx, group, rest.ReplaceRulesRequest{Rules: rules}))
}

// DeleteRule deletes a rule of a group.
func (c *Client) DeleteRule(ctx context.Context, group, rule string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteRuleFromSecurityGroup(ctx, group, rule))
}

// TemplateRules lists the quick templates. They have no peer; the caller chooses it.
func (c *Client) TemplateRules(ctx context.Context) ([]rest.TemplateRule, error) {
	list, err := decode[rest.TemplateRuleList](c.rest.ListTemplateRules(ctx))
	return list.TemplateRules, err
}

// Explain tells whether a new connection would be admitted, and which rule decides.
func (c *Client) Explain(ctx context.Context, request rest.ExplainRequest) (rest.Explanation, error) {
	return decode[rest.Explanation](c.rest.ExplainConnection(ctx, request))
}
