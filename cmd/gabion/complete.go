package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// candidates are the names that an argument or flag can have.
type candidates func(context.Context, *client.Client) ([]string, error)

// completes makes the shell propose candidates for the arguments of c, in order.
func (a *app) completes(c *cobra.Command, positions ...candidates) *cobra.Command {
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(positions) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.propose(cmd.Context(), positions[len(args)])
	}
	return c
}

// completesFlag makes the shell propose candidates for a flag of c.
func (a *app) completesFlag(c *cobra.Command, flag string, names candidates) {
	_ = c.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.propose(cmd.Context(), names)
	})
}

// chooses makes the shell propose all that a flag of c takes.
func chooses(c *cobra.Command, flag string, from ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(from, cobra.ShellCompDirectiveNoFileComp))
}

// proposeFiles makes the shell propose files and directories where c or a command
// under it says that it takes some, and nowhere else.
func proposeFiles(c *cobra.Command) {
	for _, child := range c.Commands() {
		proposeFiles(child)
	}
	files := cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	arguments := cobra.ShellCompDirectiveNoFileComp
	if strings.HasSuffix(c.Use, " FILE") {
		arguments = cobra.ShellCompDirectiveDefault
	}
	c.CompletionOptions.SetDefaultShellCompDirective(arguments)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch value, _ := pflag.UnquoteUsage(f); value {
		case "FILE":
			_ = c.RegisterFlagCompletionFunc(f.Name, files)
		case "DIR":
			_ = c.MarkFlagDirname(f.Name)
		}
	})
}

func (a *app) propose(ctx context.Context, names candidates) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := names(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

var (
	groupNames        = proposals((*client.Client).Groups, func(g rest.SecurityGroup) string { return g.Name })
	instanceNames     = proposals((*client.Client).Instances, func(i rest.Instance) string { return i.Name })
	hostNames         = proposals((*client.Client).Hosts, func(h rest.Host) string { return h.Name })
	keyNames          = proposals((*client.Client).Keys, func(k rest.APIKey) string { return k.Key })
	organizationNames = proposals((*client.Client).Organizations, func(o rest.Organization) string { return o.Name })
	templateNames     = proposals((*client.Client).TemplateRules, func(t rest.TemplateRule) string { return t.Name })
)

func proposals[T any](all ask[T], name func(T) string) candidates {
	return func(ctx context.Context, c *client.Client) ([]string, error) {
		list, err := all(c, ctx)
		return collect(list, name), err
	}
}

// rulesOf are the rules of a group by their short ids, with what they let pass.
func rulesOf(group string) candidates {
	return func(ctx context.Context, c *client.Client) ([]string, error) {
		all, err := c.Groups(ctx)
		if err != nil {
			return nil, err
		}
		g, err := groups.find(all, group)
		return collect(g.Rules, func(r rest.SecurityGroupRule) string { return short(r.ID) + "\t" + shown(describe(r)) }), err
	}
}

func collect[T any](all []T, name func(T) string) []string {
	names := make([]string, len(all))
	for i, item := range all {
		names[i] = name(item)
	}
	return names
}
