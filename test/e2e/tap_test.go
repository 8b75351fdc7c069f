package e2e_test

import (
	"fmt"
	"testing"
)

// A machine's segments come to its tap in one piece of up to 64 KB, most of which
// the programs can't see at once. They pass like small ones, and are cut like them.
func TestSegmentsInOnePiece(t *testing.T) {
	const size, segment = 20_000, 1400
	for _, ipv6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("IPv6=%t", ipv6), func(t *testing.T) {
			s := newSite(t)
			tap, err := s.lab.Hosts()[0].AddTap("c1")
			if err != nil {
				t.Fatal(err)
			}
			k := newTalker(tap, s.guests["b2"], ipv6, 40_000)
			if !k.open(t) || !k.acknowledges(t, size, segment) {
				t.Fatal("unfiltered, they don't arrive")
			}
			s.start(t)
			s.run(
				t, "group create all", "rule add all --protocol tcp --port 80 --from all",
				fmt.Sprintf("instance create c1 --host h1 --interface %s --mac %s --ip %s,%s --group all", tap.Interface, tap.MAC, tap.Addr4, tap.Addr6),
			)
			s.register(t, "all", "b2")
			k = newTalker(tap, s.guests["b2"], ipv6, 40_001)
			if !k.open(t) || !k.acknowledges(t, size, segment) {
				t.Error("they don't arrive though the rule is there")
			}
			k.next += size
			s.run(t, "rule delete all "+s.ruleID(t, "all", webPort))
			if k.acknowledges(t, size, segment) {
				t.Error("they arrive though the rule is gone")
			}
		})
	}
}
