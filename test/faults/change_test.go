package faults_test

import (
	"slices"
	"testing"
	"time"
)

// Any number of changes, one after the other in four groups at once, each of them
// enforced before the next of its group: no packet is between two of them.
func TestRulesChange(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	traffic := s.startTraffic(t)
	churn := s.startChurn(t, int64(times(40, 10_000)))
	churn.wait(t)
	r.packets(traffic)
	r.converged(s, churn)
	var took []time.Duration
	for _, w := range churn.writers {
		took = slices.Concat(took, w.took)
	}
	r.say("from a change to enforced p50 %s, p99 %s", rounded(quantile(took, 0.5)), rounded(quantile(took, 0.99)))
}
