package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// requests are the rules to add: each kind of traffic with each peer.
func (f *ruleFlags) requests(ctx context.Context, c *client.Client, all []rest.SecurityGroup) ([]rest.AddRuleRequest, error) {
	kinds, err := f.traffic(ctx, c)
	if err != nil {
		return nil, err
	}
	peers, err := f.peers(all)
	if err != nil {
		return nil, err
	}
	var requests []rest.AddRuleRequest
	for _, p := range peers {
		for _, k := range kinds {
			if f.template == "" || p.holds(k.Protocol) {
				requests = append(requests, f.request(k, p))
			}
		}
	}
	if len(requests) == 0 {
		return nil, usagef("template %s has no rule for a peer of that family", f.template)
	}
	return requests, nil
}

func (f *ruleFlags) request(k rest.PeerlessRule, p rulePeer) rest.AddRuleRequest {
	request := rest.AddRuleRequest{FlowDirection: k.FlowDirection, Protocol: k.Protocol, Description: f.description}
	if k.StartPort != 0 {
		request.StartPort, request.EndPort = &k.StartPort, &k.EndPort
	}
	if k.ICMP != nil {
		request.ICMP = &rest.ICMPRequest{Type: &k.ICMP.Type, Code: &k.ICMP.Code}
	}
	if p.group != "" {
		request.SecurityGroup = &rest.PeerGroupRequest{ID: p.group}
	} else {
		request.Network = p.network.String()
	}
	return request
}

// traffic is what the rules let pass, as the template or the flags say.
func (f *ruleFlags) traffic(ctx context.Context, c *client.Client) ([]rest.PeerlessRule, error) {
	kinds, err := f.described()
	if f.template != "" {
		kinds, err = templateRules(ctx, c, f.template)
	}
	if err != nil {
		return nil, err
	}
	egress, asked := f.isEgress()
	for i := range kinds {
		if asked {
			kinds[i].FlowDirection = direction(egress)
		}
	}
	return kinds, nil
}

func direction(egress bool) rest.FlowDirection {
	if egress {
		return rest.FlowDirectionEgress
	}
	return rest.FlowDirectionIngress
}

// described is the traffic that --protocol, --port and the ICMP flags describe.
func (f *ruleFlags) described() ([]rest.PeerlessRule, error) {
	if f.template != "" {
		return nil, nil
	}
	ranges, err := parsePorts(f.ports)
	if err != nil {
		return nil, err
	}
	kinds := make([]rest.PeerlessRule, len(ranges))
	for i, r := range ranges {
		kinds[i] = rest.PeerlessRule{
			Protocol:  rest.Protocol(strings.ToLower(f.protocol)),
			StartPort: rest.Port(r.Start), EndPort: rest.Port(r.End),
		}
		if p, err := gabion.ParseProtocol(f.protocol); err == nil && p.IsICMP() {
			kinds[i].ICMP = &rest.ICMP{Type: f.icmpType, Code: f.icmpCode}
		}
	}
	return kinds, nil
}

// templateRules are the rules of a quick template.
func templateRules(ctx context.Context, c *client.Client, name string) ([]rest.PeerlessRule, error) {
	templates, err := c.TemplateRules(ctx)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(templates))
	for i, t := range templates {
		if strings.EqualFold(t.Name, name) {
			return slices.Clone(t.Rules), nil
		}
		known[i] = t.Name
	}
	return nil, &gabion.Error{
		Code:    gabion.CodeNotFound,
		Message: fmt.Sprintf("no template %q; there are %s", name, strings.Join(known, ", ")),
	}
}
