package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type stateRecord struct {
	State gabion.InstanceState `json:"state"`
}

func decodeState(kv *mvccpb.KeyValue) (gabion.InstanceState, error) {
	var r stateRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return "", fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return r.State, nil
}

// States are the states of the organization's instances that are known, by
// instance id. Of one that is not there, see Instance.PresumedState.
func (s *Store) States(ctx context.Context, org string) (map[string]gabion.InstanceState, error) {
	states := map[string]gabion.InstanceState{}
	_, err := s.scan(ctx, orgKey(org, "state", ""), 0, func(kv *mvccpb.KeyValue) {
		if state, err := decodeState(kv); s.readable(kv, err) {
			states[placeOf(kv.Key).rest] = state
		}
	})
	return states, err
}

// StatesOf are the states of those of the instances that are known.
func (s *Store) StatesOf(ctx context.Context, org string, ids []string) (map[string]gabion.InstanceState, error) {
	states := make(map[string]gabion.InstanceState, len(ids))
	for batch := range slices.Chunk(ids, readBatch) {
		keys := make([]string, len(batch))
		for n, id := range batch {
			keys[n] = stateKey(org, id)
		}
		found, err := s.gets(ctx, keys...)
		if err != nil {
			return nil, err
		}
		for n, kv := range found {
			if kv == nil {
				continue
			}
			if state, err := decodeState(kv); s.readable(kv, err) {
				states[batch[n]] = state
			}
		}
	}
	return states, nil
}

// state is the instance's state, and whether somebody has said so.
func (t *txn) state(i *gabion.Instance) (state gabion.InstanceState, known bool, err error) {
	kv, err := t.get(stateKey(i.Organization, i.ID))
	if err != nil || kv == nil {
		return i.PresumedState(), false, err
	}
	state, err = decodeState(kv)
	return state, true, err
}

// SetState stores the state of an instance.
func (s *Store) SetState(ctx context.Context, org, instance string, state gabion.InstanceState) (gabion.Operation, error) {
	name := "stop-instance"
	if state == gabion.Running {
		name = "start-instance"
	}
	return s.change(ctx, ofInstance(org, name, instance, stateKey(org, instance)), func(t *txn) error {
		i, err := t.instance(org, instance)
		if err != nil {
			return err
		}
		old, _, err := t.state(&i)
		if err != nil {
			return err
		}
		t.before, t.after = stateWords{instance, old}, stateWords{instance, state}
		return t.put(stateKey(org, instance), stateRecord{state})
	})
}

// observedBatch is how many states one transaction changes: two guards each.
const observedBatch = 60

// SaveObserved stores what the host sees of its instances, by their id: whether
// each runs. What it says of instances that are not its own is ignored.
func (s *Store) SaveObserved(ctx context.Context, host string, running map[string]bool) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(running)), observedBatch) {
		_, err := s.transact(ctx, "save observed states", func(t *txn) error {
			return s.observe(t, host, ids, running)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) observe(t *txn, host string, ids []string, running map[string]bool) error {
	own := make([]string, len(ids))
	for n, id := range ids {
		own[n] = hostInstanceKey(host, id)
	}
	if err := t.read(own...); err != nil {
		return err
	}
	states := map[string]gabion.InstanceState{}
	for n, id := range ids {
		kv := t.seen[own[n]]
		if kv == nil {
			continue
		}
		h, err := valueOf[holder](kv)
		if !s.readable(kv, err) {
			continue
		}
		state := gabion.Stopped
		if running[id] {
			state = gabion.Running
		}
		states[stateKey(h.Organization, id)] = state
	}
	if err := t.read(slices.Sorted(maps.Keys(states))...); err != nil {
		return err
	}
	for key, state := range states {
		if err := t.putState(key, state); err != nil {
			return err
		}
	}
	return nil
}

// putState writes a state that is not so already.
func (t *txn) putState(key string, state gabion.InstanceState) error {
	if kv := t.seen[key]; kv != nil {
		if old, err := decodeState(kv); err == nil && old == state {
			return nil
		}
	}
	return t.put(key, stateRecord{state})
}
