package datapath_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
)

// formerly closes the datapath and makes its maps those of an agent with another layout.
func (h *host) formerly(t *testing.T) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	pins, err := filepath.Glob(filepath.Join(h.dir, "*_v2"))
	if err != nil || len(pins) == 0 {
		t.Fatalf("pins %v, error %v", pins, err)
	}
	for _, pin := range pins {
		if err := os.Rename(pin, strings.TrimSuffix(pin, "2")+"1"); err != nil {
			t.Fatal(err)
		}
	}
}

func tcpFlow(port uint16, direction gabion.Direction, state string, settled bool) datapath.Flow {
	return datapath.Flow{
		Port: port, Direction: direction, State: state, Settled: settled, Epoch: 1, Rule: 1,
		End: [2]uint32{1, 2}, Ack: [2]uint32{3, 4},
		Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("192.0.2.2"),
	}
}

// TestFlowsOfAnotherLayoutAreTakenOver, to be judged by the policy of now at their next packet.
func TestFlowsOfAnotherLayoutAreTakenOver(t *testing.T) {
	flows := []datapath.Flow{
		tcpFlow(1, gabion.Egress, "established", true),
		tcpFlow(2, gabion.Ingress, "closing", true),
		tcpFlow(3, gabion.Egress, "half-open", false),
		tcpFlow(4, gabion.Egress, "syn-ack", false),
	}
	expired := tcpFlow(5, gabion.Egress, "established", true)
	expired.Idle = 3 * time.Hour
	learned := netip.MustParseAddr("fe80::1234")
	for _, c := range []struct {
		name   string
		remove string // of the former maps
		want   int
	}{
		{"flows stay", "", len(flows)},
		{"control: nobody knows whose they were", "ids_v1", 0},
		{"control: they are gone", "flows_v1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.remove != "" {
				t.Skip("no fault is planted for a control")
			}
			h := openHost(t)
			links := map[string]int{"tap0": addInterface(t, "tap0")}
			h.apply(t, oneRule(gabion.Rule{}), links)
			if err := h.Learn(learned); err != nil {
				t.Fatal(err)
			}
			if err := h.PutFlow(expired); err != nil {
				t.Fatal(err)
			}
			want := map[uint16]datapath.Flow{}
			for _, f := range flows {
				if err := h.PutFlow(f); err != nil {
					t.Fatal(err)
				}
				f.Settled, f.Epoch, f.Rule = true, 0, 0
				want[f.Port] = f
			}
			h.formerly(t)
			if c.remove != "" {
				if err := os.Remove(filepath.Join(h.dir, c.remove)); err != nil {
					t.Fatal(err)
				}
			}
			h.open(t)
			h.apply(t, oneRule(gabion.Rule{}), links)
			got, err := h.SettledFlows()
			if err != nil || len(got) != c.want {
				t.Fatalf("%d flows, error %v; want %d", len(got), err, c.want)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); c.want > 0 && diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
			if a, err := h.Learned(); err != nil || (a == learned) != (c.want > 0) {
				t.Errorf("learned %v, error %v", a, err)
			}
			h.check(t)
		})
	}
}

// TestMapsOfAFormerLayoutAreReplaced: they decide until the policy is in ours, and then nothing of them is left.
func TestMapsOfAFormerLayoutAreReplaced(t *testing.T) {
	h := newHost(t)
	ifindex := addInterface(t, "tap0")
	h.apply(t, oneRule(gabion.Rule{}), map[string]int{"tap0": ifindex})
	before := programsOf(t, ifindex)
	h.formerly(t)
	h.open(t)
	if diff := cmp.Diff(before, programsOf(t, ifindex), cmp.AllowUnexported(attachment{})); diff != "" {
		t.Errorf("before there is a policy, other programs decide:\n%s", diff)
	}
	h.apply(t, oneRule(gabion.Rule{}), map[string]int{"tap0": ifindex})
	for i, after := range programsOf(t, ifindex) {
		if after.link != before[i].link || after.program == before[i].program {
			t.Errorf("link %d runs program %d, before it was link %d and program %d", after.link, after.program, before[i].link, before[i].program)
		}
	}
	if former, err := filepath.Glob(filepath.Join(h.dir, "*_v1")); err != nil || len(former) != 0 {
		t.Errorf("left of the former layout: %v, error %v", former, err)
	}
	if drift, err := h.Audit(); err != nil || len(drift) != 0 {
		t.Errorf("drift %v, error %v", drift, err)
	}
}

// TestFormerProgramsDecideMeanwhile what ours don't know, and nothing else.
func TestFormerProgramsDecideMeanwhile(t *testing.T) {
	h := openHost(t)
	ifindex := addInterface(t, "tap0")
	links := map[string]int{"tap0": ifindex}
	h.apply(t, oneRule(), links)
	asked := tcpFlow(1, gabion.Egress, "established", true)
	revoked := tcpFlow(2, gabion.Ingress, "established", true)
	unknown := tcpFlow(3, gabion.Ingress, "", false)
	for _, f := range []datapath.Flow{asked, revoked} {
		f.Epoch = 0
		if err := h.PutFlow(f); err != nil {
			t.Fatal(err)
		}
	}
	passing := func(when string, want ...bool) {
		t.Helper()
		for i, packet := range []struct {
			flow  datapath.Flow
			first bool
		}{{asked, false}, {revoked, false}, {unknown, false}, {unknown, true}} {
			got, err := h.Passes(packet.flow, packet.first, ifindex)
			if err != nil {
				t.Fatal(err)
			}
			if got != want[i] {
				t.Errorf("%s, packet %d: passes is %t", when, i, got)
			}
		}
	}
	passing("at first", true, false, false, false)
	h.formerly(t)
	h.open(t)
	passing("without a policy", false, false, false, false)
	if err := h.AskFormer(); err != nil {
		t.Fatal(err)
	}
	passing("while former programs are asked", true, false, false, false)
	if err := h.LeaveFormer(); err != nil {
		t.Fatal(err)
	}
	passing("when they are not any more", false, false, false, false)
	h.apply(t, oneRule(), links)
	passing("with its flow taken over", true, false, false, false)
}

// TestATakeoverThatBreaksOffIsBegunAgain by the next agent.
func TestATakeoverThatBreaksOffIsBegunAgain(t *testing.T) {
	h := newHost(t)
	ifindex := addInterface(t, "tap0")
	links := map[string]int{"tap0": ifindex}
	h.apply(t, oneRule(), links)
	flow := tcpFlow(1, gabion.Egress, "established", true)
	if err := h.PutFlow(flow); err != nil {
		t.Fatal(err)
	}
	h.formerly(t)
	h.open(t)
	if err := h.TakeOverHalfway(oneRule(), links); err != nil {
		t.Fatal(err)
	}
	h.reopen(t)
	h.apply(t, oneRule(), links)
	if passes, err := h.Passes(flow, false, ifindex); err != nil || !passes {
		t.Errorf("the flow passes: %t, error %v", passes, err)
	}
	if former, err := filepath.Glob(filepath.Join(h.dir, "*_v1")); err != nil || len(former) != 0 {
		t.Errorf("left of the former layout: %v, error %v", former, err)
	}
	h.check(t)
	if drift, err := h.Audit(); err != nil || len(drift) != 0 {
		t.Errorf("drift %v, error %v", drift, err)
	}
}
