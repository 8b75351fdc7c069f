package feed

import (
	"encoding/hex"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
)

// maxProgramDigest is how long the names of programs may be.
const maxProgramDigest = 255

// receipt is what a host said of what it enforces, beside the revision.
type receipt struct {
	enforcedAt time.Time
	took       *time.Duration // from commit to acknowledgement of the last change that was measured
	policy     string         // digest, hexadecimal
	programs   string
}

func receiptOf(s gabion.HostStatus) receipt {
	return receipt{s.EnforcedAt, s.Took, s.PolicyDigest, s.ProgramDigest}
}

func (r receipt) fill(s *gabion.HostStatus) {
	s.EnforcedAt, s.Took, s.PolicyDigest, s.ProgramDigest = r.enforcedAt, r.took, r.policy, r.programs
}

// sign takes note of what an ack says beside the revision, which is news or not.
func (s *Server) sign(host string, ack *feedpb.Ack, now time.Time) receipt {
	r := s.receipts[host]
	if ack.Revision > s.tracker.enforced(host) {
		r.enforcedAt = now.UTC()
		if took, known := s.stopwatch.enforce(s.tracker.due(host, ack.Revision), now); known {
			r.took = &took
			s.enforcementTook(took)
		}
	}
	if len(ack.GetPolicyDigest()) > 0 {
		r.policy = hex.EncodeToString(ack.PolicyDigest[:min(len(ack.PolicyDigest), 32)])
	}
	if programs := clip(ack.GetProgramDigest()); programs != "" && len(programs) <= maxProgramDigest {
		r.programs = programs
	}
	s.receipts[host] = r
	return r
}

// Enforced is how far the change of a revision is: how many hosts it concerns, how
// many of them wait, and how long it took until the last one that doesn't. It is
// not known for changes of long ago, or from before the server started.
func (s *Server) Enforced(revision int64) (hosts, waiting int, took time.Duration, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.stopwatch.changes[revision]
	if t == nil {
		return 0, 0, 0, false
	}
	return t.hosts, t.waiting, t.took, true
}

// Current tells whether the host enforces all that concerns it, as far as this
// server has seen.
func (s *Server) Current(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world != nil && s.tracker.current(host)
}

// Revision is the newest of the store that this server has seen; 0 before the first.
func (s *Server) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return 0
	}
	return s.world.Revision()
}

// enforcementTook hands a measurement to who wants to know of all.
func (s *Server) enforcementTook(d time.Duration) {
	if s.OnEnforced != nil {
		s.OnEnforced(d)
	}
}
