package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newRuleCommand(a *app) *cobra.Command {
	return noun(groupWalls, "rule", "Rules: what a group lets in and out",
		a.reads(a.completes(newRuleListCommand(a), groupNames)),
		a.reads(a.completes(newRuleHitsCommand(a), groupNames)),
		a.reads(newRuleTemplatesCommand(a)),
		a.changes(a.completes(newRuleAddCommand(a), groupNames)),
		a.changes(newRuleDeleteCommand(a)),
	)
}

func newRuleListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list GROUP",
		Short:   "List the rules of a group",
		Example: "  gabion rule list web",
		Args:    arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, g, err := groups.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			return a.print(orEmpty(g.Rules), ruleTable(g))
		},
	}
}

func ruleTable(g rest.SecurityGroup) *table {
	t := &table{
		header: []string{"ID", "DIRECTION", "ALLOWS", "PEER", "DESCRIPTION"},
		empty:  fmt.Sprintf("%s has no rules: nothing comes in, everything goes out. Open a port: gabion rule add %s --template ssh", g.Name, g.Name),
	}
	for _, r := range byDirection(g.Rules) {
		t.add(short(r.ID), string(r.FlowDirection), traffic(r), peer(r), r.Description)
	}
	return t
}

func newRuleTemplatesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "templates",
		Short:   "List the quick templates for --template",
		Example: "  gabion rule templates\n  gabion rule add web --template ssh",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).TemplateRules, templateTable),
	}
}

func templateTable(templates []rest.TemplateRule) *table {
	t := &table{header: []string{"NAME", "ALLOWS", "DESCRIPTION"}, empty: "This server has no templates."}
	for _, template := range templates {
		allows := make([]string, len(template.Rules))
		for i, r := range template.Rules {
			allows[i] = traffic(rest.SecurityGroupRule{Protocol: r.Protocol, StartPort: r.StartPort, EndPort: r.EndPort, ICMP: r.ICMP})
		}
		t.add(template.Name, strings.Join(allows, ", "), template.Description)
	}
	return t
}

func newRuleAddCommand(a *app) *cobra.Command {
	flags := &ruleFlags{}
	cmd := &cobra.Command{
		Use:   "add GROUP",
		Short: "Add one or several rules to a group, all or none",
		Long: `Add one or several rules to a group, all or none.

Rules only ever allow. --from lets peers reach the group's members, --to lets the
members reach peers. The first egress rule closes all other egress.`,
		Example: `  gabion rule add web --template ssh                                   # from everyone
  gabion rule add web --template ssh --from 203.0.113.0/24
  gabion rule add web --template ssh --from-my-ip
  gabion rule add web --protocol tcp --port 80,443,8000-8100 --from 0.0.0.0/0
  gabion rule add db  --protocol tcp --port 5432 --from app            # a group: follows its members
  gabion rule add app --protocol tcp --port 5432 --to db               # egress
  gabion rule add web --protocol icmp --icmp-type 8 --icmp-code 0 --from 0.0.0.0/0`,
		Args: arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.addRules(cmd.Context(), args[0], flags) },
	}
	flags.register(cmd)
	a.completesFlag(cmd, "template", templateNames)
	chooses(cmd, "protocol", protocols...)
	chooses(cmd, "direction", "ingress", "egress")
	for _, flag := range []string{"from", "to", "from-group", "to-group"} {
		a.completesFlag(cmd, flag, groupNames)
	}
	return cmd
}

func (a *app) addRules(ctx context.Context, wanted string, flags *ruleFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := c.Groups(ctx)
	if err != nil {
		return err
	}
	g, err := groups.find(all, wanted)
	if err != nil {
		return err
	}
	if err := flags.addMyIP(ctx, c); err != nil {
		return err
	}
	requests, err := flags.requests(ctx, c, all)
	if err != nil {
		return err
	}
	operation, err := c.AddRules(ctx, g.ID, requests)
	if err != nil {
		return err
	}
	made := change{operation: operation, policy: true}
	if made.done, made.details, err = added(ctx, c, g); err != nil {
		return err
	}
	return a.finish(ctx, c, made)
}

// added says which rules a group has that it had not before.
func added(ctx context.Context, c *client.Client, before rest.SecurityGroup) (done string, details []string, err error) {
	now, err := c.Group(ctx, before.ID)
	if err != nil {
		return "", nil, err
	}
	fresh := slices.DeleteFunc(now.Rules, func(r rest.SecurityGroupRule) bool {
		return slices.ContainsFunc(before.Rules, func(old rest.SecurityGroupRule) bool { return old.ID == r.ID })
	})
	if len(fresh) == 1 {
		return fmt.Sprintf("rule %s added to %s: %s", short(fresh[0].ID), now.Name, describe(fresh[0])), nil, nil
	}
	for _, r := range fresh {
		details = append(details, short(r.ID)+"  "+describe(r))
	}
	return fmt.Sprintf("%s added to %s", count(len(fresh), "rule"), now.Name), details, nil
}

func newRuleDeleteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete GROUP RULE",
		Short:   "Delete a rule; connections that only it allowed end",
		Example: "  gabion rule delete web 1f0c9b1e",
		Args:    arguments("GROUP", "RULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				r, err := rulesIn(g.Name).find(g.Rules, args[1])
				if err != nil {
					return change{}, err
				}
				operation, err := c.DeleteRule(ctx, g.ID, r.ID)
				done := fmt.Sprintf("rule %s deleted from %s: %s", short(r.ID), g.Name, describe(r))
				return change{operation: operation, done: done, policy: true}, err
			})
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return a.propose(cmd.Context(), groupNames)
		case 1:
			return a.propose(cmd.Context(), rulesOf(args[0]))
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}
