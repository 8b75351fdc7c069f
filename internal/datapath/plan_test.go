package datapath_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// sameInKernel compares what the kernel knows of tables.
var sameInKernel = cmp.Options{
	cmpopts.IgnoreFields(datapath.Tables{}, "Rules", "Refused", "Stale", "Origins"),
	cmpopts.IgnoreFields(datapath.Owner{}, "Instance", "Interface"),
	cmpopts.EquateEmpty(),
}

// TestAnyStateToAnyOther plans from one random world to another and arrives there.
func TestAnyStateToAnyOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers{}
		before, after := compileWith(t, drawView(t), n), compileWith(t, drawView(t), n)
		live, err := quiet().Run(before, after, n)
		if err != nil {
			t.Fatal(err)
		}
		// Remote sets that nobody points to stay in their array until reused.
		maps.DeleteFunc(live.RemoteSets, func(number uint32, _ datapath.RemoteSet) bool {
			_, wanted := after.RemoteSets[number]
			return !wanted
		})
		if diff := cmp.Diff(after, live, sameInKernel); diff != "" {
			t.Fatalf("the plan does not arrive (-want +got):\n%s", diff)
		}
		if !datapath.PlanIsEmpty(after, live, n) {
			t.Fatal("arrived, the plan still has something to write")
		}
	})
}

// quiet is a simulation that nobody watches.
func quiet() *datapath.Simulation {
	return &datapath.Simulation{Wrote: func(*datapath.Tables) {}, Waited: func() {}}
}

// TestEveryStepOfAChangeIsOldOrNew is what a packet is promised: whatever has been
// written of a change, it gets the verdict of the policy before or after it.
func TestEveryStepOfAChangeIsOldOrNew(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				old := drawView(t)
				changed := cloneView(old)
				change(t, changed)
				n := numbers{}
				before, after := compileWith(t, old, n), compileWith(t, changed, n)
				questions := rapid.SliceOfN(rapid.Custom(drawQuestion), 40, 40).Draw(t, "questions")
				s := quiet()
				s.Wrote = func(live *datapath.Tables) {
					for _, q := range questions {
						was, is, will := simulate(before, q).pass, simulate(live, q).pass, simulate(after, q).pass
						if is != was && is != will {
							t.Fatalf("%+v: passed before %v, during %v, after %v", q, was, is, will)
						}
					}
				}
				if _, err := s.Run(before, after, n); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestASlowPacketGetsTheVerdictOfAPolicyThatWas spreads the lookups of one packet
// over the writes of several changes. It may meet all that are written until
// somebody waits for it, and must get the verdict of a policy that was in force
// meanwhile, not of a mixture.
func TestASlowPacketGetsTheVerdictOfAPolicyThatWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers{}
		view := drawView(t)
		h := newHistory(compileWith(t, view, n))
		s := &datapath.Simulation{Wrote: h.wrote, Waited: h.waited}
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			view = cloneView(view)
			changes[rapid.SampledFrom(slices.Sorted(maps.Keys(changes))).Draw(t, "change")](t, view)
			after := compileWith(t, view, n)
			h.begin(after)
			if _, err := s.Run(h.last(), after, n); err != nil {
				t.Fatal(err)
			}
		}
		for range 300 {
			h.checkPacket(t, drawQuestion(t))
		}
	})
}

// A packet that finds egress closed has to find its class, too, though the rule that
// closes goes.
func TestEgressThatOpensLosesNoSlowPacket(t *testing.T) {
	n := numbers{}
	closed := oneRule(gabion.Rule{Direction: gabion.Egress, Ports: gabion.PortRange{Start: 1, End: 65535}})
	h := newHistory(compileWith(t, closed, n))
	s := &datapath.Simulation{Wrote: h.wrote, Waited: h.waited}
	h.begin(compileWith(t, oneRule(), n))
	if _, err := s.Run(h.last(), h.current().policies[1], n); err != nil {
		t.Fatal(err)
	}
	q := question{ifindex: 100, direction: gabion.Egress, remote: netip.MustParseAddr("192.0.2.1"), protocol: gabion.TCP, port: 443}
	for _, w := range h.windows {
		for quick := range 8 { // lookups before all is written
			lookups := 0
			got := simulateOver(func() *datapath.Tables {
				if lookups++; lookups <= quick {
					return w.states[0]
				}
				return w.states[len(w.states)-1]
			}, q)
			if !got.pass {
				t.Errorf("dropped after %d lookups, though it may go before and after", quick)
			}
		}
	}
}

// history is what a packet may have met. A window is what was written between two
// waits: a packet's lookups lie within one.
type history struct{ windows []window }

type window struct {
	states   []*datapath.Tables // one after the other
	policies []*datapath.Tables // that were in force, or came into force, during it
}

func newHistory(t *datapath.Tables) *history {
	return &history{windows: []window{{states: []*datapath.Tables{t}, policies: []*datapath.Tables{t}}}}
}

