package datapath

import (
	"fmt"
	"maps"

	"github.com/gabion/gabion"
)

// Counter is how many packets of a NIC got a verdict for a reason, since the NIC
// has its slot. A NIC gets another slot when its interface is created anew.
type Counter struct {
	Owner   // zero for frames of interfaces without a NIC
	Reason  gabion.Reason
	Packets uint64
}

// Verdicts are the counters that are not zero, by NIC and reason.
func (d *Datapath) Verdicts() ([]Counter, error) {
	owners := d.owners()
	owners[0] = Owner{}
	var all []Counter
	for slot, owner := range owners {
		for _, reason := range gabion.Reasons() {
			packets, err := d.verdicts(slot, reason)
			if err != nil {
				return nil, fmt.Errorf("read counter %s of slot %d: %w", reason, slot, err)
			}
			if packets > 0 {
				all = append(all, Counter{Owner: owner, Reason: reason, Packets: packets})
			}
		}
	}
	return all, nil
}

func (d *Datapath) verdicts(slot uint32, reason gabion.Reason) (packets uint64, err error) {
	var byCPU []uint64
	if err := d.kernel.maps.Verdicts.Lookup(slot*reasonSlots+uint32(reason), &byCPU); err != nil {
		return 0, err
	}
	for _, n := range byCPU {
		packets += n
	}
	return packets, nil
}

// Hits is what passed because of a rule, in flows that it opened too.
type Hits struct{ Packets, Bytes uint64 }

// RuleHits are the hits of each rule in force, by rule id.
func (d *Datapath) RuleHits() (map[string]Hits, error) {
	all := map[string]Hits{}
	return all, d.eachRule(func(_ uint32, id string, hits Hits) { all[id] = hits })
}

// eachRule yields the hits of the rules in force.
func (d *Datapath) eachRule(yield func(slot uint32, id string, hits Hits)) error {
	var byCPU []bpfRuleHit
	for slot, id := range d.rules() {
		if err := d.kernel.maps.RuleHits.Lookup(slot, &byCPU); err != nil {
			return fmt.Errorf("read hits of rule %s: %w", id, err)
		}
		var sum Hits
		for _, h := range byCPU {
			sum.Packets += h.Packets
			sum.Bytes += h.Bytes
		}
		yield(slot, id, sum)
	}
	return nil
}

// owners are the NICs in force, by slot.
func (d *Datapath) owners() map[uint32]Owner {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.actual == nil {
		return map[uint32]Owner{}
	}
	return maps.Clone(d.actual.Slots)
}

func (d *Datapath) owner(slot uint32) (owner Owner, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.actual == nil {
		return Owner{}, false
	}
	owner, known = d.actual.Slots[slot]
	return owner, known
}

// rules are the ids of the rules in force, by slot. Nobody changes them once they are.
func (d *Datapath) rules() map[uint32]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.actual == nil {
		return nil
	}
	return d.actual.Rules
}
