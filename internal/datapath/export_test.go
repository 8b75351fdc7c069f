package datapath

import (
	"encoding/binary"
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
	for _, each := range []*ebpf.Map{m.Nics, m.Members4, m.Members6, m.Ids, m.Policies, m.Cidrs, m.Flows, m.HalfOpen, m.Fragments, m.Events} {
		info, err := each.Info()
		if err != nil {
			return nil, err
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	for _, outer := range []*ebpf.Map{m.Policies, m.Cidrs, m.Flows, m.HalfOpen, m.Fragments} {
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

// PutFlows puts established UDP flows into the table of the only NIC, and as many that
// are not settled and datagrams in fragments beside it.
func (d *Datapath) PutFlows(live, expired int) error {
	now := uint32(sinceBoot() >> 20)
	for n := range live + expired {
		seen := now
		if n >= live {
			seen -= 953 * 3600
		}
		flow := bpfFlow{State: bpfFlowStateFLOW_ESTABLISHED, LastSeen: seen}
		key := bpfFlowKey{Protocol: 17, Rport: uint16(n)}
		datagram := bpfFragmentKey{Protocol: 17, Id: uint32(n)}
		err := d.eachFlowMap(func(m *ebpf.Map) error {
			switch {
			case m.Type() == ebpf.Array:
				set := bpfOpeners{Tags: [8]uint16{1}, Openers: [8]bpfOpener{{Key: key, Flow: flow}}}
				return m.Put(uint32(n), &set)
			case m.ValueSize() == uint32(binary.Size(bpfFragment{})):
				return m.Put(&datagram, &bpfFragment{Begun: seen})
			}
			return m.Put(&key, &flow)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CountFlows counts what the only NIC's maps hold: flows, settled or not, and datagrams.
func (d *Datapath) CountFlows() (n int, err error) {
	err = d.eachFlowMap(func(m *ebpf.Map) error {
		if m.Type() == ebpf.Array {
			return eachOpener(m, func(*bpfFlowKey, *bpfFlow) bool { n++; return true })
		}
		key := make([]byte, m.KeySize())
		for err := m.NextKey(nil, key); ; err = m.NextKey(key, key) {
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			n++
		}
	})
	return n, err
}

func (d *Datapath) eachFlowMap(visit func(*ebpf.Map) error) error {
	for slot := range d.actual.Slots {
		for _, outer := range []*ebpf.Map{d.kernel.maps.Flows, d.kernel.maps.HalfOpen, d.kernel.maps.Fragments} {
			if err := within(outer, slot, 1, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
