package datapath

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// CollectExpired frees the places of flows that have expired, and says how many.
// Nothing depends on it for correctness, since no packet sees an expired flow, but a
// NIC whose table stays full gets no new flows: call it every few seconds.
func (d *Datapath) CollectExpired() (int, error) {
	expired := 0
	for slot := range d.owners() {
		n, err := d.collect(slot)
		if err != nil {
			return expired, fmt.Errorf("collect expired flows of slot %d: %w", slot, err)
		}
		expired += n
	}
	return expired, nil
}

// collect walks one flow table in the kernel, which costs a tenth of reading it out.
func (d *Datapath) collect(slot uint32) (int, error) {
	var found bpfCollection
	result, err := d.programs.CollectExpired.Run(&ebpf.RunOptions{Context: &bpfCollection{Slot: slot}, ContextOut: &found})
	if err != nil {
		return 0, err
	}
	if result != 0 {
		return 0, fmt.Errorf("program failed with %d", int32(result))
	}
	return int(found.Expired), nil
}
