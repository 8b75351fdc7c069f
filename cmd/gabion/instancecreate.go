package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client/rest"
)

// instanceFlags are what a command line says about a new instance.
type instanceFlags struct {
	host       string
	interfaces []string
	macs       []string
	addresses  []string // one list, with commas, for each interface
	groups     []string
	labels     map[string]string
	managed    bool
}

func newInstanceCreateCommand(a *app) *cobra.Command {
	flags := &instanceFlags{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Register an instance, so that its interfaces are filtered",
		Long: `Register an instance, so that its interfaces are filtered.

For an instance with several interfaces, repeat --interface, --mac and --ip: the
first of each belong together, then the second, and so on.`,
		Example: `  gabion instance create web1 --host hv1 --interface vnet0 --mac 52:54:00:12:34:56 --ip 192.0.2.21,2001:db8::21 --group web
  gabion instance create gw --host hv1 --group common --group gateway \
    --interface vnet1 --mac 52:54:00:00:00:01 --ip 192.0.2.22 \
    --interface vnet2 --mac 52:54:00:00:00:02 --ip 10.0.0.1
  gabion instance create db1 --host hv1 --managed --interface tap3 --mac 52:54:00:00:00:03 --ip 10.0.0.3`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.createInstance(cmd.Context(), args[0], flags) },
	}
	flags.place(cmd)
	cmd.Flags().StringSliceVar(&flags.groups, "group", nil, "`GROUP` that it belongs to; repeat for several; without it the primary group")
	a.completesFlag(cmd, "group", groupNames)
	a.completesFlag(cmd, "host", hostNames)
	return cmd
}

// place makes flags of where an instance is, and how it is found.
func (f *instanceFlags) place(c *cobra.Command) {
	set := c.Flags()
	set.SortFlags = false
	set.StringVar(&f.host, "host", "", "`HOST` hypervisor that it runs on")
	set.StringArrayVar(&f.interfaces, "interface", nil, "`NAME` of an interface on that host, such as vnet0")
	set.StringArrayVar(&f.macs, "mac", nil, "`ADDRESS` Ethernet address of that interface")
	set.StringArrayVar(&f.addresses, "ip", nil, "`ADDRESSES` of that interface, IPv4 and IPv6, separated by commas")
	set.BoolVar(&f.managed, "managed", false, "the agent makes the interfaces (taps): they are filtered before their first frame")
	set.StringToStringVar(&f.labels, "label", nil, "`KEY=VALUE` to find it by; repeat for several")
}

func (a *app) createInstance(ctx context.Context, name string, flags *instanceFlags) error {
	interfaces, err := flags.parseInterfaces()
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	request := rest.CreateInstanceRequest{Name: name, Host: flags.host, Interfaces: interfaces, Labels: flags.labels}
	if len(flags.groups) > 0 {
		all, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		if request.SecurityGroups, err = identify(all, flags.groups); err != nil {
			return err
		}
	}
	operation, err := c.CreateInstance(ctx, request)
	if err != nil {
		return err
	}
	created, err := c.Instance(ctx, operation.Reference.ID)
	if err != nil {
		return err
	}
	done := fmt.Sprintf("instance %s created in %s", name, names(created.SecurityGroups))
	return a.finish(ctx, c, change{operation: operation, done: done, policy: len(interfaces) > 0})
}

// identify finds groups by name or id.
func identify(all []rest.SecurityGroup, wanted []string) ([]rest.Identified, error) {
	found := make([]rest.Identified, len(wanted))
	for i, w := range wanted {
		g, err := groups.find(all, w)
		if err != nil {
			return nil, err
		}
		found[i].ID = g.ID
	}
	return found, nil
}

// parseInterfaces puts together the interface, MAC and addresses of the same place.
func (f *instanceFlags) parseInterfaces() ([]rest.InterfaceRequest, error) {
	n := len(f.interfaces)
	switch {
	case len(f.macs) != n:
		return nil, usagef("%d of --interface, but %d of --mac; give --interface, --mac and --ip once for each interface", n, len(f.macs))
	case n == 0 && f.managed:
		return nil, usagef("--interface is missing; say how the agent shall call the tap")
	case n > 0 && f.host == "":
		return nil, usagef("--host is missing; an interface is on a host")
	case len(f.addresses) != n && n != 1:
		return nil, usagef("%s, but %s; give --interface, --mac and --ip once for each interface", count(n, "--interface"), count(len(f.addresses), "--ip"))
	}
	lists := f.addresses
	if n == 1 {
		lists = []string{strings.Join(f.addresses, ",")}
	}
	interfaces := make([]rest.InterfaceRequest, n)
	for i := range interfaces {
		v4, v6, err := parseAddresses(lists[i])
		if err != nil {
			return nil, err
		}
		interfaces[i] = rest.InterfaceRequest{Name: f.interfaces[i], MAC: f.macs[i], IPv4: v4, IPv6: v6, Managed: f.managed}
	}
	return interfaces, nil
}

// parseAddresses parts a list of addresses by family.
func parseAddresses(list string) (v4, v6 []string, err error) {
	for _, text := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		address, err := netip.ParseAddr(strings.TrimSpace(text))
		switch {
		case err != nil:
			return nil, nil, usagef("--ip %q is no address; write one like 192.0.2.21 or 2001:db8::21, without a prefix length", text)
		case address.Is4():
			v4 = append(v4, address.String())
		default:
			v6 = append(v6, address.String())
		}
	}
	return v4, v6, nil
}

// labelText is labels as one writes them, in order of their keys.
func labelText(labels rest.Labels) string {
	pairs := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ", ")
}
