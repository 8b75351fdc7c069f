package store

import (
	"maps"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Poison is a value that can't be read. It does not concern the other objects:
// they go on, and what was known of this one stays until it is mended or deleted.
type Poison struct {
	Key      string
	Revision int64
	Error    string
}

type poisonList struct {
	mu  sync.Mutex
	all map[string]Poison
}

// Poisoned are the values that were found unreadable and are so still, as far as is known.
func (s *Store) Poisoned() []Poison {
	s.poison.mu.Lock()
	defer s.poison.mu.Unlock()
	list := slices.Collect(maps.Values(s.poison.all))
	slices.SortFunc(list, func(a, b Poison) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return list
}

// readable takes note of how reading a value went, and tells whether it went
// well. A value is reported once.
func (s *Store) readable(kv *mvccpb.KeyValue, err error) bool {
	s.poison.mu.Lock()
	defer s.poison.mu.Unlock()
	key := string(kv.Key)
	if err == nil {
		delete(s.poison.all, key)
		return true
	}
	if s.poison.all[key].Revision != kv.ModRevision {
		s.log.Error("object in the store can't be read; the others are not affected", "key", key, "revision", kv.ModRevision, "error", err)
	}
	if s.poison.all == nil {
		s.poison.all = map[string]Poison{}
	}
	s.poison.all[key] = Poison{Key: key, Revision: kv.ModRevision, Error: err.Error()}
	return false
}
