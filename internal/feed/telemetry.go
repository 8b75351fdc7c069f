package feed

import (
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/flow"
)

// Reasons are how many packets hosts have dropped for each reason, as far as this
// server knows of them.
func (s *Server) Reasons() map[gabion.Reason]uint64 { return s.ledger.Reasons() }

// Watching is who watches events here, and how many there were.
func (s *Server) Watching() flow.HubStats { return s.hub.Stats() }

// Connected is how many hosts have a stream to this server.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
