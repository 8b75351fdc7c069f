// Package predict says what probes of a lab should meet: it asks the evaluator,
// with the objects that a server has. It must not know what they did meet.
package predict

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/policy"
)

// organization stands for the caller's: a server does not show it.
const organization = "the caller's"

// Predictor knows the objects that a server had when they were read.
type Predictor struct{ world *policy.World }

// Read reads the server's groups, rules and instances.
func Read(ctx context.Context, c *client.Client) (*Predictor, error) {
	groups, err := c.Groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	instances, err := c.Instances(ctx)
	if err != nil {
		return nil, fmt.Errorf("read instances: %w", err)
	}
	change := policy.Change{Revision: 1}
	for _, g := range groups {
		if err := addGroup(&change, g); err != nil {
			return nil, fmt.Errorf("read group %s: %w", g.Name, err)
		}
	}
	for _, i := range instances {
		instance, err := instanceOf(i)
		if err != nil {
			return nil, fmt.Errorf("read instance %s: %w", i.Name, err)
		}
		change.Instances = append(change.Instances, instance)
	}
	p := &Predictor{world: policy.NewWorld()}
	p.world.Apply(change)
	return p, nil
}

// Passes tells whether the probe should be answered.
func (p *Predictor) Passes(probe lab.Probe) bool {
	service := policy.Service{Protocol: probe.Protocol, Port: probe.Port}
	switch probe.Protocol {
	case gabion.ICMP:
		service.Type = 8 // echo request
	case gabion.ICMPv6:
		service.Type = 128
	default:
	}
	return p.world.Explain(p.end(probe.Source()), p.end(probe.Destination()), service).Verdict() == gabion.Pass
}

func (p *Predictor) end(a netip.Addr) policy.End {
	end := policy.End{Address: a}
	if owners := p.world.Owners(organization, a); len(owners) > 0 {
		end.Instance = owners[0]
	}
	return end
}

func addGroup(change *policy.Change, g rest.SecurityGroup) error {
	group := &gabion.Group{ID: g.ID, Organization: organization, Name: g.Name}
	for _, s := range g.ExternalSources {
		source, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		group.Sources = append(group.Sources, source)
	}
	change.Groups = append(change.Groups, group)
	for _, r := range g.Rules {
		rule, err := ruleOf(g.ID, r)
		if err != nil {
			return err
		}
		change.Rules = append(change.Rules, rule)
	}
	return nil
}

func ruleOf(group string, r rest.SecurityGroupRule) (*gabion.Rule, error) {
	direction, err := gabion.ParseDirection(string(r.FlowDirection))
	if err != nil {
		return nil, err
	}
	protocol, err := gabion.ParseProtocol(string(r.Protocol))
	if err != nil {
		return nil, err
	}
	rule := &gabion.Rule{
		ID: r.ID, Group: group, Direction: direction, Protocol: protocol,
		Ports: gabion.PortRange{Start: uint16(r.StartPort), End: uint16(r.EndPort)},
	}
	if r.ICMP != nil {
		rule.ICMP = gabion.ICMPMatch{Type: r.ICMP.Type, Code: r.ICMP.Code}
	}
	if r.SecurityGroup != nil {
		rule.Peer.Group = r.SecurityGroup.ID
		return rule, nil
	}
	rule.Peer.Network, err = netip.ParsePrefix(r.Network)
	return rule, err
}

func instanceOf(i rest.Instance) (*gabion.Instance, error) {
	instance := &gabion.Instance{ID: i.ID, Organization: organization, Name: i.Name, Host: i.Host}
	for _, g := range i.SecurityGroups {
		instance.Groups = append(instance.Groups, g.ID)
	}
	for _, n := range i.Interfaces {
		mac, err := gabion.ParseMAC("mac", n.MAC)
		if err != nil {
			return nil, err
		}
		nic := gabion.NIC{Interface: n.Name, MAC: mac}
		for _, text := range append(n.IPv4, n.IPv6...) {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, err
			}
			nic.Addresses = append(nic.Addresses, a)
		}
		instance.NICs = append(instance.NICs, nic)
	}
	return instance, nil
}
