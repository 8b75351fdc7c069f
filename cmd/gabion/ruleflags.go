package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// protocols are those of rules, for --protocol.
var protocols = []string{"tcp", "udp", "icmp", "icmpv6", "ah", "esp", "gre", "ipip"}

const protocolUsage = "`PROTOCOL` tcp, udp, icmp, icmpv6, ah, esp, gre or ipip"

// everyone is the peer of a template where none is given.
var everyone = []string{"0.0.0.0/0", "::/0"}

// ruleFlags are the rules that a command line describes: each kind of traffic
// with each peer.
type ruleFlags struct {
	direction          string
	protocol           string
	ports              []string
	icmpType, icmpCode int
	from, to           []string
	fromGroup, toGroup []string
	fromMyIP           bool
	template           string
	description        string
	set                func(flag string) bool // whether the user gave the flag
}

func (f *ruleFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.protocol, "protocol", "", protocolUsage)
	flags.StringSliceVar(&f.ports, "port", nil, "`PORTS` 22, 8000-8100, or several as in 80,443; without it all")
	flags.StringSliceVar(&f.from, "from", nil, "`NETWORK|GROUP` that may reach the members (ingress); repeat for several")
	flags.BoolVar(&f.fromMyIP, "from-my-ip", false, "like --from with this machine's address as the server sees it")
	flags.StringSliceVar(&f.to, "to", nil, "`NETWORK|GROUP` that the members may reach (egress); repeat for several")
	flags.StringSliceVar(&f.fromGroup, "from-group", nil, "`GROUP` like --from, for a group whose name looks like a network")
	flags.StringSliceVar(&f.toGroup, "to-group", nil, "`GROUP` like --to, for a group whose name looks like a network")
	flags.StringVar(&f.direction, "direction", "", "`DIRECTION` ingress or egress; --from and --to imply it")
	flags.IntVar(&f.icmpType, "icmp-type", -1, "`N` ICMP type; without it all")
	flags.IntVar(&f.icmpCode, "icmp-code", -1, "`N` ICMP code of that type; without it all")
	flags.StringVar(&f.template, "template", "", "`NAME` of a quick template, such as ping, ssh, rdp; gabion rule templates lists them")
	flags.StringVar(&f.description, "description", "", "`TEXT` what the rule is for")
	f.set = flags.Changed
}

// check refuses what makes no sense before the server is asked.
func (f *ruleFlags) check() error {
	if f.template != "" {
		for _, flag := range []string{"protocol", "port", "icmp-type", "icmp-code"} {
			if f.set(flag) {
				return usagef("--template says the protocol and ports; leave --%s out", flag)
			}
		}
	} else if err := f.checkTraffic(); err != nil {
		return err
	}
	return f.checkDirection()
}

func (f *ruleFlags) checkTraffic() error {
	if f.protocol == "" {
		return usagef("--protocol is missing; give one, such as tcp, or a --template, such as ssh")
	}
	protocol, err := gabion.ParseProtocol(f.protocol)
	switch {
	case err != nil:
		return usagef("--%s", err)
	case len(f.ports) > 0 && !protocol.HasPorts():
		return usagef("%s has no ports; leave --port out", protocol)
	case !protocol.IsICMP() && (f.set("icmp-type") || f.set("icmp-code")):
		return usagef("%s has no ICMP type and code; leave --icmp-type and --icmp-code out", protocol)
	case f.icmpType == -1 && f.icmpCode != -1:
		return usagef("--icmp-code needs --icmp-type")
	}
	return nil
}

func (f *ruleFlags) checkDirection() error {
	in, out := f.isFrom(), f.set("to") || f.set("to-group")
	direction, err := gabion.ParseDirection(f.direction)
	switch {
	case in && out:
		return usagef("--from and --to are two rules; add them one after the other")
	case f.direction == "":
	case err != nil:
		return usagef("--direction %q is neither; write ingress or egress", f.direction)
	case in && direction == gabion.Egress:
		return usagef("--from is ingress; write --to for egress")
	case out && direction == gabion.Ingress:
		return usagef("--to is egress; write --from for ingress")
	}
	if in || out || f.template != "" {
		return nil
	}
	return usagef("--from is missing; give a network (0.0.0.0/0 is everyone on IPv4), a group, or --to for egress")
}

// isFrom tells whether a flag says who may reach the members.
func (f *ruleFlags) isFrom() bool {
	return f.set("from") || f.set("from-group") || f.fromMyIP
}

// addMyIP adds this machine's address, as the server sees it, to --from.
func (f *ruleFlags) addMyIP(ctx context.Context, c *client.Client) error {
	if !f.fromMyIP {
		return nil
	}
	session, err := c.Session(ctx)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddr(session.Address)
	if err != nil {
		return errors.New("the server does not say from which address it is asked; give --from")
	}
	if address.IsLoopback() {
		return fmt.Errorf("the server sees this machine as %s, which is no address that instances see: it is the server's own; give --from", address)
	}
	f.from = append(f.from, netip.PrefixFrom(address, address.BitLen()).String())
	return nil
}

// isEgress tells whether the flags ask for egress, and whether they ask at all.
func (f *ruleFlags) isEgress() (egress, asked bool) {
	switch {
	case f.set("to") || f.set("to-group") || strings.EqualFold(f.direction, "egress"):
		return true, true
	case f.isFrom() || f.direction != "":
		return false, true
	}
	return false, false
}

// peers are the other ends: groups by name or id, and networks.
func (f *ruleFlags) peers(all []rest.SecurityGroup) ([]rulePeer, error) {
	flag, texts := "--from", f.from
	switch {
	case len(f.to) > 0:
		flag, texts = "--to", f.to
	case len(f.from)+len(f.fromGroup)+len(f.toGroup) == 0:
		texts = everyone
	}
	var peers []rulePeer
	for _, text := range texts {
		p, err := parsePeer(flag, text, all)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
	}
	for _, text := range append(f.fromGroup, f.toGroup...) {
		g, err := groups.find(all, text)
		if err != nil {
			return nil, err
		}
		peers = append(peers, rulePeer{group: g.ID})
	}
	return peers, nil
}

// rulePeer is the other end of a rule: a network, or a group by id.
type rulePeer struct {
	network netip.Prefix
	group   string
}

// parsePeer takes what is no network for a group.
func parsePeer(flag, text string, all []rest.SecurityGroup) (rulePeer, error) {
	network, networkErr := gabion.ParseNetwork(flag, text)
	if networkErr == nil {
		return rulePeer{network: network}, nil
	}
	g, err := groups.find(all, text)
	switch {
	case err == nil:
		return rulePeer{group: g.ID}, nil
	case looksLikeNetwork(text):
		return rulePeer{}, usagef("%s", networkErr)
	}
	return rulePeer{}, err
}

func looksLikeNetwork(text string) bool {
	address, _, hasBits := strings.Cut(text, "/")
	_, err := netip.ParseAddr(address)
	return err == nil || hasBits || strings.Count(text, ".") == 3 || strings.Contains(text, ":")
}

// holds tells whether a rule of that protocol can have the peer: ICMP belongs to
// one family, a group has both.
func (p rulePeer) holds(protocol rest.Protocol) bool {
	switch {
	case p.group != "":
		return true
	case protocol == rest.ProtocolICMP:
		return p.network.Addr().Is4()
	case protocol == rest.ProtocolIcmpv6:
		return p.network.Addr().Is6()
	}
	return true
}
