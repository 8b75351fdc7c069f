package main

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/internal/agent"
)

func newAgentCommand(a *app) *cobra.Command {
	var (
		config               agent.Config
		dhcpServers, routers []string
	)
	cmd := &cobra.Command{
		Use:     "agent",
		Short:   "Run the agent of a hypervisor: it enforces the policy",
		GroupID: groupServices,
		Long: `Run the agent of a hypervisor: it enforces the policy on its instances' interfaces.

It joins with a token once and keeps what it needs in its state directory. What is
in force stays so without it, and without the server. It runs as root with
CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN, and needs nothing else.`,
		Example: `  gabion host token hv1 > token      # where the credentials are
  gabion agent --server 192.0.2.10:8444 --token-file token --state-dir /var/lib/gabion-agent`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := config.Check(); err != nil {
				return usagef("%s", err)
			}
			if config.DHCPServers, err = parseHosts("--dhcp-server", dhcpServers); err != nil {
				return err
			}
			if config.Routers, err = parseHosts("--router", routers); err != nil {
				return err
			}
			config.Version, config.Log = version, a.log()
			return agent.Run(cmd.Context(), config)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&config.Servers, "server", nil, "`HOST:PORT` of the server's stream for agents; repeat for several, or separate them by commas")
	f.StringVar(&config.TokenFile, "token-file", "", "`FILE` with the join token; not needed once the host has joined")
	f.StringVar(&config.StateDir, "state-dir", "", "`DIR` that holds the host's key, certificate and last policy")
	f.StringVar(&config.Name, "name", "", "`NAME` that tells agents of one kernel apart; without it the host's")
	f.StringSliceVar(&dhcpServers, "dhcp-server", nil, "`ADDRESS` that may answer instances' DHCP; repeat for several; without it any")
	f.StringSliceVar(&routers, "router", nil, "`ADDRESS` whose IPv6 router advertisements reach instances; repeat for several; without it any")
	f.StringSliceVar(&config.InstancePrefixes, "instance-interface", nil, "`PREFIX` of names of interfaces that are instances' and pass nothing until one is registered on them; repeat for several; without it those that instances have")
	f.StringSliceVar(&config.Uplinks, "uplink", nil, "`PATTERN` of names of ports that lead out and are not reported as unprotected; repeat for several")
	f.Uint16Var(&config.VLAN, "vlan", 0, "`VLAN` that instances' interfaces get on bridges that filter VLANs and give new ports none (vlan_default_pvid 0)")
	f.StringVar(&config.MetricsListen, "metrics-listen", "", "`HOST:PORT` that answers Prometheus at /metrics, to anybody who reaches it; without it none")
	f.StringVar(&config.FlowLog, "flow-log", "", "`FILE` that gets flow events, one JSON object a line; - is standard output; without it none")
	f.BoolVar(&config.FlowLogAllowed, "flow-log-allowed", false, "log first packets that pass, too")
	return cmd
}

// parseHosts reads the addresses of a flag.
func parseHosts(flag string, texts []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, usagef("%s %q is no address; write one like 192.0.2.1 or fe80::1", flag, text)
		}
		all = append(all, address)
	}
	return all, nil
}
