package agent

import (
	"slices"
	"strings"

	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// ports are the host's interfaces, as seen with a policy in hand.
type ports struct {
	links   map[string]hypervisor.Link
	byIndex map[int]hypervisor.Link
	sorted  []hypervisor.Link // by name
	own     []hypervisor.Link // the policy's, released or not
	named   map[string]bool   // names that the policy has
	managed map[string]bool   // those of them that it leaves to the agent
}

func newPorts(v *policy.View, links map[string]hypervisor.Link) *ports {
	p := &ports{links: links, byIndex: map[int]hypervisor.Link{}, named: map[string]bool{}, managed: managed(v)}
	for _, i := range v.Instances {
		for n := range i.NICs {
			p.named[i.NICs[n].Interface] = true
		}
	}
	for _, l := range links {
		p.byIndex[l.Index] = l
		p.sorted = append(p.sorted, l)
	}
	slices.SortFunc(p.sorted, func(a, b hypervisor.Link) int { return strings.Compare(a.Name, b.Name) })
	for _, l := range p.sorted {
		if (p.named[l.Name] || p.named[l.Managed]) && canBeInstances(l) {
			p.own = append(p.own, l)
		}
	}
	return p
}

// held are the names that the belt holds back. A policy that names what can't be an
// instance's must not cut that off.
func (p *ports) held() []string {
	var names []string
	for name := range p.named {
		if l, exists := p.links[name]; !exists || canBeInstances(l) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *ports) bridge(port hypervisor.Link) hypervisor.Link { return p.byIndex[port.Master] }

// canBeInstances tells whether the interface is of a kind that instances have.
func canBeInstances(l hypervisor.Link) bool { return l.Kind == "tuntap" || l.Kind == "veth" }
