package feed

import (
	"context"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Inspect calls look with all objects of the zone, as of the revision or a later
// one: it waits until the watch has come that far. The world is look's for as long
// as the call takes, and hosts wait meanwhile: what takes long is done with what look
// took out of it.
func (s *Server) Inspect(ctx context.Context, revision int64, look func(*policy.World)) error {
	for {
		changed := s.inspect(revision, look)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return gabion.Unavailable("this server has not seen the newest changes yet: try again, or ask another one")
		}
	}
}

// inspect returns nil, or what is closed when it is worth trying again.
func (s *Server) inspect(revision int64, look func(*policy.World)) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil || s.world.Revision() < revision {
		return s.changed
	}
	look(s.world)
	return nil
}
