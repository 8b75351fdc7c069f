package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newAttachCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "attach INSTANCE GROUP",
		Short:   "Add a stopped instance to a group",
		Example: "  gabion instance attach web1 web",
		Args:    arguments("INSTANCE", "GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeMembership(cmd.Context(), args, func(ctx context.Context, c *client.Client, i rest.Instance, g rest.SecurityGroup) (change, error) {
				operation, err := c.Attach(ctx, i.ID, g.ID)
				return change{operation: operation, done: fmt.Sprintf("instance %s belongs to group %s", i.Name, g.Name), policy: true}, err
			})
		},
	}
}

func newDetachCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "detach INSTANCE GROUP",
		Short:   "Take a stopped instance out of a group",
		Example: "  gabion instance detach web1 web",
		Args:    arguments("INSTANCE", "GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeMembership(cmd.Context(), args, func(ctx context.Context, c *client.Client, i rest.Instance, g rest.SecurityGroup) (change, error) {
				operation, err := c.Detach(ctx, i.ID, g.ID)
				return change{operation: operation, done: fmt.Sprintf("instance %s no longer belongs to group %s", i.Name, g.Name), policy: true}, err
			})
		},
	}
}

// changeMembership finds the instance and the group that args name, in this order.
func (a *app) changeMembership(ctx context.Context, args []string, do func(context.Context, *client.Client, rest.Instance, rest.SecurityGroup) (change, error)) error {
	return a.changeInstance(ctx, args[0], func(ctx context.Context, c *client.Client, i rest.Instance) (change, error) {
		_, g, err := groups.named(ctx, a, args[1])
		if err != nil {
			return change{}, err
		}
		return do(ctx, c, i, g)
	})
}
