package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// isEmptied tells whether a map has nothing that should have something. It asks for
// the first key of each, which costs the same whatever a map holds.
func (k *kernel) isEmptied(expected *Tables) (bool, error) {
	has4, has6 := false, false
	for key := range expected.Members {
		_, is4 := key.ipv4()
		has4, has6 = has4 || is4, has6 || !is4
		if has4 && has6 {
			break
		}
	}
	for _, look := range []struct {
		at       *ebpf.Map
		expected bool
	}{{k.maps.Nics, len(expected.NICs) > 0}, {k.maps.Members4, has4}, {k.maps.Members6, has6}} {
		if missing, err := isMissing(look.at, look.expected); missing || err != nil {
			return missing, err
		}
	}
	for number, set := range expected.PolicySets {
		if missing, err := k.isSetEmptied(number, set); missing || err != nil {
			return missing, err
		}
	}
	return false, nil
}

func (k *kernel) isSetEmptied(number uint32, set *PolicySet) (bool, error) {
	missing, err := isInnerMissing(k.maps.Policies, number, len(set.Policies) > 0)
	for d := range set.CIDRs {
		if !missing && err == nil {
			missing, err = isInnerMissing(k.maps.Cidrs, cidrIndex(number, d), len(set.CIDRs[d]) > 0)
		}
	}
	return missing, err
}

func isInnerMissing(outer *ebpf.Map, index uint32, expected bool) (bool, error) {
	if !expected {
		return false, nil
	}
	var m *ebpf.Map
	if err := outer.Lookup(index, &m); errors.Is(err, ebpf.ErrKeyNotExist) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("open map %d of %s: %w", index, outer, err)
	}
	defer m.Close()
	return isMissing(m, expected)
}

func isMissing(m *ebpf.Map, expected bool) (bool, error) {
	if !expected {
		return false, nil
	}
	first := make([]byte, m.KeySize())
	err := m.NextKey(nil, &first)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, fmt.Errorf("look into map %s: %w", m, err)
	}
	return err != nil, nil
}
