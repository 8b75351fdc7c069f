package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newGroupCommand(a *app) *cobra.Command {
	return noun(groupWalls, "group", "Security groups: named sets of rules",
		a.reads(newGroupListCommand(a)),
		a.reads(a.completes(newGroupShowCommand(a), groupNames)),
		a.reads(a.completes(newGroupUsageCommand(a), groupNames)),
		newGroupExportCommand(a),
		a.changes(newGroupCreateCommand(a)),
		a.changes(a.completes(newGroupRenameCommand(a), groupNames)),
		a.changes(a.completes(newGroupDeleteCommand(a), groupNames)),
		a.changes(a.completes(newMakePrimaryCommand(a), groupNames)),
		a.changes(a.completes(newAddSourceCommand(a), groupNames)),
		a.changes(a.completes(newRemoveSourceCommand(a), groupNames)),
	)
}

func newGroupListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List groups",
		Example: "  gabion group list\n  gabion group list -o json | jq -r '.[].name'",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Groups, groupTable),
	}
}

func groupTable(all []rest.SecurityGroup) *table {
	t := &table{
		header: []string{"NAME", "INGRESS", "EGRESS", "ID", "DESCRIPTION"},
		empty:  "No groups. Create one: gabion group create web",
	}
	for _, g := range all {
		name := g.Name
		if g.Primary {
			name += " (primary)"
		}
		in, out := split(g.Rules)
		t.add(name, orElse(in, "closed"), orElse(out, "open"), short(g.ID), g.Description)
	}
	return t
}

// split parts rules by direction.
func split(rules []rest.SecurityGroupRule) (in, out []rest.SecurityGroupRule) {
	for _, r := range rules {
		if r.FlowDirection == rest.FlowDirectionEgress {
			out = append(out, r)
		} else {
			in = append(in, r)
		}
	}
	return in, out
}

// orElse counts rules, or says what none of them means.
func orElse(rules []rest.SecurityGroupRule, none string) string {
	if len(rules) == 0 {
		return none
	}
	return count(len(rules), "rule")
}

func newGroupShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show GROUP",
		Short:   "Show a group: its rules, members and sources",
		Example: "  gabion group show web",
		Args:    arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := groups.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(g)
			}
			usage, err := c.GroupUsage(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return a.showGroup(g, usage)
		},
	}
}

func (a *app) showGroup(g rest.SecurityGroup, usage rest.SecurityGroupUsage) error {
	facts := [][]string{{"Name", g.Name}, {"ID", g.ID}}
	if g.Description != "" {
		facts = append(facts, []string{"Description", g.Description})
	}
	if g.Primary {
		facts = append(facts, []string{"Primary", "yes: instances that name no group get this one"})
	}
	if len(g.ExternalSources) > 0 {
		facts = append(facts, []string{"Sources", strings.Join(g.ExternalSources, ", ")})
	}
	members := names(usage.Instances)
	if members == "" {
		members = "none"
	}
	facts = append(facts, []string{"Members", members})
	if err := align(a.stdout, facts); err != nil {
		return err
	}
	in, out := split(g.Rules)
	if err := a.showRules("Ingress", "closed: nothing comes in", in); err != nil {
		return err
	}
	return a.showRules("Egress", "open: everything goes out, until the first egress rule", out)
}

// showRules lists the rules of one direction under its title.
func (a *app) showRules(title, none string, rules []rest.SecurityGroupRule) error {
	a.say("\n%s", title)
	if len(rules) == 0 {
		a.say("  %s", none)
		return nil
	}
	rows := make([][]string, len(rules))
	for i, r := range rules {
		rows[i] = []string{"", traffic(r), peer(r), short(r.ID), r.Description}
	}
	return align(a.stdout, rows)
}

func newGroupUsageCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "usage GROUP",
		Short:   "Tell who uses a group: its members, and the rules that name it",
		Example: "  gabion group usage web",
		Args:    arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, g, err := groups.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			usage, err := c.GroupUsage(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return a.print(usage, usageTable(g, usage))
		},
	}
}

