package datapath

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/cilium/ebpf"
)

// kernel is the writer of the real maps.
//
// Index 0 of each map of maps holds a stub, an empty map that also stands where
// something was withdrawn: replacing many elements of such a map in one call waits
// for RCU once, deleting them waits for each.
type kernel struct {
	maps  bpfMaps
	inner innerSpecs
	grace grace
	stubs stubs
}

// innerSpecs are the shapes of the maps in maps of maps.
type innerSpecs struct{ policies, cidrs, flows, halfOpen, fragments *ebpf.MapSpec }

func innerSpecsOf(spec *ebpf.CollectionSpec) innerSpecs {
	inner := func(name string) *ebpf.MapSpec { return spec.Maps[name].InnerMap }
	return innerSpecs{
		policies: inner(bpfMapPolicies), cidrs: inner(bpfMapCidrs),
		flows: inner(bpfMapFlows), halfOpen: inner(bpfMapHalfOpen), fragments: inner(bpfMapFragments),
	}
}

// settle waits for a grace period if the phase must not meet what was written.
func (k *kernel) settle(before phase) error {
	if k.grace.needed(before) {
		if err := k.wait(); err != nil {
			return err
		}
		k.grace = grace{}
	}
	k.grace.begin(before)
	return nil
}

// wait returns when no packet is any more where it was in the programs: the kernel
// waits for a grace period in every single update of a map of maps.
func (k *kernel) wait() error {
	if err := k.maps.Policies.Put(uint32(0), k.stubs.policies); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	return nil
}

// openSlots readies slots for NICs that have no entry yet. Nothing that a former owner
// left is there.
func (k *kernel) openSlots(slots []uint32) error {
	for _, slot := range slots {
		if err := k.clearSlot(slot); err != nil {
			return fmt.Errorf("clear slot %d: %w", slot, err)
		}
	}
	if err := k.bumpEpochs(slots); err != nil {
		return err
	}
	empty := func(*ebpf.Map, int) error { return nil }
	return errors.Join(
		fill(k.maps.Fragments, slots, k.inner.fragments, empty),
		fill(k.maps.HalfOpen, slots, k.inner.halfOpen, empty),
		fill(k.maps.Flows, slots, k.inner.flows, empty),
	)
}

func (k *kernel) clearSlot(slot uint32) error {
	if err := k.maps.NicStates.Put(slot, &bpfNicState{Seed: rand.Uint64()}); err != nil {
		return err
	}
	counters := make([]uint32, reasonSlots)
	for reason := range counters {
		counters[reason] = slot*reasonSlots + uint32(reason)
	}
	return clearCounters[uint64](k.maps.Verdicts, counters)
}

func (k *kernel) closeSlots(slots []uint32) error {
	return errors.Join(
		stub(k.maps.Flows, slots, k.stubs.flows),
		stub(k.maps.HalfOpen, slots, k.stubs.halfOpen),
		stub(k.maps.Fragments, slots, k.stubs.fragments),
	)
}

func (k *kernel) putRemoteSets(e entries[uint32, RemoteSet]) error {
	return putBatch(k.maps.RemoteSets, e)
}

func (k *kernel) publishSets(sets map[uint32]*PolicySet) error {
	numbers := make([]uint32, 0, len(sets))
	indexes := make([]uint32, 0, 2*len(sets))
	for n, set := range sets {
		if err := k.putFlags(n, set.Flags); err != nil {
			return err
		}
		numbers = append(numbers, n)
		indexes = append(indexes, cidrIndex(n, 0), cidrIndex(n, 1))
	}
	err := fill(k.maps.Cidrs, indexes, k.inner.cidrs, func(m *ebpf.Map, i int) error {
		return putBatch(m, entriesOf(sets[indexes[i]/2].CIDRs[indexes[i]%2]))
	})
	if err != nil {
		return err
	}
	return fill(k.maps.Policies, numbers, k.inner.policies, func(m *ebpf.Map, i int) error {
		return putBatch(m, entriesOf(sets[numbers[i]].Policies))
	})
}

