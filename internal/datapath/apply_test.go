package datapath_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestApplyArrivesAndStays(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	view := oneRule(gabion.Rule{}, gabion.Rule{Peer: gabion.Peer{Group: "group-0"}})
	view.Members["m"] = &policy.Member{
		Instance: "m", Organization: "org-a", Groups: []string{"group-0"},
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")},
	}

	h.apply(t, view, links)
	h.check(t)
	if h.writes.n == 0 {
		t.Fatal("the first policy took no writes")
	}
	h.apply(t, view, links)
	if h.writes.n != 0 {
		t.Errorf("the same policy again took %d writes", h.writes.n)
	}

	h.reopen(t)
	h.apply(t, view, links)
	if h.writes.n != 0 {
		t.Errorf("the same policy after a restart took %d writes", h.writes.n)
	}
	h.check(t)
}

// TestAnyStateToAnyOtherInTheKernel goes through random policies, with restarts.
func TestAnyStateToAnyOtherInTheKernel(t *testing.T) {
	h := newHost(t)
	links := map[string]int{}
	for n := range worldInstances {
		links[interfaceName(n)] = addInterface(t, interfaceName(n))
	}
	rapid.Check(t, func(r *rapid.T) {
		if rapid.IntRange(0, 9).Draw(r, "restart") == 0 {
			h.reopen(t)
		}
		view := drawView(r)
		h.apply(r, view, links)
		h.check(r)
		h.apply(r, view, links)
		if h.writes.n != 0 {
			r.Fatalf("the same policy again took %d writes", h.writes.n)
		}
	})
	h.apply(t, policy.NewView(), links)
	h.check(t)
	ids, err := h.MapIDs()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 10+5 {
		t.Errorf("an empty policy has %d maps, want 10 and a stub in each of 5", len(slices.Compact(ids)))
	}
}

