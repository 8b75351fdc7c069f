package datapath

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// CollectExpired deletes flows, and what is known of datagrams, that have expired, and
// says how many. No packet sees them, but a NIC whose table stays full settles no
// flows, and when the programs' ticks wrap, after 52 days, they would be alive
// again: call it every few seconds.
func (d *Datapath) CollectExpired() (int, error) {
	expired := 0
	for slot := range d.owners() {
		n, err := d.collect(slot)
		if err != nil {
			return expired, fmt.Errorf("collect what expired in slot %d: %w", slot, err)
		}
		expired += n
	}
	return expired, nil
}

// collect walks one slot's maps in the kernel, which costs a tenth of reading it out.
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