func entriesOf[K comparable, V any](m map[K]V) entries[K, V] {
	e := entries[K, V]{keys: make([]K, 0, len(m)), values: make([]V, 0, len(m))}
	for k, v := range m {
		e.add(k, v)
	}
	return e
}

func (k *kernel) withdrawSets(numbers []uint32) error {
	indexes := make([]uint32, 0, 2*len(numbers))
	for _, n := range numbers {
		indexes = append(indexes, cidrIndex(n, 0), cidrIndex(n, 1))
	}
	return errors.Join(
		stub(k.maps.Policies, numbers, k.stubs.policies),
		stub(k.maps.Cidrs, indexes, k.stubs.cidrs),
	)
}

func (k *kernel) putFlags(set, flags uint32) error {
	if err := k.maps.PolicySets.Put(set, &bpfPolicySet{Flags: flags}); err != nil {
		return fmt.Errorf("put flags of policy set %d: %w", set, err)
	}
	return nil
}

func (k *kernel) putPolicies(set uint32, e entries[PolicyKey, uint32]) error {
	return within(k.maps.Policies, set, e.len(), func(m *ebpf.Map) error { return putBatch(m, e) })
}

func (k *kernel) removePolicies(set uint32, keys []PolicyKey) error {
	return within(k.maps.Policies, set, len(keys), func(m *ebpf.Map) error { return removeBatch(m, keys) })
}

func (k *kernel) putCIDRs(set uint32, direction int, e entries[CIDRKey, uint32]) error {
	return within(k.maps.Cidrs, cidrIndex(set, direction), e.len(), func(m *ebpf.Map) error { return putBatch(m, e) })
}

func (k *kernel) removeCIDRs(set uint32, direction int, keys []CIDRKey) error {
	return within(k.maps.Cidrs, cidrIndex(set, direction), len(keys), func(m *ebpf.Map) error { return removeBatch(m, keys) })
}

func (k *kernel) putMembers(e entries[MemberKey, uint32]) error {
	var v4 entries[bpfMember4Key, bpfMember]
	var v6 entries[MemberKey, bpfMember]
	for i, key := range e.keys {
		if short, is4 := key.ipv4(); is4 {
			v4.add(short, bpfMember{Set: e.values[i], Tag: short.tag()})
		} else {
			v6.add(key, bpfMember{Set: e.values[i], Tag: key.tag()})
		}
	}
	return errors.Join(putBatch(k.maps.Members4, v4), putBatch(k.maps.Members6, v6))
}

func (k *kernel) removeMembers(keys []MemberKey) error {
	var v4 []bpfMember4Key
	var v6 []MemberKey
	for _, key := range keys {
		if short, is4 := key.ipv4(); is4 {
			v4 = append(v4, short)
		} else {
			v6 = append(v6, key)
		}
	}
	return errors.Join(removeBatch(k.maps.Members4, v4), removeBatch(k.maps.Members6, v6))
}

func (k *kernel) putNICs(e entries[uint32, NIC]) error { return putBatch(k.maps.Nics, e) }
func (k *kernel) removeNICs(ifindexes []uint32) error  { return removeBatch(k.maps.Nics, ifindexes) }

// bumpEpochs has every flow of the slots judged again when its next packet comes.
// Only we write epochs.
func (k *kernel) bumpEpochs(slots []uint32) error {
	for _, slot := range slots {
		var epoch uint32
		if err := k.maps.Epochs.Lookup(slot, &epoch); err != nil {
			return fmt.Errorf("read epoch of slot %d: %w", slot, err)
		}
		if err := k.maps.Epochs.Put(slot, epoch+1); err != nil {
			return fmt.Errorf("bump epoch of slot %d: %w", slot, err)
		}
	}
	return nil
}

func cidrIndex(set uint32, direction int) uint32 { return set*2 + uint32(direction) }
