package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newOrganizationCommand(a *app) *cobra.Command {
	return noun(groupPeople, "organization", "Organizations: tenants, sealed from each other",
		a.reads(newOrganizationListCommand(a)),
		a.reads(newOrganizationQuotasCommand(a)),
		a.changes(newOrganizationCreateCommand(a)),
		a.changes(a.completes(newOrganizationUpdateCommand(a), organizationNames)),
		a.changes(a.completes(newOrganizationDeleteCommand(a), organizationNames)),
	)
}

func newOrganizationListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List your organization; for operators, all of them",
		Example: "  gabion organization list",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Organizations, organizationTable),
	}
}

func organizationTable(all []rest.Organization) *table {
	t := &table{header: []string{"NAME", "ID", "HOSTS", "GROUPS", "INSTANCES", "KEYS"}, empty: "No organizations."}
	for _, o := range all {
		t.add(o.Name, short(o.ID), cmp.Or(strings.Join(o.Hosts, ","), "none"), upTo(o.Quotas.SecurityGroups), upTo(o.Quotas.Instances), upTo(o.Quotas.APIKeys))
	}
	return t
}

func upTo(limit int) string { return "≤ " + strconv.Itoa(limit) }

func newOrganizationQuotasCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "quotas",
		Short:   "Show how much your organization may have, and how much it has",
		Example: "  gabion organization quotas",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Quotas, quotaTable),
	}
}

func quotaTable(all []rest.Quota) *table {
	t := &table{header: []string{"RESOURCE", "USED", "LIMIT"}, empty: "No quotas."}
	for _, q := range all {
		t.add(string(q.Resource), number(q.Usage), number(q.Limit))
	}
	return t
}

// organizationFlags are what a command line says about an organization.
type organizationFlags struct {
	name   string
	hosts  []string
	quotas rest.QuotaChanges
}

func (f *organizationFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.hosts, "host", nil, "`HOST` on which its keys may place instances; repeat for several, * for every host")
	for _, q := range []struct {
		flag, what string
		limit      **int
	}{
		{"max-groups", "security groups", &f.quotas.SecurityGroups},
		{"max-rules", "rules of one group", &f.quotas.RulesPerSecurityGroup},
		{"max-instance-groups", "groups of one instance", &f.quotas.SecurityGroupsPerInstance},
		{"max-instances", "instances", &f.quotas.Instances},
		{"max-keys", "API keys", &f.quotas.APIKeys},
	} {
		flags.Var(limitFlag{q.limit}, q.flag, "`N` how many "+q.what)
	}
}

// limitFlag is a limit that nobody has to give.
type limitFlag struct{ limit **int }

func (l limitFlag) String() string {
	if l.limit == nil || *l.limit == nil {
		return ""
	}
	return strconv.Itoa(**l.limit)
}

// Set reads a limit.
func (l limitFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number of things", s)
	}
	*l.limit = &n
	return nil
}

// Type is the word for the value in the help.
func (l limitFlag) Type() string { return "N" }

func newOrganizationCreateCommand(a *app) *cobra.Command {
	flags := &organizationFlags{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an organization with its default group (operators)",
		Example: `  gabion organization create acme --host hv1 --host hv2 --max-instances 200
  gabion key create boss --scope admin --organization acme > acme.env`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			request := rest.CreateOrganizationRequest{Name: args[0], Quotas: flags.quotas}
			if cmd.Flags().Changed("host") {
				request.Hosts = &flags.hosts
			}
			operation, err := c.CreateOrganization(cmd.Context(), request)
			if err != nil {
				return err
			}
			done := fmt.Sprintf("organization %s created; its first key: gabion key create NAME --scope admin --organization %s", args[0], args[0])
			return a.finish(cmd.Context(), c, change{operation: operation, done: done})
		},
	}
	flags.register(cmd)
	a.completesFlag(cmd, "host", hostNames)
	return cmd
}

func newOrganizationUpdateCommand(a *app) *cobra.Command {
	flags := &organizationFlags{}
	cmd := &cobra.Command{
		Use:     "update ORGANIZATION",
		Short:   "Rename an organization, or change its quotas or hosts (operators)",
		Example: "  gabion organization update acme --host '*' --max-groups 5000",
		Args:    arguments("ORGANIZATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := rest.UpdateOrganizationRequest{Quotas: flags.quotas}
			if cmd.Flags().Changed("host") {
				request.Hosts = &flags.hosts
			}
			if cmd.Flags().Changed("name") {
				request.Name = &flags.name
			}
			return a.changeOrganization(cmd.Context(), args[0], "changed", func(ctx context.Context, c *client.Client, id string) (rest.Operation, error) {
				return c.UpdateOrganization(ctx, id, request)
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&flags.name, "name", "", "`NAME` new name")
	a.completesFlag(cmd, "host", hostNames)
	return cmd
}

func newOrganizationDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ORGANIZATION",
		Short:   "Delete an organization without instances (operators)",
		Example: "  gabion organization delete acme",
		Args:    arguments("ORGANIZATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeOrganization(cmd.Context(), args[0], "deleted", func(ctx context.Context, c *client.Client, id string) (rest.Operation, error) {
				return c.DeleteOrganization(ctx, id)
			})
		},
	}
}

// changeOrganization finds an organization, changes it, and says what was done.
func (a *app) changeOrganization(ctx context.Context, wanted, done string, do func(context.Context, *client.Client, string) (rest.Operation, error)) error {
	c, o, err := organizations.named(ctx, a, wanted)
	if err != nil {
		return err
	}
	operation, err := do(ctx, c, o.ID)
	if err != nil {
		return err
	}
	return a.finish(ctx, c, change{operation: operation, done: fmt.Sprintf("organization %s %s", o.Name, done)})
}
