package agent

import (
	"errors"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// The remedies: what keeps a new interface of an instance from passing anything
// before it is filtered. Cheapest first.
const (
	remedyManaged = "managed"  // the agent makes the interfaces: filtered before anybody knows their names
	remedyVLAN    = "vlan"     // the bridge gives a new port no VLAN
	remedyBelt    = "nftables" // hypervisor.Belt
	remedyRepair  = "repair"   // none: they are filtered as soon as the kernel tells of them
)

// Whose an interface is: one that the policy names is an instance's, and so is one
// whose name begins as the operator said. Only these are ever held back. Any other
// port of a bridge may be an uplink: it is reported unless it can't be an instance's
// (it is no tap and no veth) or the operator said that it is one.

// protection keeps instances' interfaces closed until they are filtered.
type protection struct {
	host     Host
	log      *slog.Logger
	prefixes []string // of names of interfaces that are instances' though no policy names them
	uplinks  []string // patterns of names of ports that are not
	vlan     uint16   // that ports of bridges get which give new ones none; 0: the agent gives none

	belt     *hypervisor.Belt // that interfaces need; nil: none, or not known yet
	belted   bool             // it is in force
	loose    bool             // there is known to be none
	refused  bool             // the host can have none, and this was said
	tampered bool             // something else had taken it away; for the next audit to tell
}

// secure admits the interfaces that are filtered, and none else. What it did it notes
// in the links.
func (p *protection) secure(v *policy.View, links map[string]hypervisor.Link) error {
	var errs []error
	now := newPorts(v, links)
	for _, port := range now.own {
		errs = append(errs, unlessGone(p.admit(port, now)))
	}
	return errors.Join(append(errs, p.fasten(now))...)
}

// admit lets what is filtered pass. A port that left its bridge and came back has no
// VLAN: there the kernel is asked again each time.
func (p *protection) admit(port hypervisor.Link, now *ports) error {
	filtered, err := p.host.IsFiltered(port)
	if err == nil && filtered && p.hasVLANs(now.bridge(port)) {
		err = p.host.GiveVLAN(port, p.vlan)
	}
	switch {
	case err != nil || filtered == port.Admitted:
		return err
	case filtered:
		err = p.host.Admit(port)
	default:
		err = p.host.Dismiss(port)
	}
	if err == nil {
		port.Admitted = filtered
		now.links[port.Name] = port
	}
	return err
}

// fasten puts the belt in force if some interface needs it, and takes it off if none does.
func (p *protection) fasten(now *ports) error {
	if p.needsBelt(now) {
		p.belt, p.loose = &hypervisor.Belt{Names: now.held(), Prefixes: p.prefixes}, false
		p.verify()
		return nil
	}
	p.belt, p.belted = nil, false
	if p.loose {
		return nil
	}
	p.loose = true
	return p.host.LoosenBelt()
}

// verify puts the belt in force where it is not. A host that can have none gets on
// without.
func (p *protection) verify() {
	if p.belt == nil {
		return
	}
	tampered, err := p.host.FastenBelt(*p.belt)
	p.belted, p.tampered = err == nil, p.tampered || tampered
	if err != nil && !p.refused {
		p.refused = true
		p.log.Error("this host has nothing that keeps new interfaces closed until they are filtered; they are filtered as soon as the kernel tells of them",
			"error", err)
	}
}

// needsBelt tells whether something else may make an interface that is then not closed.
func (p *protection) needsBelt(now *ports) bool {
	if len(p.prefixes) > 0 {
		return true
	}
	for _, name := range now.held() {
		l, exists := now.links[name]
		switch {
		case !exists && now.managed[name], l.Managed != "", p.hasVLANs(now.bridge(l)):
		default:
			return true
		}
	}
	return false
}

func (p *protection) hasVLANs(bridge hypervisor.Link) bool { return p.vlan != 0 && bridge.IsClosed }

// report says by what each bridge of instances is protected, and which of its ports
// nothing filters.
func (p *protection) report(v *policy.View, links map[string]hypervisor.Link) (feed.Protection, error) {
	var errs []error
	var report feed.Protection
	now, ours := newPorts(v, links), bridgesOf(v, links)
	for _, l := range now.sorted {
		if ours[l.Index] {
			report.Remedies = append(report.Remedies, l.Name+"="+p.remedy(l, now))
		}
		if !ours[l.Master] || !canBeInstances(l) || p.isUplink(l) || p.isHeld(l, now) {
			continue
		}
		filtered, err := p.host.IsFiltered(l)
		errs = append(errs, unlessGone(err))
		if !filtered && !hypervisor.IsGone(err) {
			report.UnprotectedPorts = append(report.UnprotectedPorts, l.Name)
		}
	}
	return report, errors.Join(errs...)
}

// remedy is what protects the bridge.
func (p *protection) remedy(bridge hypervisor.Link, now *ports) string {
	ours := func(l hypervisor.Link) bool { return l.Master == bridge.Index && l.Managed != "" }
	others := func(l hypervisor.Link) bool { return l.Master == bridge.Index && l.Managed == "" }
	switch {
	case slices.ContainsFunc(now.own, ours) && !slices.ContainsFunc(now.own, others):
		return remedyManaged
	case p.hasVLANs(bridge):
		return remedyVLAN
	case p.belted:
		return remedyBelt
	}
	return remedyRepair
}

// isHeld tells whether the belt holds back the interface.
func (p *protection) isHeld(l hypervisor.Link, now *ports) bool {
	isPrefix := func(prefix string) bool { return strings.HasPrefix(l.Name, prefix) }
	return p.belted && !l.Admitted && (now.named[l.Name] || slices.ContainsFunc(p.prefixes, isPrefix))
}

func (p *protection) isUplink(l hypervisor.Link) bool {
	return slices.ContainsFunc(p.uplinks, func(pattern string) bool {
		matches, err := path.Match(pattern, l.Name)
		return err == nil && matches
	})
}