// TestWhatTakesHasFlowsJudgedAgain holds who is judged again, and that what only
// gives disturbs nobody.
func TestWhatTakesHasFlowsJudgedAgain(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	member := &policy.Member{Instance: "m", Organization: "org-a", Groups: []string{"group-0"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	few := func() *policy.View { return oneRule(gabion.Rule{ID: "a", Peer: gabion.Peer{Group: "group-0"}}) }
	more := oneRule(gabion.Rule{ID: "a", Peer: gabion.Peer{Group: "group-0"}}, gabion.Rule{ID: "b", Ports: gabion.PortRange{Start: 22, End: 22}})
	withMember, closed := few(), few()
	withMember.Members["m"] = member
	closed.Groups["group-0"].Rules = append(closed.Groups["group-0"].Rules, gabion.Rule{
		ID: "e", Direction: gabion.Egress, Protocol: gabion.UDP, Peer: gabion.Peer{Group: "group-0"},
	})

	for _, step := range []struct {
		name  string
		view  *policy.View
		bumps bool
	}{
		{"the first policy after a start", few(), true},
		{"the same again", few(), false},
		{"a rule more", more, false},
		{"a rule less", few(), true},
		{"a member more", withMember, false},
		{"a member less", few(), true},
		{"the first egress rule", closed, true},
		{"no egress rule", few(), true}, // its policy is taken; that egress opens is not looked at
	} {
		before := h.epoch(t)
		h.apply(t, step.view, links)
		if got := h.epoch(t) != before; got != step.bumps {
			t.Errorf("%s: judged again %v, want %v", step.name, got, step.bumps)
		}
	}
}

// epoch is the sum of all epochs: it moves if any does.
func (h *host) epoch(t *testing.T) (sum uint32) {
	t.Helper()
	for slot := range uint32(8) {
		epoch, err := h.Epoch(slot)
		if err != nil {
			t.Fatal(err)
		}
		sum += epoch
	}
	return sum
}

// TestWhatDoesNotFitLeavesWhatWas of that set of groups, while others change.
func TestWhatDoesNotFitLeavesWhatWas(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0"), "tap1": addInterface(t, "tap1")}
	port := func(id string, first, last uint16) gabion.Rule {
		return gabion.Rule{ID: id, Ports: gabion.PortRange{Start: first, End: last}}
	}
	large := port("b", 1, 65534) // 30 entries
	h.apply(t, beside(oneRule(port("a", 22, 22)), port("c", 80, 80)), links)

	for n, c := range []struct {
		name  string
		limit int
	}{
		{"policies", 29},
		{"old and new together", 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.SetLimits(func(l *datapath.Limits) { l.Policies = c.limit })
			view := beside(oneRule(large), port("d", uint16(81+n), uint16(81+n)))
			for _, attempt := range []string{"first", "second"} {
				h.writes.n = 0
				var partial *datapath.PartialError
				if err := h.Apply(context.Background(), view, links); !errors.As(err, &partial) || !partial.Stale || gabion.CodeOf(err) != gabion.CodeLimit {
					t.Fatalf("error %v, want that something is stale", err)
				}
				if wrote := h.writes.n > 0; wrote != (attempt == "first") {
					t.Errorf("the %s attempt took %d writes", attempt, h.writes.n)
				}
			}
			h.check(t)
			h.wantRules(t, "a", "d")
		})
	}
	h.SetLimits(func(l *datapath.Limits) { l.Policies = 31 })
	if err := h.Apply(context.Background(), oneRule(large), links); err != nil {
		t.Error(err)
	}
	h.check(t)
	h.wantRules(t, "b")
}

// TestWhatDoesNotFitAfterARestartIsClosed, until it fits.
func TestWhatDoesNotFitAfterARestartIsClosed(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0"), "tap1": addInterface(t, "tap1")}
	view := beside(oneRule(gabion.Rule{ID: "a"}, gabion.Rule{ID: "b", Ports: gabion.PortRange{Start: 1, End: 65534}}), gabion.Rule{ID: "c"})
	h.apply(t, view, links)
	h.wantRules(t, "a", "b", "c")
	h.reopen(t)
	h.SetLimits(func(l *datapath.Limits) { l.Policies = 30 })
	h.apply(t, view, links)
	h.check(t)
	h.wantRules(t, "c")
	h.apply(t, beside(oneRule(gabion.Rule{ID: "a"}), gabion.Rule{ID: "c"}), links)
	h.check(t)
	h.wantRules(t, "a", "c")
}

// wantRules holds which rules are in force, by what they are called.
func (h *host) wantRules(t *testing.T, want ...string) {
	t.Helper()
	actual, err := h.Actual()
	if err != nil {
		t.Fatal(err)
	}
	named, got := h.Expected().Rules, map[string]bool{}
	for _, set := range actual.PolicySets {
		for _, slot := range set.Policies {
			got[named[slot]] = true
		}
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("rules in force (-want +got):\n%s", diff)
	}
}

// TestARecreatedInterfaceIsAttachedAnew: its pinned link looks alive, and filters nothing.
func TestARecreatedInterfaceIsAttachedAnew(t *testing.T) {
	h := newHost(t)
	view := oneRule(gabion.Rule{})
	for range 3 {
		ifindex := addInterface(t, "tap0")
		h.apply(t, view, map[string]int{"tap0": ifindex})
		h.check(t)
		h.wantPins(t, fmt.Sprintf("%d-from_instance", ifindex), fmt.Sprintf("%d-to_instance", ifindex))
		wantPrograms(t, ifindex, 2)
		deleteInterface(t, "tap0")
	}
	h.apply(t, view, nil)
	h.check(t)
	h.wantPins(t)
}

// TestAnInterfaceOutlivesItsInstance and drops everything while it does.
func TestAnInterfaceOutlivesItsInstance(t *testing.T) {
	h := newHost(t)
	ifindex := addInterface(t, "tap0")
	links := map[string]int{"tap0": ifindex}
	h.apply(t, oneRule(), links)
	h.apply(t, policy.NewView(), links)
	h.check(t)
	wantPrograms(t, ifindex, 2)
	if n := len(h.Expected().NICs); n != 0 {
		t.Errorf("%d NICs are left", n)
	}
}

func TestARemovedPinIsRestored(t *testing.T) {
	h := newHost(t)
	ifindex := addInterface(t, "tap0")
	links := map[string]int{"tap0": ifindex}
	pin := fmt.Sprintf("%d-from_instance", ifindex)
	h.apply(t, oneRule(), links)
	if err := os.Remove(filepath.Join(h.dir, "links", pin)); err != nil {
		t.Fatal(err)
	}
	wantPrograms(t, ifindex, 2)
	h.apply(t, oneRule(), links)
	h.wantPins(t, pin, fmt.Sprintf("%d-to_instance", ifindex))
	h.reopen(t)
	wantPrograms(t, ifindex, 2)
}

func TestAnInterfaceThatJustWentIsNoError(t *testing.T) {
	h := newHost(t)
	if err := h.Apply(context.Background(), oneRule(), map[string]int{"tap0": 4711}); err != nil {
		t.Error(err)
	}
	if n := len(h.Expected().NICs); n != 0 {
		t.Errorf("%d NICs, want none", n)
	}
}

func TestOneAgentPerDirectory(t *testing.T) {
	h := newHost(t)
	if d, err := datapath.Open(datapath.Config{Dir: h.dir, Log: slog.New(h.writes)}); err == nil {
		d.Close()
		t.Error("a second agent opened the directory")
	}
	if err := datapath.Remove(h.dir); err == nil {
		t.Error("the directory of a running agent was removed")
	}
}

func (h *host) wantPins(t *testing.T, want ...string) {
	t.Helper()
	pins, err := os.ReadDir(filepath.Join(h.dir, "links"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pins {
		got = append(got, p.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pinned links (-want +got):\n%s", diff)
	}
}
