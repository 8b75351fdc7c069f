package server

import (
	"context"
	"sync"
	"time"

	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/store"
)

// world is policy's world, kept as the store has it: revision by revision, none
// left out. It may be asked by many at once.
type world struct {
	mu      sync.Mutex
	objects *policy.World
	applied chan struct{} // closed at the next revision, and replaced
}

func newWorld() *world {
	return &world{objects: policy.NewWorld(), applied: make(chan struct{})}
}

// Explain tells whether a new connection is admitted, and by what.
func (w *world) Explain(from, to policy.End, s policy.Service) policy.Explanation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.objects.Explain(from, to, s)
}

// reach waits until the world is as of the revision, or later.
func (w *world) reach(ctx context.Context, revision int64) bool {
	for {
		w.mu.Lock()
		reached, applied := w.objects.Revision() >= revision, w.applied
		w.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-applied:
		case <-ctx.Done():
			return false
		}
	}
}

// Await waits until the world knows the revision.
func (w *world) Await(ctx context.Context, revision int64) []string {
	w.reach(ctx, revision)
	return nil
}

// load replaces the world by what the store has now.
func (w *world) load(ctx context.Context, s *store.Store) error {
	all, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	fresh := policy.NewWorld()
	fresh.Apply(all.Change)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects = fresh
	w.announce()
	return nil
}

// reloadAfter is how long to wait between attempts to read a store that does not answer.
const reloadAfter = time.Second

// follow keeps the world current until ctx ends. Where the store no longer has
// what happened in between, the world is loaded anew.
func (w *world) follow(ctx context.Context, s *store.Store) error {
	for ctx.Err() == nil {
		for e := range s.Watch(ctx, w.revision()) {
			if !e.Lost {
				w.apply(e.Change)
			}
		}
		for ctx.Err() == nil && w.load(ctx, s) != nil {
			select {
			case <-ctx.Done():
			case <-time.After(reloadAfter):
			}
		}
	}
	return nil
}

func (w *world) revision() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.objects.Revision()
}

// apply takes the world to the next revision.
func (w *world) apply(c policy.Change) map[string]*policy.Delta {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.announce()
	return w.objects.Apply(c)
}

func (w *world) announce() {
	close(w.applied)
	w.applied = make(chan struct{})
}
