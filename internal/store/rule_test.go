package store_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
)

func TestRulesComeBackAsStoredInOrder(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	any4, any6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	want := []gabion.Rule{
		{Protocol: gabion.UDP, Peer: gabion.Peer{Network: any6}, Description: "every port"},
		port(443, "0.0.0.0/0"),
		port(22, web),
		{Protocol: gabion.ICMP, ICMP: gabion.AnyICMP, Peer: gabion.Peer{Network: any4}},
		{Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{}, Peer: gabion.Peer{Network: any4}, Description: "echo reply"},
		{Direction: gabion.Egress, Protocol: gabion.GRE, Peer: gabion.Peer{Network: any4}},
	}
	must(t, only(w.AddRules(t.Context(), w.org, web, want[:4])))
	must(t, only(w.AddRules(t.Context(), w.org, web, want[4:])))
	got, err := w.GroupRules(t.Context(), w.org, web)
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gabion.Rule{}, "ID", "Group"), cmp.Comparer(samePrefix)); diff != "" {
		t.Error(diff)
	}
}

func TestEqualRuleIsRefusedWithTheOthersID(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	id := w.rule(web, port(22, "0.0.0.0/0"))
	again := port(22, "0.0.0.0/0")
	again.Description = "the same all the same"
	refused(t, only(w.AddRules(t.Context(), w.org, web, []gabion.Rule{again})), gabion.CodeConflict, id)
	twice := []gabion.Rule{port(23, "0.0.0.0/0"), port(23, "0.0.0.0/0")}
	refused(t, only(w.AddRules(t.Context(), w.org, web, twice)), gabion.CodeConflict)

	rules, err := w.GroupRules(t.Context(), w.org, web)
	must(t, err)
	if len(rules) != 1 {
		t.Errorf("a refused change left %v", rules)
	}
	must(t, only(w.DeleteRule(t.Context(), w.org, web, id)))
	w.rule(web, again)
}

func TestRuleNeedsItsGroups(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	refused(t, only(w.AddRules(t.Context(), w.org, "none", []gabion.Rule{port(22, web)})), gabion.CodeNotFound, "none")
	refused(t, only(w.AddRules(t.Context(), w.org, web, []gabion.Rule{port(22, "none")})), gabion.CodeNotFound, "none")
	refused(t, only(w.AddRules(t.Context(), w.org, web, []gabion.Rule{{Protocol: gabion.TCP}})), gabion.CodeInvalid, "network")
	refused(t, only(w.DeleteRule(t.Context(), w.org, web, "none")), gabion.CodeNotFound, "none")
}
