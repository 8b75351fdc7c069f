package store

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// freshPatience is how long a read that may be stale waits for what is so now:
	// longer than it takes to elect a leader, as a rule.
	freshPatience = 1500 * time.Millisecond
	// staleFor is for how long it is not tried again within one request.
	staleFor = 5 * time.Second
)

// Staleness notes whether something that was read may be out of date.
type Staleness struct{ since atomic.Int64 } // ns of the clock; 0: nothing was

type staleKey struct{}

// TolerateStale lets reads with the context fall back to what one member of the
// cluster knows, when too few members are there to tell what is so now. Changes
// never do: what they stand on is guarded.
func TolerateStale(ctx context.Context) (context.Context, *Staleness) {
	s := new(Staleness)
	return context.WithValue(ctx, staleKey{}, s), s
}

// exact is ctx without what TolerateStale allows.
func exact(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, nil) }

// Stale tells whether something that was read may be out of date.
func (s *Staleness) Stale() bool { return s.since.Load() != 0 }

// lately tells whether it is of no use to wait for what is so now.
func (s *Staleness) lately() bool {
	return s.Stale() && time.Since(time.Unix(0, s.since.Load())) < staleFor
}

// StaleReads is how often something was read that may have been out of date.
func (s *Store) StaleReads() uint64 { return s.stale.Load() }

// answer asks etcd for what is so now; or where ctx allows it and nobody can tell in
// time, for what one member knows.
func answer[T any](ctx context.Context, s *Store, ask func(context.Context, ...clientv3.OpOption) (T, error)) (T, error) {
	stale, tolerated := ctx.Value(staleKey{}).(*Staleness)
	if !tolerated {
		return within(ctx, patience, ask)
	}
	if !stale.lately() {
		reply, err := within(ctx, freshPatience, ask)
		if err == nil || !isOutage(err) || ctx.Err() != nil {
			return reply, err
		}
	}
	reply, err := within(ctx, patience-freshPatience, ask, clientv3.WithSerializable())
	if err == nil {
		stale.since.Store(time.Now().UnixNano())
		s.stale.Add(1)
	}
	return reply, err
}

func within[T any](ctx context.Context, most time.Duration, ask func(context.Context, ...clientv3.OpOption) (T, error), options ...clientv3.OpOption) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return ask(ctx, options...)
}