func usageTable(g rest.SecurityGroup, usage rest.SecurityGroupUsage) *table {
	t := &table{
		header: []string{"USED BY", "NAME", "HOW"},
		empty:  fmt.Sprintf("Nobody uses %s. Delete it: gabion group delete %s", g.Name, g.Name),
	}
	if usage.Primary {
		t.add("organization", "-", "primary group: instances that name no group get it")
	}
	for _, i := range usage.Instances {
		t.add("instance", i.Name, "member")
	}
	for _, r := range usage.Rules {
		t.add("rule "+short(r.Rule.ID), r.SecurityGroup.Name, describe(r.Rule))
	}
	return t
}

func newGroupCreateCommand(a *app) *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a group",
		Example: `  gabion group create web --description "what faces the internet"
  gabion rule add web --template https`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			operation, err := c.CreateGroup(cmd.Context(), rest.CreateSecurityGroupRequest{Name: args[0], Description: description})
			if err != nil {
				return err
			}
			done := fmt.Sprintf("group %s created: ingress closed, egress open", args[0])
			return a.finish(cmd.Context(), c, change{operation: operation, done: done})
		},
	}
	cmd.Flags().StringVar(&description, "description", "", "`TEXT` what the group is for")
	return cmd
}

func newGroupRenameCommand(a *app) *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use:   "rename GROUP [NAME]",
		Short: "Rename a group, or describe it anew",
		Example: `  gabion group rename web frontend
  gabion group rename web --description "what faces the internet"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && cmd.Flags().Changed("description") {
				return nil
			}
			return arguments("GROUP", "NAME")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var request rest.UpdateSecurityGroupRequest
			if len(args) == 2 {
				request.Name = &args[1]
			}
			if cmd.Flags().Changed("description") {
				request.Description = &description
			}
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				operation, err := c.UpdateGroup(ctx, g.ID, request)
				return change{operation: operation, done: renamed(g, args[1:])}, err
			})
		},
	}
	cmd.Flags().StringVar(&description, "description", "", "`TEXT` what the group is for")
	return cmd
}

func renamed(g rest.SecurityGroup, name []string) string {
	if len(name) == 0 {
		return fmt.Sprintf("group %s described anew", g.Name)
	}
	return fmt.Sprintf("group %s is now called %s; rules that name it still do", g.Name, name[0])
}

// changeGroup finds a group, changes it, and says what was done.
func (a *app) changeGroup(ctx context.Context, wanted string, do func(context.Context, *client.Client, rest.SecurityGroup) (change, error)) error {
	c, g, err := groups.named(ctx, a, wanted)
	if err != nil {
		return err
	}
	made, err := do(ctx, c, g)
	if err != nil {
		return err
	}
	return a.finish(ctx, c, made)
}

func newGroupDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete GROUP",
		Short:   "Delete a group that nobody uses",
		Example: "  gabion group usage web     # who is in the way\n  gabion group delete web",
		Args:    arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				operation, err := c.DeleteGroup(ctx, g.ID)
				return change{operation: operation, done: fmt.Sprintf("group %s deleted", g.Name)}, err
			})
		},
	}
}

func newMakePrimaryCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "make-primary GROUP",
		Short:   "Make a group the one that instances get when they name none",
		Example: "  gabion group make-primary common",
		Args:    arguments("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				operation, err := c.MakePrimary(ctx, g.ID)
				return change{operation: operation, done: fmt.Sprintf("group %s is primary: new instances that name no group get it", g.Name)}, err
			})
		},
	}
}

func newAddSourceCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "add-source GROUP NETWORK",
		Short:   "Make a network count as a member wherever the group is named",
		Example: "  gabion group add-source office 203.0.113.0/24",
		Args:    arguments("GROUP", "NETWORK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				operation, err := c.AddSource(ctx, g.ID, args[1])
				return change{operation: operation, done: fmt.Sprintf("%s counts as a member of %s", args[1], g.Name), policy: true}, err
			})
		},
	}
}

func newRemoveSourceCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove-source GROUP NETWORK",
		Short:   "Take an external source away from a group",
		Example: "  gabion group remove-source office 203.0.113.0/24",
		Args:    arguments("GROUP", "NETWORK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGroup(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, g rest.SecurityGroup) (change, error) {
				operation, err := c.RemoveSource(ctx, g.ID, args[1])
				return change{operation: operation, done: fmt.Sprintf("%s no longer counts as a member of %s", args[1], g.Name), policy: true}, err
			})
		},
	}
}
