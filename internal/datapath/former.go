package datapath

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// former is the maps of an agent before us that laid them out in another way, as far
// as they hold what a guest would miss. They describe themselves.
type former struct {
	flows, halfOpen, states *ebpf.Map
	slots                   map[[16]byte]uint32 // by the name of the NIC, as in ID

	flow    *flowConversion
	openers *openersConversion
	learned *learnedConversion
}

// Fields without which a value says something else. What a flow was admitted by is not
// among them: our policy is asked again, at its next packet.
var (
	idFields      = []string{"kind", "id"}
	flowKeyFields = []string{"remote", "local", "rport", "lport", "protocol"}
	flowFields    = []string{"last_seen", "state", "flags", "icmp_type", "icmp_code", "end", "ack"}
	learnedFields = []string{"address", "since"}
)

// formerLayouts are how the names of maps end that others than we have pinned.
func formerLayouts(dir string) (layouts []string, err error) {
	pins, err := filepath.Glob(filepath.Join(dir, bpfMapFlows+"_v[0-9]*"))
	if err != nil {
		return nil, fmt.Errorf("list maps: %w", err)
	}
	for _, pin := range pins {
		if !strings.HasSuffix(pin, layout) {
			layouts = append(layouts, strings.TrimPrefix(filepath.Base(pin), bpfMapFlows))
		}
	}
	return layouts, nil
}

// openFormer opens maps by how their names end. Ours are the types of our own.
func openFormer(dir, layout string, ours *btf.Spec) (_ *former, err error) {
	f := &former{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("read maps %s: %w", layout, err), f.close())
		}
	}()
	for name, to := range map[string]**ebpf.Map{bpfMapFlows: &f.flows, bpfMapHalfOpen: &f.halfOpen, bpfMapNicStates: &f.states} {
		if *to, err = ebpf.LoadPinnedMap(filepath.Join(dir, name+layout), nil); err != nil {
			return nil, err
		}
	}
	if f.slots, err = formerSlots(filepath.Join(dir, bpfMapIds+layout), ours); err != nil {
		return nil, err
	}
	if f.flow, err = describe(f.flows, ours, newFlowConversion); err != nil {
		return nil, err
	}
	if f.openers, err = describe(f.halfOpen, ours, newOpenersConversion); err != nil {
		return nil, err
	}
	types, err := typesOf(f.states)
	if err != nil {
		return nil, err
	}
	f.learned, err = newLearnedConversion(types, ours)
	return f, err
}

func (f *former) close() error {
	return errors.Join(f.flows.Close(), f.halfOpen.Close(), f.states.Close())
}

// formerSlots finds which slot each NIC had.
func formerSlots(pin string, ours *btf.Spec) (map[[16]byte]uint32, error) {
	ids, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		return nil, err
	}
	defer ids.Close()
	types, err := typesOf(ids)
	if err != nil {
		return nil, err
	}
	c, err := convertStruct(types, ours, "id_key", idFields)
	if err != nil {
		return nil, err
	}
	slots := map[[16]byte]uint32{}
	return slots, eachElement(ids, 0, func(key, value []byte) error {
		var id bpfIdKey
		c.convert(key, memory(&id))
		if Kind(id.Kind) == KindNIC {
			slots[id.Id] = inMemory([4]byte(value))
		}
		return nil
	})
}

// describe finds out about a map of maps by the stub at its index 0.
func describe[C any](outer *ebpf.Map, ours *btf.Spec, conversion func(theirs, ours *btf.Spec) (C, error)) (c C, err error) {
	err = within(outer, 0, 1, func(stub *ebpf.Map) error {
		types, err := typesOf(stub)
		if err != nil {
			return err
		}
		c, err = conversion(types, ours)
		return err
	})
	return c, err
}

// typesOf are the types of a map's keys and values, which the kernel has from who made it.
func typesOf(m *ebpf.Map) (*btf.Spec, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("find types of map %s: %w", m, err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return nil, fmt.Errorf("read types of map %s: %w", m, err)
	}
	return types, nil
}

// eachElement yields the elements of a map whose sizes only the kernel knows.
func eachElement(m *ebpf.Map, flags ebpf.MapLookupFlags, yield func(key, value []byte) error) error {
	room := min(batch, int(m.MaxEntries()))
	elements := func(size uint32) reflect.Value {
		return reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(int(size), reflect.TypeFor[byte]())), room, room)
	}
	keys, values := elements(m.KeySize()), elements(m.ValueSize())
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys.Interface(), values.Interface(), &ebpf.BatchOptions{ElemFlags: uint64(flags)})
		last := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !last {
			return fmt.Errorf("read map %s: %w", m, err)
		}
		for i := range n {
			if err := yield(keys.Index(i).Bytes(), values.Index(i).Bytes()); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}
