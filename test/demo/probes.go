package main

import (
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// family is an IP version. Each service is tried over both.
type family int

const (
	ipv4 family = 4
	ipv6 family = 6
)

// probe is a service of one machine, tried from another.
func probe(from, to *lab.Endpoint, s service, f family) lab.Probe {
	p := lab.Probe{From: from, To: to, Protocol: s.protocol, Port: s.port}
	switch {
	case s.protocol != icmp:
		p.IPv6 = f == ipv6
	case f == ipv6:
		p.Protocol = gabion.ICMPv6
	}
	return p
}

// everyPair tries every service over both families from each endpoint of from to
// each of to.
func everyPair(from, to []*lab.Endpoint) []lab.Probe {
	var all []lab.Probe
	for _, f := range from {
		for _, t := range to {
			if f == t {
				continue
			}
			for _, s := range services {
				all = append(all, probe(f, t, s, ipv4), probe(f, t, s, ipv6))
			}
		}
	}
	return all
}