func (h *history) current() *window { return &h.windows[len(h.windows)-1] }

func (h *history) last() *datapath.Tables {
	states := h.current().states
	return states[len(states)-1]
}

func (h *history) begin(policy *datapath.Tables) {
	w := h.current()
	if len(w.states) == 1 {
		// Nothing was written since the wait: only the last policy is in force.
		w.policies = w.policies[len(w.policies)-1:]
	}
	w.policies = append(w.policies, policy)
}

func (h *history) wrote(live *datapath.Tables) {
	h.current().states = append(h.current().states, live.Clone())
}

func (h *history) waited() {
	w := h.current()
	// The change under way, and the one before it, whose verdict may still stand.
	h.windows = append(h.windows, window{
		states:   []*datapath.Tables{h.last()},
		policies: slices.Clone(w.policies[max(0, len(w.policies)-2):]),
	})
}

// checkPacket lets a packet meet any window at any pace.
func (h *history) checkPacket(t *rapid.T, q question) {
	w := h.windows[rapid.IntRange(0, len(h.windows)-1).Draw(t, "window")]
	at := rapid.IntRange(0, len(w.states)-1).Draw(t, "begin")
	got := simulateOver(func() *datapath.Tables {
		at = min(at+rapid.SampledFrom([]int{0, 0, 0, 1, 2, 8}).Draw(t, "pace"), len(w.states)-1)
		return w.states[at]
	}, q)
	for _, policy := range w.policies {
		if simulate(policy, q).pass == got.pass {
			return
		}
	}
	t.Fatalf("%+v: passes %v, and no policy in force meanwhile says so", q, got.pass)
}

// changes are what one call of the API can do to a view.
var changes = map[string]func(*rapid.T, *policy.View){
	"add rules": func(t *rapid.T, v *policy.View) {
		g := drawGroupOf(t, v)
		for n := range rapid.IntRange(1, 3).Draw(t, "new rules") {
			g.Rules = append(g.Rules, drawRule(t, fmt.Sprintf("new-%d", n), g.ID))
		}
	},
	"delete a rule": func(t *rapid.T, v *policy.View) {
		g := drawGroupOf(t, v)
		if len(g.Rules) > 0 {
			at := rapid.IntRange(0, len(g.Rules)-1).Draw(t, "rule")
			g.Rules = slices.Delete(g.Rules, at, at+1)
		}
	},
	"add a source": func(t *rapid.T, v *policy.View) {
		g := drawGroupOf(t, v)
		g.Sources = distinct(append(g.Sources, drawNetwork().Draw(t, "source")))
	},
	"remove the sources": func(t *rapid.T, v *policy.View) { drawGroupOf(t, v).Sources = nil },
	"a member comes": func(t *rapid.T, v *policy.View) {
		if m := drawMember(t, worldMembers); m != nil {
			v.Members[m.Instance] = m
		}
	},
	"a member goes": func(t *rapid.T, v *policy.View) {
		delete(v.Members, fmt.Sprintf("member-%d", rapid.IntRange(0, worldMembers-1).Draw(t, "member")))
	},
	"a member changes groups": func(t *rapid.T, v *policy.View) {
		id := fmt.Sprintf("member-%d", rapid.IntRange(0, worldMembers-1).Draw(t, "member"))
		if m := v.Members[id]; m != nil {
			changed := *m
			changed.Groups = drawGroups(t, changed.Organization)
			v.Members[id] = &changed
		}
	},
	"an instance comes or goes": func(t *rapid.T, v *policy.View) {
		n := rapid.IntRange(0, worldInstances-1).Draw(t, "instance")
		delete(v.Instances, fmt.Sprintf("instance-%d", n))
		if i := drawInstance(t, n); i != nil {
			v.Instances[i.ID] = i
		}
	},
	"an instance changes groups": func(t *rapid.T, v *policy.View) {
		if i := v.Instances[fmt.Sprintf("instance-%d", rapid.IntRange(0, worldInstances-1).Draw(t, "instance"))]; i != nil {
			changed := *i
			changed.Groups = drawGroups(t, changed.Organization)
			v.Instances[i.ID] = &changed
		}
	},
}

func drawGroupOf(t *rapid.T, v *policy.View) *policy.Group {
	return v.Groups[groupID(rapid.IntRange(0, worldGroups-1).Draw(t, "group"))]
}

// cloneView copies deep enough for a change of groups and of what the maps hold.
func cloneView(v *policy.View) *policy.View {
	c := policy.NewView()
	maps.Copy(c.Instances, v.Instances)
	maps.Copy(c.Members, v.Members)
	for id, g := range v.Groups {
		copied := *g
		copied.Rules = slices.Clone(g.Rules)
		copied.Sources = slices.Clone(g.Sources)
		c.Groups[id] = &copied
	}
	return c
}
