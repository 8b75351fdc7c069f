package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestForeignIDsTakeTheSameWork counts what the store reads for an id of another
// organization, and for one of nobody: who measures time finds no difference.
func TestForeignIDsTakeTheSameWork(t *testing.T) {
	r := start(t)
	organization, owner := r.newOrganization(t, "owner")
	theirs := owner.belongings(t, organization)
	_, stranger := r.newOrganization(t, "stranger")
	stranger.belongings(t, "")
	asked := 0
	for _, o := range operations(t) {
		if !strings.Contains(o.Path, "{") || strings.Contains(o.Path, "{name}") || alike[o.OperationID] {
			continue
		}
		asked++
		work := func(b belongings) float64 {
			return leastReads(t, func() { stranger.say(t, o.Method, b.in(o.Path), bodies[o.OperationID]) })
		}
		if foreign, none := work(theirs), work(gone); foreign != none || none == 0 {
			t.Errorf("%s reads %v times for another's id, %v times for nobody's", o.OperationID, foreign, none)
		}
	}
	if asked < 30 {
		t.Errorf("only %d operations were asked for", asked)
	}
}

// leastReads is how often the store is read meanwhile: the least of some tries,
// since the server reads for itself now and then.
func leastReads(t *testing.T, do func()) float64 {
	t.Helper()
	var all []float64
	for range 5 {
		before := reads(t)
		do()
		all = append(all, reads(t)-before)
	}
	return slices.Min(all)
}

// reads is how often etcd, which is in this process, was read.
func reads(t *testing.T) (n float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "etcd_mvcc_range_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			n += metric.GetCounter().GetValue()
		}
	}
	return n
}
