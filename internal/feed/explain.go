package feed

import (
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Explain tells whether the policy that hosts are sent admits a new connection,
// and by what. Before the first snapshot of the store nobody has a policy.
func (s *Server) Explain(from, to policy.End, service policy.Service) policy.Explanation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		none := &policy.Decision{Reason: gabion.DropNoPolicy}
		return policy.Explanation{Egress: none, Ingress: none}
	}
	return s.world.Explain(from, to, service)
}
