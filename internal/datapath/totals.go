package datapath

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
)

// Life tells counters of one name apart that began at zero at different times: a
// host that started anew, maps that were made anew, a slot that was given again.
// Within one life a counter never goes back.
type Life uint64

// RuleTotal is what passed because of a rule in one life of its counter.
type RuleTotal struct {
	Rule string
	Life Life
	Hits
}

// DropTotal is how many packets of a NIC were dropped for a reason, in one life.
type DropTotal struct {
	Owner
	Reason  gabion.Reason
	Life    Life
	Packets uint64
}

// RuleTotals are the totals of the rules in force that had any hits.
func (d *Datapath) RuleTotals() ([]RuleTotal, error) {
	lives, err := livesOf(d.kernel.maps.RuleHits)
	if err != nil {
		return nil, err
	}
	var all []RuleTotal
	err = d.eachRule(func(slot uint32, id string, hits Hits) {
		if hits.Packets > 0 {
			all = append(all, RuleTotal{Rule: id, Life: lives.of(slot), Hits: hits})
		}
	})
	return all, err
}

// DropTotals are the totals of drops that had any.
func (d *Datapath) DropTotals() ([]DropTotal, error) {
	lives, err := livesOf(d.kernel.maps.Verdicts)
	if err != nil {
		return nil, err
	}
	var all []DropTotal
	for slot, owner := range d.owners() {
		for _, reason := range gabion.Reasons() {
			if reason.Verdict() == gabion.Pass {
				continue
			}
			packets, err := d.verdicts(slot, reason)
			if err != nil {
				return nil, fmt.Errorf("read counter %s of slot %d: %w", reason, slot, err)
			}
			if packets > 0 {
				all = append(all, DropTotal{Owner: owner, Reason: reason, Life: lives.of(slot), Packets: packets})
			}
		}
	}
	return all, nil
}

// lives names the lives of one map's counters.
type lives struct {
	boot string
	id   ebpf.MapID
}

func livesOf(m *ebpf.Map) (lives, error) {
	info, err := m.Info()
	if err != nil {
		return lives{}, fmt.Errorf("identify map %s: %w", m, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return lives{}, fmt.Errorf("find out when the host started: %w", err)
	}
	id, _ := info.ID()
	return lives{string(boot), id}, nil
}

func (l lives) of(slot uint32) Life {
	h := fnv.New64a()
	h.Write([]byte(l.boot))
	h.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(l.id)), slot))
	return Life(h.Sum64())
}
