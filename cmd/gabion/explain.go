package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// explainFlags describe one connection.
type explainFlags struct {
	from, to, protocol string
	port               int
	icmpType, icmpCode int
}

func newExplainCommand(a *app) *cobra.Command {
	flags := &explainFlags{}
	cmd := &cobra.Command{
		Use:     "explain",
		Short:   "Tell whether a connection would be let through, and which rule decides",
		GroupID: groupWalls,
		Long: `Tell whether a new connection would be let through, and which rule decides.

Both ends that are instances decide: egress of the one who opens, ingress of the
other. The exit code is 0 if the connection is allowed and 1 if it is denied.`,
		Example: `  gabion explain --from app1 --to db1 --protocol tcp --port 5432
  gabion explain --from 203.0.113.7 --to web1 --protocol tcp --port 22
  gabion explain --from web1 --to 2001:db8::7 --protocol icmpv6`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := flags.request(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := identifyEnds(cmd.Context(), c, &request); err != nil {
				return err
			}
			explanation, err := c.Explain(cmd.Context(), request)
			if err != nil {
				return err
			}
			if err := a.explain(explanation); err != nil || explanation.Allowed {
				return err
			}
			return errDenied
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&flags.from, "from", "", "`INSTANCE|ADDRESS` that opens it")
	f.StringVar(&flags.to, "to", "", "`INSTANCE|ADDRESS` that it goes to")
	f.StringVar(&flags.protocol, "protocol", "", protocolUsage)
	f.IntVar(&flags.port, "port", 0, "`PORT` destination port, with tcp and udp")
	f.IntVar(&flags.icmpType, "icmp-type", 0, "`N` ICMP type; without it, an echo request")
	f.IntVar(&flags.icmpCode, "icmp-code", 0, "`N` ICMP code")
	chooses(cmd, "protocol", protocols...)
	a.completesFlag(cmd, "from", instanceNames)
	a.completesFlag(cmd, "to", instanceNames)
	return a.reads(cmd)
}

func (f *explainFlags) request(set func(string) bool) (rest.ExplainRequest, error) {
	for _, flag := range []string{"from", "to", "protocol"} {
		if !set(flag) {
			return rest.ExplainRequest{}, usagef("--%s is missing", flag)
		}
	}
	protocol, err := gabion.ParseProtocol(f.protocol)
	switch {
	case err != nil:
		return rest.ExplainRequest{}, usagef("--%s", err)
	case protocol.HasPorts() != set("port"):
		return rest.ExplainRequest{}, f.portError(protocol)
	case !protocol.IsICMP() && (set("icmp-type") || set("icmp-code")):
		return rest.ExplainRequest{}, usagef("%s has no ICMP type and code; leave --icmp-type and --icmp-code out", protocol)
	}
	request := rest.ExplainRequest{From: f.from, To: f.to, Protocol: rest.Protocol(protocol.String())}
	if protocol.HasPorts() {
		request.Port = &f.port
	}
	if set("icmp-type") || set("icmp-code") {
		request.ICMP = &rest.ExactICMP{Type: f.icmpType, Code: f.icmpCode}
	}
	return request, nil
}

// identifyEnds finds the instances that the ends name, and refuses to guess.
func identifyEnds(ctx context.Context, c *client.Client, request *rest.ExplainRequest) error {
	all, err := c.Instances(ctx)
	if err != nil {
		return err
	}
	for _, end := range []*string{&request.From, &request.To} {
		if _, err := netip.ParseAddr(*end); err == nil {
			continue
		}
		i, err := instances.find(all, *end)
		if err != nil {
			return err
		}
		if *end != i.Name { // the server knows names, and speaks of what it was asked
			*end = i.ID
		}
	}
	return nil
}

func (f *explainFlags) portError(protocol gabion.Protocol) error {
	if protocol.HasPorts() {
		return usagef("--port is missing; say which port of %s", protocol)
	}
	return usagef("%s has no ports; leave --port out", protocol)
}

func (a *app) explain(e rest.Explanation) error {
	if a.format == formatJSON {
		return a.printJSON(e)
	}
	a.say("%s\n", e.Summary)
	if err := align(a.stdout, [][]string{endRow("egress", e.From), endRow("ingress", e.To)}); err != nil {
		return err
	}
	a.explainNearest(e.From)
	a.explainNearest(e.To)
	return nil
}

// endRow is what one end of a connection decides, why, and whether its host agrees.
func endRow(direction string, end rest.ConnectionEnd) []string {
	if end.Instance == nil {
		return []string{"", end.Address, "-", "no instance of yours: decides nothing here"}
	}
	why := end.Reason
	if end.Rule != nil && end.SecurityGroup != nil {
		why = fmt.Sprintf("rule %s of group %s: %s%s", short(end.Rule.ID), end.SecurityGroup.Name, describe(*end.Rule), meansText(end.Membership))
	}
	return []string{"", direction + " of " + end.Instance.Name, string(end.Verdict), why, loadedText(end.Loaded)}
}

// meansText says how the other end came to be meant by the rule.
func meansText(m *rest.Membership) string {
	switch {
	case m == nil:
		return ""
	case m.Means == rest.MembershipMeansExternalSource:
		return fmt.Sprintf(" (%s is in its external source %s)", m.Address, m.Via)
	case m.Means == rest.MembershipMeansMember:
		return fmt.Sprintf(" (%s is a member's)", m.Address)
	}
	return ""
}

// loadedText is what the programs on the host say.
func loadedText(l *rest.LoadedVerdict) string {
	switch {
	case l == nil:
		return ""
	case l.Unavailable != "":
		return "not confirmed: " + l.Unavailable
	case l.Agrees:
		return "confirmed by the host"
	}
	return fmt.Sprintf("THE HOST DECIDES OTHERWISE: %s, %s", l.Verdict, l.Reason)
}

// explainNearest says which rules nearly admit what an end denies.
func (a *app) explainNearest(end rest.ConnectionEnd) {
	if len(end.Nearest) == 0 {
		return
	}
	a.say("\nNearest rules of %s:", end.Instance.Name)
	rows := make([][]string, len(end.Nearest))
	for i, n := range end.Nearest {
		differs := make([]string, len(n.Differs))
		for k, d := range n.Differs {
			differs[k] = string(d)
		}
		rows[i] = []string{"", short(n.Rule.ID), "of group " + n.SecurityGroup.Name, describe(n.Rule), "differs in " + strings.Join(differs, " and ")}
	}
	_ = align(a.stdout, rows) // like say: who reads no more misses nothing
}
