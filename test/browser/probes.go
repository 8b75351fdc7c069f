package main

import (
	"fmt"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// What every machine answers on, whatever its role.
var (
	tcpPorts = []uint16{22, 80, 5432, 6379, 8080}
	udpPorts = []uint16{4321}
)

// everyPair tries every service of every endpoint from every other, over both families.
func (s *site) everyPair() []lab.Probe {
	var all []lab.Probe
	for _, from := range s.lab.Endpoints() {
		for _, to := range s.lab.Endpoints() {
			if from != to {
				all = append(all, services(from, to)...)
			}
		}
	}
	return all
}

func services(from, to *lab.Endpoint) []lab.Probe {
	all := []lab.Probe{
		{From: from, To: to, Protocol: gabion.ICMP},
		{From: from, To: to, Protocol: gabion.ICMPv6},
	}
	for _, ipv6 := range []bool{false, true} {
		for _, port := range tcpPorts {
			all = append(all, lab.Probe{From: from, To: to, Protocol: gabion.TCP, Port: port, IPv6: ipv6})
		}
		for _, port := range udpPorts {
			all = append(all, lab.Probe{From: from, To: to, Protocol: gabion.UDP, Port: port, IPv6: ipv6})
		}
	}
	return all
}

// attempt is a connection that a test wants to have tried.
type attempt struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
	IPv6     bool   `json:"ipv6"`
}

func (s *site) probe(a attempt) (lab.Probe, error) {
	protocol, err := gabion.ParseProtocol(a.Protocol)
	if err != nil {
		return lab.Probe{}, err
	}
	p := lab.Probe{From: s.endpoints[a.From], To: s.endpoints[a.To], Protocol: protocol, Port: a.Port, IPv6: a.IPv6}
	if p.From == nil || p.To == nil {
		return lab.Probe{}, fmt.Errorf("try %s to %s: the lab has no such machine", a.From, a.To)
	}
	return p, nil
}
