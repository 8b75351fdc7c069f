package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// read finds out what is in force: after a start, and after a write that failed.
// Everything that can be there has a number, because numbers are written first.
func (k *kernel) read(r *register) (*Tables, error) {
	t := NewTables()
	var err error
	if t.NICs, err = readAll[uint32, NIC](k.maps.Nics); err != nil {
		return nil, err
	}
	if t.Members, err = k.readMembers(); err != nil {
		return nil, err
	}
	for id, n := range r.numbers {
		if err := k.readNumbered(t, id.Kind, n.number); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (k *kernel) readMembers() (map[MemberKey]uint32, error) {
	v4, err := readAll[bpfMember4Key, bpfMember](k.maps.Members4)
	if err != nil {
		return nil, err
	}
	v6, err := readAll[MemberKey, bpfMember](k.maps.Members6)
	if err != nil {
		return nil, err
	}
	members := make(map[MemberKey]uint32, len(v4)+len(v6))
	for key, member := range v4 {
		members[key.wide()] = member.Set
	}
	for key, member := range v6 {
		members[key] = member.Set
	}
	return members, nil
}

func (k *kernel) readNumbered(t *Tables, kind Kind, number uint32) error {
	switch kind {
	case KindNIC:
		open, err := k.isOpen(number)
		if open {
			t.Slots[number] = Owner{}
		}
		return err
	case KindPolicySet:
		set, err := k.readSet(number)
		if set != nil {
			t.PolicySets[number] = set
		}
		return err
	case KindRemoteSet:
		var set RemoteSet
		if err := k.maps.RemoteSets.Lookup(number, &set); err != nil {
			return fmt.Errorf("read remote set %d: %w", number, err)
		}
		t.RemoteSets[number] = set
	default: // the number is all there is
	}
	return nil
}

func (k *kernel) isOpen(slot uint32) (bool, error) {
	m, err := k.at(k.maps.Flows, slot, k.stubs.flows)
	if m == nil {
		return false, err
	}
	return true, m.Close()
}

// readSet is nil if any part of the set is missing: then it is published anew.
func (k *kernel) readSet(number uint32) (*PolicySet, error) {
	var flags bpfPolicySet
	if err := k.maps.PolicySets.Lookup(number, &flags); err != nil {
		return nil, fmt.Errorf("read flags of policy set %d: %w", number, err)
	}
	set := &PolicySet{Flags: flags.Flags}
	whole, err := readInner(k, k.maps.Policies, number, k.stubs.policies, &set.Policies)
	for d := range set.CIDRs {
		if whole && err == nil {
			whole, err = readInner(k, k.maps.Cidrs, cidrIndex(number, d), k.stubs.cidrs, &set.CIDRs[d])
		}
	}
	if !whole || err != nil {
		return nil, err
	}
	return set, nil
}

func readInner[K comparable](k *kernel, outer *ebpf.Map, index uint32, stub *ebpf.Map, to *map[K]uint32) (bool, error) {
	m, err := k.at(outer, index, stub)
	if m == nil {
		return false, err
	}
	defer m.Close()
	*to, err = readAll[K, uint32](m)
	return true, err
}

// at is the map at an index, nil if there is none or only the stub.
func (k *kernel) at(outer *ebpf.Map, index uint32, stub *ebpf.Map) (*ebpf.Map, error) {
	var m *ebpf.Map
	if err := outer.Lookup(index, &m); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("open map %d of %s: %w", index, outer, err)
	}
	same, err := isSame(m, stub)
	if same || err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func isSame(a, b *ebpf.Map) (bool, error) {
	ids := [2]ebpf.MapID{}
	for i, m := range []*ebpf.Map{a, b} {
		info, err := m.Info()
		if err != nil {
			return false, fmt.Errorf("identify map %s: %w", m, err)
		}
		ids[i], _ = info.ID()
	}
	return ids[0] == ids[1], nil
}
