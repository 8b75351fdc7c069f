package datapath

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
)

// eachOpener yields a NIC's flows that are not settled, until told to stop.
func eachOpener(sets *ebpf.Map, yield func(*bpfFlowKey, *bpfFlow) bool) error {
	var index uint32
	var set bpfOpeners
	all := sets.Iterate()
	for all.Next(&index, &set) {
		for i, tag := range set.Tags {
			if tag != 0 && !yield(&set.Openers[i].Key, &set.Openers[i].Flow) {
				return nil
			}
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read flows of map %s: %w", sets, err)
	}
	return nil
}

// noOpeners is an empty set, of a type that needs no encoding.
type noOpeners [unsafe.Sizeof(bpfOpeners{})]byte

// forgetOpeners empties all sets.
func forgetOpeners(sets *ebpf.Map) error {
	indexes := make([]uint32, sets.MaxEntries())
	for i := range indexes {
		indexes[i] = uint32(i)
	}
	return putBatch(sets, entries[uint32, noOpeners]{keys: indexes, values: make([]noOpeners, len(indexes))})
}
