package store

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/gabion/gabion"
)

// snapshotTries bounds how often a snapshot begins anew because compaction took
// the revision that it was reading.
const snapshotTries = 3

// Snapshot is everything at one revision, as if it had happened at once. Watch
// continues after its revision.
func (s *Store) Snapshot(ctx context.Context) (Event, error) {
	for try := 1; ; try++ {
		e, err := s.snapshot(ctx)
		if try == snapshotTries || !errors.Is(err, rpctypes.ErrCompacted) {
			return e, err
		}
	}
}

func (s *Store) snapshot(ctx context.Context) (Event, error) {
	var e Event
	var prefixes []string
	revision, err := s.scan(ctx, organizationPrefix, 0, func(kv *mvccpb.KeyValue) {
		org := placeOf(kv.Key).rest
		prefixes = append(prefixes, orgKey(org, "group", ""), orgKey(org, "rule", ""), orgKey(org, "instance", ""))
	})
	if err != nil {
		return Event{}, err
	}
	// A host that never said anything, or not in this line of history, counts, too: nobody
	// knows what it enforces.
	if _, err := s.scan(ctx, hostPrefix, revision, func(kv *mvccpb.KeyValue) {
		e.Statuses = append(e.Statuses, gabion.HostStatus{Host: placeOf(kv.Key).rest})
	}); err != nil {
		return Event{}, err
	}
	for _, prefix := range append(prefixes, statusPrefix) {
		if _, err := s.scan(ctx, prefix, revision, func(kv *mvccpb.KeyValue) { s.put(&e, kv) }); err != nil {
			return Event{}, err
		}
	}
	e.Change.Revision = revision
	return e, nil
}
