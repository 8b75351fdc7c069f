package datapath

import "fmt"

// readNumbers takes over the numbers that were given before a restart.
func (k *kernel) readNumbers(l Limits) (*register, error) {
	ids, err := readAll[bpfIdKey, uint32](k.maps.Ids)
	if err != nil {
		return nil, err
	}
	r := newRegister(l)
	for key, number := range ids {
		if key.Kind == 0 || key.Kind >= uint32(kindCount) {
			return nil, fmt.Errorf("read map %s: numbers of an unknown kind %d: a newer version wrote them; run that one", k.maps.Ids, key.Kind)
		}
		r.restore(ID{Kind: Kind(key.Kind), Name: key.Id}, number)
	}
	return r, nil
}

// saveNumbers writes numbers before anything that uses them: what is found in the
// maps after a crash always has its number.
func (k *kernel) saveNumbers(r *register) error {
	var e entries[bpfIdKey, uint32]
	var rules []uint32
	for _, id := range r.fresh {
		number := r.numbers[id].number
		e.add(bpfIdKey{Kind: uint32(id.Kind), Id: id.Name}, number)
		if id.Kind == KindRule {
			rules = append(rules, number)
		}
	}
	if err := clearCounters[bpfRuleHit](k.maps.RuleHits, rules); err != nil {
		return err
	}
	return putBatch(k.maps.Ids, e)
}

func (k *kernel) dropNumbers(ids []ID) error {
	keys := make([]bpfIdKey, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, bpfIdKey{Kind: uint32(id.Kind), Id: id.Name})
	}
	return removeBatch(k.maps.Ids, keys)
}
