package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// batch is how many elements one system call reads or writes at most.
const batch = 8192

func putBatch[K comparable, V any](m *ebpf.Map, e entries[K, V]) error {
	for at := 0; at < e.len(); at += batch {
		end := min(at+batch, e.len())
		if _, err := m.BatchUpdate(e.keys[at:end], e.values[at:end], nil); err != nil {
			return fmt.Errorf("put into map %s: %w", m, err)
		}
	}
	return nil
}

func removeBatch[K comparable](m *ebpf.Map, keys []K) error {
	for at := 0; at < len(keys); at += batch {
		if _, err := m.BatchDelete(keys[at:min(at+batch, len(keys))], nil); err != nil {
			return fmt.Errorf("remove from map %s: %w", m, err)
		}
	}
	return nil
}

// clearCounters zeroes elements of a per-CPU array.
func clearCounters[V any](m *ebpf.Map, keys []uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for at := 0; at < len(keys); at += batch {
		part := keys[at:min(at+batch, len(keys))]
		if _, err := m.BatchUpdate(part, make([]V, len(part)*cpus), nil); err != nil {
			return fmt.Errorf("clear counters of map %s: %w", m, err)
		}
	}
	return nil
}

// readAll reads a hash or a trie that nobody else writes meanwhile.
func readAll[K comparable, V any](m *ebpf.Map) (map[K]V, error) {
	var (
		all    = map[K]V{}
		cursor ebpf.MapBatchCursor
		keys   = make([]K, batch)
		values = make([]V, batch)
	)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		last := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !last {
			return nil, fmt.Errorf("read map %s: %w", m, err)
		}
		for i := range n {
			all[keys[i]] = values[i]
		}
		if last {
			return all, nil
		}
	}
}

// fill makes a map for each index, has it filled, and then puts them all where
// programs find them.
func fill(outer *ebpf.Map, indexes []uint32, spec *ebpf.MapSpec, with func(m *ebpf.Map, i int) error) error {
	var made entries[uint32, uint32]
	for i, index := range indexes {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return fmt.Errorf("create map for %s: %w", outer, err)
		}
		defer m.Close()
		if err := with(m, i); err != nil {
			return err
		}
		made.add(index, uint32(m.FD()))
	}
	return putBatch(outer, made)
}

// stub puts a stub in the place of what is withdrawn.
func stub(outer *ebpf.Map, indexes []uint32, stub *ebpf.Map) error {
	var e entries[uint32, uint32]
	for _, index := range indexes {
		e.add(index, uint32(stub.FD()))
	}
	return putBatch(outer, e)
}

// within lets write have the map at an index, unless it would write nothing.
func within(outer *ebpf.Map, index uint32, writes int, write func(*ebpf.Map) error) error {
	if writes == 0 {
		return nil
	}
	var m *ebpf.Map
	if err := outer.Lookup(index, &m); err != nil {
		return fmt.Errorf("open map %d of %s: %w", index, outer, err)
	}
	defer m.Close()
	return write(m)
}

// stubs are the empty maps at index 0 of each map of maps.
type stubs struct{ policies, cidrs, flows, halfOpen, fragments *ebpf.Map }

// openStubs finds the stubs, and makes those that are not there yet.
func openStubs(maps *bpfMaps, inner innerSpecs) (s stubs, err error) {
	for _, each := range []struct {
		outer *ebpf.Map
		spec  *ebpf.MapSpec
		to    **ebpf.Map
	}{
		{maps.Policies, inner.policies, &s.policies},
		{maps.Cidrs, inner.cidrs, &s.cidrs},
		{maps.Flows, inner.flows, &s.flows},
		{maps.HalfOpen, inner.halfOpen, &s.halfOpen},
		{maps.Fragments, inner.fragments, &s.fragments},
	} {
		if *each.to, err = openStub(each.outer, each.spec); err != nil {
			return s, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func openStub(outer *ebpf.Map, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	var m *ebpf.Map
	err := outer.Lookup(uint32(0), &m)
	if err == nil || !errors.Is(err, ebpf.ErrKeyNotExist) {
		return m, err
	}
	small := spec.Copy()
	if spec.Type != ebpf.Array { // an array of another size is of another kind
		small.MaxEntries = 1
	}
	if m, err = ebpf.NewMap(small); err != nil {
		return nil, fmt.Errorf("create stub for map %s: %w", outer, err)
	}
	if err := outer.Put(uint32(0), m); err != nil {
		return nil, errors.Join(fmt.Errorf("put stub into map %s: %w", outer, err), m.Close())
	}
	return m, nil
}

func (s stubs) close() error {
	return errors.Join(s.policies.Close(), s.cidrs.Close(), s.flows.Close(), s.halfOpen.Close(), s.fragments.Close())
}
