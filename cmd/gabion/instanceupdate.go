package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newInstanceUpdateCommand(a *app) *cobra.Command {
	flags := &instanceFlags{}
	var name string
	cmd := &cobra.Command{
		Use:   "update INSTANCE",
		Short: "Rename or label an instance, or say where it runs now",
		Long: `Rename or label an instance, or say where it runs now.

What is not given stays. Interfaces are replaced all at once: give --interface, --mac
and --ip for each that it is to have. Labels are replaced all at once, too.`,
		Example: `  gabion instance update web1 --host hv2                 # it has moved; its interfaces are called the same there
  gabion instance update web1 --host hv2 --interface vnet3 --mac 52:54:00:12:34:56 --ip 192.0.2.21
  gabion instance update web1 --label role=front --label stage=test`,
		Args: arguments("INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := flags.update(cmd, name)
			if err != nil {
				return err
			}
			return a.changeInstance(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, i rest.Instance) (change, error) {
				operation, err := c.UpdateInstance(ctx, i.ID, request)
				return change{operation: operation, done: fmt.Sprintf("instance %s changed", i.Name), policy: true}, err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` new name")
	flags.place(cmd)
	a.completesFlag(cmd, "host", hostNames)
	return cmd
}

// update is what the command line asks to be different.
func (f *instanceFlags) update(cmd *cobra.Command, name string) (rest.UpdateInstanceRequest, error) {
	var request rest.UpdateInstanceRequest
	given := cmd.Flags().Changed
	if given("name") {
		request.Name = &name
	}
	if given("host") {
		request.Host = &f.host
	}
	if given("label") {
		labels := rest.Labels(f.labels)
		request.Labels = &labels
	}
	if given("interface") || given("mac") || given("ip") || f.managed {
		interfaces, err := f.parseInterfaces()
		if err != nil {
			return request, err
		}
		request.Interfaces = &interfaces
	}
	if request == (rest.UpdateInstanceRequest{}) {
		return request, usagef("nothing is to change; give --name, --host, --interface or --label")
	}
	return request, nil
}

// mark is a change of an instance that needs no flags.
func (a *app) mark(use, short, example, done string, ask func(*client.Client, context.Context, string) (rest.Operation, error)) *cobra.Command {
	return &cobra.Command{
		Use:     use + " INSTANCE",
		Short:   short,
		Example: "  gabion instance " + example,
		Args:    arguments("INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeInstance(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, i rest.Instance) (change, error) {
				operation, err := ask(c, ctx, i.ID)
				return change{operation: operation, done: fmt.Sprintf(done, i.Name)}, err
			})
		},
	}
}

func newStartCommand(a *app) *cobra.Command {
	return a.mark("start", "Mark an instance without a host as running", "start vm", "instance %s is running", (*client.Client).StartInstance)
}

func newStopCommand(a *app) *cobra.Command {
	return a.mark("stop", "Mark an instance without a host as stopped", "stop vm", "instance %s is stopped", (*client.Client).StopInstance)
}

func newRebootCommand(a *app) *cobra.Command {
	return a.mark("reboot", "Mark an instance without a host as running", "reboot vm", "instance %s is running", (*client.Client).RebootInstance)
}

func newProtectCommand(a *app) *cobra.Command {
	return a.mark("protect", "Protect an instance from being deleted", "protect db1", "instance %s can't be deleted now", (*client.Client).ProtectInstance)
}

func newUnprotectCommand(a *app) *cobra.Command {
	return a.mark("unprotect", "Let an instance be deleted again", "unprotect db1", "instance %s can be deleted again", (*client.Client).UnprotectInstance)
}
