package agent

import (
	"log/slog"
	"slices"

	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// bridges keeps the host's own packet filter off the bridges of instances, where
// it would see frames between our two filters, cost a multiple of them, and drop
// silently what it does not know.
type bridges struct {
	host   Host
	log    *slog.Logger
	warned bool
}

// spare sees to the bridges that instances' interfaces are ports of. The switches
// of the whole network namespace are turned off only where no other bridge may
// count on them.
func (b *bridges) spare(v *policy.View, links map[string]hypervisor.Link) {
	ours := bridgesOf(v, links)
	if len(ours) == 0 {
		return
	}
	for index := range ours {
		if err := unlessGone(b.host.SpareBridge(index)); err != nil {
			b.log.Warn("instances' frames may pass through the host's packet filter", "error", err)
		}
	}
	on, err := b.host.NetfilterSwitches()
	if err == nil && len(on) > 0 {
		if others := otherBridges(ours, links); len(others) > 0 {
			b.warn(on, others)
			return
		}
		b.log.Info("br_netfilter turned off: only instances' bridges are here", "switches", on)
		err = b.host.TurnOff(on)
	}
	if err != nil {
		b.log.Warn("instances' frames may pass through the host's packet filter", "error", err)
	}
}

// warn says once what an operator has to decide.
func (b *bridges) warn(on, others []string) {
	if b.warned {
		return
	}
	b.warned = true
	b.log.Error("br_netfilter is on: instances' frames also pass through the host's packet filter, which is slow and may drop them silently. "+
		"It stays on because of other bridges; turn it off with sysctl, as net.bridge.NAME=0, if they can do without",
		"switches", on, "others", others)
}

// bridgesOf are the indexes of the bridges that instances' interfaces are ports of.
func bridgesOf(v *policy.View, links map[string]hypervisor.Link) map[int]bool {
	masters := map[int]bool{}
	for _, i := range v.Instances {
		for n := range i.NICs {
			if master := links[i.NICs[n].Interface].Master; master != 0 {
				masters[master] = true
			}
		}
	}
	bridges := map[int]bool{}
	for _, l := range links {
		if l.IsBridge && masters[l.Index] {
			bridges[l.Index] = true
		}
	}
	return bridges
}

func otherBridges(ours map[int]bool, links map[string]hypervisor.Link) []string {
	var names []string
	for name, l := range links {
		if l.IsBridge && !ours[l.Index] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
