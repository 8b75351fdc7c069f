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
	return s.world.Explain(s.known(from), s.known(to), service)
}

// known is the end as hosts know it: whoever asks may have read it a moment earlier.
func (s *Server) known(end policy.End) policy.End {
	if end.Instance != nil {
		if i := s.world.Instance(end.Instance.ID); i != nil {
			end.Instance = i
		}
	}
	return end
}
