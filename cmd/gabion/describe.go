package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
)

// describe says a rule as a sentence: ingress tcp 22 from 0.0.0.0/0.
func describe(r rest.SecurityGroupRule) string {
	return strings.Join([]string{string(r.FlowDirection), traffic(r), peer(r)}, " ")
}

// traffic is what a rule lets pass.
func traffic(r rest.SecurityGroupRule) string {
	protocol := string(r.Protocol)
	switch r.Protocol {
	case rest.ProtocolTCP, rest.ProtocolUDP:
		return protocol + " " + portText(r)
	case rest.ProtocolICMP, rest.ProtocolIcmpv6:
		return protocol + " " + icmpText(r)
	default:
		return protocol
	}
}

func portText(r rest.SecurityGroupRule) string {
	ports := gabion.PortRange{Start: uint16(r.StartPort), End: uint16(r.EndPort)}
	if ports.IsAny() {
		return "all ports"
	}
	return ports.String()
}

// icmpNames are the types that people know by name.
var icmpNames = map[rest.Protocol]map[rest.ICMP]string{
	rest.ProtocolICMP:   {{Type: 0, Code: 0}: "echo reply", {Type: 8, Code: 0}: "echo request", {Type: 3, Code: 4}: "fragmentation needed"},
	rest.ProtocolIcmpv6: {{Type: 129, Code: 0}: "echo reply", {Type: 128, Code: 0}: "echo request", {Type: 2, Code: 0}: "packet too big"},
}

func icmpText(r rest.SecurityGroupRule) string {
	switch {
	case r.ICMP == nil || r.ICMP.Type == -1:
		return "all types"
	case icmpNames[r.Protocol][*r.ICMP] != "":
		return icmpNames[r.Protocol][*r.ICMP]
	case r.ICMP.Code == -1:
		return fmt.Sprintf("type %d", r.ICMP.Type)
	}
	return fmt.Sprintf("type %d code %d", r.ICMP.Type, r.ICMP.Code)
}

// peer is the other end of a rule, with the preposition of its direction.
func peer(r rest.SecurityGroupRule) string {
	preposition := "from "
	if r.FlowDirection == rest.FlowDirectionEgress {
		preposition = "to "
	}
	if r.SecurityGroup != nil {
		return preposition + "group " + r.SecurityGroup.Name
	}
	return preposition + r.Network
}

// byDirection is rules with ingress first, else in the order they have.
func byDirection(rules []rest.SecurityGroupRule) []rest.SecurityGroupRule {
	sorted := slices.Clone(rules)
	slices.SortStableFunc(sorted, func(a, b rest.SecurityGroupRule) int {
		return -cmp.Compare(a.FlowDirection, b.FlowDirection) // "ingress" > "egress"
	})
	return sorted
}

// names joins what objects are called.
func names(references []rest.Reference) string {
	all := make([]string, len(references))
	for i, r := range references {
		all[i] = r.Name
	}
	return strings.Join(all, ", ")
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// count says how many: no rules, 1 rule, 2 rules.
func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// since says how long ago something was, or what there is to say if it never was.
func (a *app) since(at *time.Time, never string) string {
	if at == nil {
		return never
	}
	return ago(a.now(), *at)
}

// ago says how long it is from then to now, in one unit.
func ago(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
	}
}
