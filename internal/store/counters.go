package store

import (
	"context"
	"encoding/json"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

const countersPrefix = root + "host-counters/"

func countersKey(host string) string { return countersPrefix + host }

// SaveCounters stores what a host has counted, one record for all of it. It is not
// found if the host was deleted.
func (s *Store) SaveCounters(ctx context.Context, host string, record []byte) error {
	return s.putOfHost(ctx, "save counters", host, countersKey(host), json.RawMessage(record))
}

// HostCounters is the record of one host, nil if there is none.
func (s *Store) HostCounters(ctx context.Context, host string) ([]byte, error) {
	kv, err := s.get(ctx, countersKey(host))
	if kv == nil {
		return nil, err
	}
	return kv.Value, nil
}

// Counters are the records of all hosts.
func (s *Store) Counters(ctx context.Context) (map[string][]byte, error) {
	records := map[string][]byte{}
	_, err := s.scan(ctx, countersPrefix, 0, func(kv *mvccpb.KeyValue) {
		records[placeOf(kv.Key).rest] = kv.Value
	})
	return records, err
}
