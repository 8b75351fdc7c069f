package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

// decoder makes an object of a key and its value.
type decoder[T any] func(*mvccpb.KeyValue) (T, error)

// valueOf reads a value as it was written.
func valueOf[T any](kv *mvccpb.KeyValue) (T, error) {
	var value T
	if err := json.Unmarshal(kv.Value, &value); err != nil {
		var none T
		return none, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return value, nil
}

// one reads one object as it is now.
func one[T any](ctx context.Context, s *Store, kind, id, key string, decode decoder[T]) (T, error) {
	var none T
	if !isID(id) {
		return none, gabion.NotFound(kind, id)
	}
	kv, err := s.get(ctx, key)
	if err != nil {
		return none, err
	}
	if kv == nil {
		return none, gabion.NotFound(kind, id)
	}
	return decode(kv)
}

// object reads one object inside a transaction.
func object[T any](t *txn, kind, id, key string, decode decoder[T]) (T, error) {
	var none T
	if !isID(id) {
		return none, gabion.NotFound(kind, id)
	}
	kv, err := t.get(key)
	if err != nil {
		return none, err
	}
	if kv == nil {
		return none, gabion.NotFound(kind, id)
	}
	return decode(kv)
}

// all reads the objects below prefix, in order of creation. One that can't be
// read is reported and left out.
func all[T any](ctx context.Context, s *Store, prefix string, decode decoder[T]) ([]T, error) {
	type aged struct {
		object T
		born   int64
	}
	var found []aged
	_, err := s.scan(ctx, prefix, 0, func(kv *mvccpb.KeyValue) {
		if o, err := decode(kv); s.readable(kv, err) {
			found = append(found, aged{o, kv.CreateRevision})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b aged) int { return cmp.Compare(a.born, b.born) })
	objects := make([]T, len(found))
	for i := range found {
		objects[i] = found[i].object
	}
	return objects, nil
}
