package feed_test

import (
	"log/slog"
	"testing"

	"github.com/gabion/gabion/internal/feed"
)

// Who asks before the first snapshot of the store is told that nothing is known.
func TestNothingIsKnownBeforeTheFirstSnapshot(t *testing.T) {
	s := feed.NewServer(newMemory(), nil, slog.New(slog.DiscardHandler))
	if _, _, _, known := s.Enforced(1); known {
		t.Error("how far a change is is known")
	}
	if s.Current("hv1") || s.Revision() != 0 || s.Problem("hv1") != "" || s.Ready() == nil {
		t.Errorf("current %t, revision %d, problem %q, ready %v", s.Current("hv1"), s.Revision(), s.Problem("hv1"), s.Ready())
	}
}
