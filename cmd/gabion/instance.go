package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newInstanceCommand(a *app) *cobra.Command {
	return noun(groupMachines, "instance", "Instances: machines whose traffic is filtered",
		a.reads(newInstanceListCommand(a)),
		a.reads(a.completes(newInstanceShowCommand(a), instanceNames)),
		a.changes(newInstanceCreateCommand(a)),
		a.changes(a.completes(newInstanceUpdateCommand(a), instanceNames)),
		a.changes(a.completes(newInstanceDeleteCommand(a), instanceNames)),
		a.changes(a.completes(newAttachCommand(a), instanceNames, groupNames)),
		a.changes(a.completes(newDetachCommand(a), instanceNames, groupNames)),
		a.changes(a.completes(newStartCommand(a), instanceNames)),
		a.changes(a.completes(newStopCommand(a), instanceNames)),
		a.changes(a.completes(newRebootCommand(a), instanceNames)),
		a.changes(a.completes(newProtectCommand(a), instanceNames)),
		a.changes(a.completes(newUnprotectCommand(a), instanceNames)),
	)
}

func newInstanceListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List instances",
		Example: "  gabion instance list\n  gabion instance list -o json | jq -r '.[] | select(.state == \"running\").name'",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Instances, instanceTable),
	}
}

func instanceTable(all []rest.Instance) *table {
	t := &table{
		header: []string{"NAME", "STATE", "HOST", "ADDRESSES", "GROUPS", "ID"},
		empty:  "No instances. Register one: gabion instance create NAME --host H --interface IF --mac M --ip A --group G",
	}
	for _, i := range all {
		t.add(i.Name, string(i.State), orDash(i.Host), orDash(strings.Join(addresses(i), ", ")), names(i.SecurityGroups), short(i.ID))
	}
	return t
}

// addresses are all addresses of an instance.
func addresses(i rest.Instance) []string {
	var all []string
	for _, nic := range i.Interfaces {
		all = append(append(all, nic.IPv4...), nic.IPv6...)
	}
	return all
}

func newInstanceShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show INSTANCE",
		Short:   "Show an instance: where it runs, its groups and interfaces",
		Example: "  gabion instance show web1",
		Args:    arguments("INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, i, err := instances.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(i)
			}
			return a.showInstance(i)
		},
	}
}

func (a *app) showInstance(i rest.Instance) error {
	facts := [][]string{
		{"Name", i.Name},
		{"ID", i.ID},
		{"State", string(i.State)},
		{"Host", orDash(i.Host)},
		{"Groups", names(i.SecurityGroups)},
	}
	if labels := labelText(i.Labels); labels != "" {
		facts = append(facts, []string{"Labels", labels})
	}
	if err := align(a.stdout, facts); err != nil {
		return err
	}
	a.say("\nInterfaces")
	if len(i.Interfaces) == 0 {
		a.say("  none: nothing of it is filtered")
		return nil
	}
	rows := make([][]string, len(i.Interfaces))
	for n, nic := range i.Interfaces {
		rows[n] = []string{"", nic.Name, nic.MAC, strings.Join(append(nic.IPv4, nic.IPv6...), ", ")}
	}
	return align(a.stdout, rows)
}

// changeInstance finds an instance, changes it, and says what was done.
func (a *app) changeInstance(ctx context.Context, wanted string, do func(context.Context, *client.Client, rest.Instance) (change, error)) error {
	c, i, err := instances.named(ctx, a, wanted)
	if err != nil {
		return err
	}
	made, err := do(ctx, c, i)
	if err != nil {
		return err
	}
	return a.finish(ctx, c, made)
}

func newInstanceDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete INSTANCE",
		Short:   "Forget an instance; its interfaces drop everything until they go",
		Example: "  gabion instance delete web1",
		Args:    arguments("INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeInstance(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, i rest.Instance) (change, error) {
				operation, err := c.DeleteInstance(ctx, i.ID)
				return change{operation: operation, done: fmt.Sprintf("instance %s deleted", i.Name), policy: true}, err
			})
		},
	}
}
