package e2e_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/test/forge"
)

// Forged frames arrive where nothing is filtered, and nowhere else: neither on the
// sender's host nor on another, whatever the rules allow.
func TestForgedFramesArriveNowhere(t *testing.T) {
	s := newSite(t)
	s.checkForged(t, true)
	for _, g := range s.lab.Guests() {
		if err := g.ForgetNeighbours(); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t)
	s.run(
		t, "group create open",
		"rule add open --protocol icmp --from 0.0.0.0/0", "rule add open --protocol icmpv6 --from ::/0",
		"rule add open --protocol tcp --from 0.0.0.0/0,::/0", "rule add open --protocol udp --from 0.0.0.0/0,::/0",
	)
	s.register(t, "open", "a1", "a2", "b1", "b2")
	s.checkOpen(t)
	s.checkForged(t, false)
	s.checkOpen(t)
}

func (s *site) checkForged(t *testing.T, seen bool) {
	t.Helper()
	all := slices.Concat(forge.Link, forge.Network)
	want, got := map[string]bool{}, map[string]bool{}
	for _, victim := range []string{"b1", "b2"} {
		arrived, err := forge.Seen(t.Context(), s.guests["a1"], s.guests[victim], all...)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range all {
			name := f.Name + ", seen by " + victim
			want[name], got[name] = seen, arrived[i]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("forged frames (-want +got):\n%s", diff)
	}
}
