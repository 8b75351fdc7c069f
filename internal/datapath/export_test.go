package datapath

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Missing is the check of capabilities and kernel.
var Missing = missing

// Actual reads what is in force from the kernel.
func (d *Datapath) Actual() (*Tables, error) {
	r, err := d.kernel.readNumbers(d.limits)
	if err != nil {
		return nil, err
	}
	return d.kernel.read(r)
}

// Expected compiles with the numbers in force.
func (d *Datapath) Expected() *Tables { return d.actual }

// SetLimits lets a test run out of room.
func (d *Datapath) SetLimits(change func(*Limits)) { change(&d.limits) }

// Epoch is the epoch of a slot.
func (d *Datapath) Epoch(slot uint32) (epoch uint32, err error) {
	return epoch, d.kernel.maps.Epochs.Lookup(slot, &epoch)
}

// MapIDs are the kernel's ids of all maps, those in maps of maps included.
func (d *Datapath) MapIDs() (ids []ebpf.MapID, err error) {
	m := &d.kernel.maps
	for _, each := range []*ebpf.Map{m.Nics, m.Members4, m.Members6, m.Ids, m.Policies, m.Cidrs, m.Flows, m.HalfOpen, m.Events} {
		info, err := each.Info()
		if err != nil {
			return nil, err
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	for _, outer := range []*ebpf.Map{m.Policies, m.Cidrs, m.Flows, m.HalfOpen} {
		for index := range outer.MaxEntries() {
			var id ebpf.MapID
			if err := outer.Lookup(index, &id); errors.Is(err, ebpf.ErrKeyNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// PutFlows puts established UDP flows into the table of the only NIC.
func (d *Datapath) PutFlows(live, expired int) error {
	now := uint32(sinceBoot() >> 20)
	for slot := range d.actual.Slots {
		return within(d.kernel.maps.Flows, slot, live+expired, func(m *ebpf.Map) error {
			for n := range live + expired {
				flow := bpfFlow{State: bpfFlowStateFLOW_ESTABLISHED, LastSeen: now}
				if n >= live {
					flow.LastSeen -= 953 * 3600
				}
				key := bpfFlowKey{Protocol: 17, Rport: uint16(n)}
				if err := m.Put(&key, &flow); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}
