package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newGroupExportCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export GROUP...",
		Short: "Print groups as YAML, for gabion apply",
		Long: `Print groups as YAML, for gabion apply: names, descriptions and rules.

Who is in a group is not part of it: neither its members nor its external sources.`,
		Example: `  gabion group export web > web.yaml
  gabion group export web app db > tiers.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("GROUP is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := c.Groups(cmd.Context())
			if err != nil {
				return err
			}
			files := make([]groupFile, len(args))
			for i, wanted := range args {
				g, err := groups.find(all, wanted)
				if err != nil {
					return err
				}
				files[i] = exported(g)
			}
			return writeGroups(a.stdout, files)
		},
	}
	return a.completes(cmd, groupNames)
}

func newApplyCommand(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "apply FILE",
		Short:   "Make groups what a YAML file says; each group's rules change in one step",
		GroupID: groupWalls,
		Long: `Make groups what a YAML file says; each group's rules change in one step.

Groups that are not there are created. Rules that a group has and the file does not are
deleted; equal ones stay as they are, with their hit counts. A FILE of - is standard
input. Groups that the file does not name stay as they are, and so do members and
external sources.`,
		Example: `  gabion group export web > web.yaml
  gabion apply web.yaml --dry-run     # only show the difference
  gabion apply web.yaml`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(a.stdin, args[0])
			if err != nil {
				return err
			}
			files, err := readGroups(args[0], text)
			if err != nil {
				return err
			}
			return a.apply(cmd.Context(), files, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show the difference")
	return a.changes(cmd)
}

func readFile(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// planned is what becomes of one group.
type planned struct {
	file    groupFile
	group   rest.SecurityGroup // without an id if it is yet to be created
	wanted  []rest.AddRuleRequest
	added   []rest.SecurityGroupRule
	gone    []rest.SecurityGroupRule
	staying int
}

func (p planned) changes() bool {
	return p.group.ID == "" || len(p.added)+len(p.gone) > 0 || p.file.Description != p.group.Description
}

func (a *app) apply(ctx context.Context, files []groupFile, dryRun bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := c.Groups(ctx)
	if err != nil {
		return err
	}
	plans, err := plan(all, files)
	if err != nil {
		return err
	}
	for _, p := range plans {
		a.showPlan(p)
	}
	if dryRun {
		return nil
	}
	return a.carryOut(ctx, c, files, plans)
}

// plan compares the files with the groups that there are. A group that is yet to
// be created goes by its name.
func plan(all []rest.SecurityGroup, files []groupFile) ([]planned, error) {
	known := slices.Clone(all)
	for _, f := range files {
		if !slices.ContainsFunc(known, func(g rest.SecurityGroup) bool { return g.Name == f.Name }) {
			known = append(known, rest.SecurityGroup{Name: f.Name})
		}
	}
	plans := make([]planned, len(files))
	for i, f := range files {
		wanted, err := f.requests(idOrName(known))
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(known, func(g rest.SecurityGroup) bool { return g.Name == f.Name })
		plans[i] = compare(f, known[at], wanted, known)
	}
	return plans, nil
}

// idOrName finds a group's id; of one that is yet to be created, its name.
func idOrName(known []rest.SecurityGroup) func(string) (string, error) {
	return func(name string) (string, error) {
		g, err := groups.find(known, name)
		if err == nil && g.ID == "" {
			return g.Name, nil
		}
		return g.ID, err
	}
}

func compare(f groupFile, g rest.SecurityGroup, wanted []rest.AddRuleRequest, known []rest.SecurityGroup) planned {
	p := planned{file: f, group: g, wanted: wanted, gone: slices.Clone(g.Rules)}
	for _, w := range wanted {
		rule := ruleOf(w, known)
		same := slices.IndexFunc(p.gone, func(r rest.SecurityGroupRule) bool { return sentence(r) == sentence(rule) })
		if same < 0 {
			p.added = append(p.added, rule)
			continue
		}
		p.gone = slices.Delete(p.gone, same, same+1)
		p.staying++
	}
	return p
}

// sentence says all of a rule that makes it differ from others.
func sentence(r rest.SecurityGroupRule) string { return describe(r) + "\x00" + r.Description }

// ruleOf is the rule that a request will make.
func ruleOf(w rest.AddRuleRequest, known []rest.SecurityGroup) rest.SecurityGroupRule {
	r := rest.SecurityGroupRule{FlowDirection: w.FlowDirection, Protocol: w.Protocol, Network: w.Network, Description: w.Description}
	if w.StartPort != nil {
		r.StartPort, r.EndPort = *w.StartPort, *w.EndPort
	}
	if w.ICMP != nil {
		r.ICMP = &rest.ICMP{Type: *w.ICMP.Type, Code: -1}
		if w.ICMP.Code != nil {
			r.ICMP.Code = *w.ICMP.Code
		}
	}
	if w.SecurityGroup != nil {
		name := w.SecurityGroup.ID
		for _, g := range known {
			if g.ID == name {
				name = g.Name
			}
		}
		r.SecurityGroup = &rest.Reference{ID: w.SecurityGroup.ID, Name: name}
	}
	return r
}

// showPlan prints what changes in one group.
func (a *app) showPlan(p planned) {
	switch {
	case !p.changes():
		a.say("%s: nothing to change", p.file.Name)
		return
	case p.group.ID == "":
		a.say("%s: new", p.file.Name)
	default:
		a.say("%s: keeps %s", p.file.Name, count(p.staying, "rule"))
	}
	if p.group.ID != "" && p.file.Description != p.group.Description {
		a.say("  ~ description %q", p.file.Description)
	}
	for _, r := range p.gone {
		a.say("  - %s", withDescription(r))
	}
	for _, r := range p.added {
		a.say("  + %s", withDescription(r))
	}
}

func withDescription(r rest.SecurityGroupRule) string {
	if r.Description == "" {
		return describe(r)
	}
	return fmt.Sprintf("%s (%s)", describe(r), r.Description)
}

// carryOut creates the groups that are missing first: they may name each other.
func (a *app) carryOut(ctx context.Context, c *client.Client, files []groupFile, plans []planned) error {
	for _, p := range plans {
		if p.group.ID != "" {
			continue
		}
		if _, err := c.CreateGroup(ctx, rest.CreateSecurityGroupRequest{Name: p.file.Name, Description: p.file.Description}); err != nil {
			return err
		}
		a.say("%s: created", p.file.Name)
	}
	all, err := c.Groups(ctx)
	if err != nil {
		return err
	}
	plans, err = plan(all, files)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := a.replace(ctx, c, p); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) replace(ctx context.Context, c *client.Client, p planned) error {
	if p.file.Description != p.group.Description {
		if _, err := c.UpdateGroup(ctx, p.group.ID, rest.UpdateSecurityGroupRequest{Description: &p.file.Description}); err != nil {
			return err
		}
		a.say("%s: described anew", p.file.Name)
	}
	if len(p.added)+len(p.gone) == 0 {
		return nil
	}
	operation, err := c.ReplaceRules(ctx, p.group.ID, p.wanted)
	if err != nil {
		return err
	}
	done := fmt.Sprintf("%s: %s added, %s deleted", p.file.Name, count(len(p.added), "rule"), count(len(p.gone), "rule"))
	return a.finish(ctx, c, change{operation: operation, done: done, policy: true})
}
