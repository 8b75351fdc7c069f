package datapath_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
)

var questions = flag.Int("questions", 10_000, "how many random questions programs and evaluator are asked")

// TestProgramsAndEvaluatorAnswerAlike asks random questions about random policies.
func TestProgramsAndEvaluatorAnswerAlike(t *testing.T) {
	h := newHost(t)
	links := map[string]int{}
	for n := range worldInstances {
		links[interfaceName(n)] = addInterface(t, interfaceName(n))
	}
	const perView = 500
	worlds := rapid.Custom(drawView)
	passed, took := 0, time.Duration(0)
	for n := 0; n < *questions; n += perView {
		view := worlds.Example(n)
		view.Revision = int64(n + 1)
		if err := h.Apply(t.Context(), view, links); err != nil && !isPartial(err) {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for range perView {
			i, q := randomQuestion(random, view)
			if i == nil {
				continue
			}
			want := view.Decide(i, policy.Question{
				Direction: q.Direction, Remote: q.Remote, Protocol: q.Protocol, Port: q.Port, Type: q.Type, Code: q.Code,
			})
			begun := time.Now()
			got, err := h.Ask(q)
			took += time.Since(begun)
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			if got.Reason != want.Reason {
				t.Fatalf("view %d, %+v: the programs say %s %s, the evaluator says %s", n, q, got.Reason, got.Rule, want.Reason)
			}
			if got.Reason.Verdict() == gabion.Pass {
				passed++
			}
		}
	}
	t.Logf("%d questions, of which %d passed, %s each, 0 differences", *questions, passed, took/time.Duration(*questions))
	if passed == 0 || passed >= *questions {
		t.Error("the questions could not tell a difference")
	}
	h.leftNoTrace(t)
}

// randomQuestion is about one of the view's instances; nil if there is none.
func randomQuestion(r *rand.Rand, v *policy.View) (*gabion.Instance, datapath.Question) {
	i := v.Instances[instanceName(r.IntN(worldInstances))]
	if i == nil {
		return nil, datapath.Question{}
	}
	remotes := []string{"10.0.0.1", "10.0.0.2", "10.0.1.1", "11.0.0.1", "203.0.113.9", "2001:db8::1", "2001:db8::2", "2001:db9::1"}
	q := datapath.Question{
		Instance: i.ID, Direction: gabion.Direction(r.IntN(2)), Remote: netip.MustParseAddr(remotes[r.IntN(len(remotes))]),
		Local: i.NICs[0].Addresses[0],
	}
	protocols := []gabion.Protocol{gabion.TCP, gabion.TCP, gabion.UDP, gabion.ICMP, gabion.GRE, gabion.ESP, gabion.AH, gabion.IPIP}
	q.Protocol = protocols[r.IntN(len(protocols))]
	if q.Remote.Is6() {
		q.Local = i.NICs[0].Addresses[1]
		if q.Protocol == gabion.ICMP {
			q.Protocol = gabion.ICMPv6
		}
	}
	ports := []uint16{1, 2, 21, 22, 23, 79, 80, 81, 443, 1023, 1024, 32767, 32768, 65534, 65535}
	switch {
	case q.Protocol.HasPorts():
		q.Port = ports[r.IntN(len(ports))]
	case q.Protocol == gabion.ICMP:
		q.Type, q.Code = []uint8{0, 3, 8, 11, 13}[r.IntN(5)], uint8(r.IntN(5))
	case q.Protocol == gabion.ICMPv6:
		q.Type, q.Code = []uint8{1, 3, 128, 129}[r.IntN(4)], uint8(r.IntN(5))
	}
	return i, q
}

// leftNoTrace holds that asking has changed nothing that anybody could see.
func (h *host) leftNoTrace(t *testing.T) {
	t.Helper()
	flows, err := h.CountFlows()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := h.RuleTotals()
	if err != nil {
		t.Fatal(err)
	}
	drops, err := h.DropTotals()
	if err != nil {
		t.Fatal(err)
	}
	if flows != 0 || len(rules) != 0 || len(drops) != 0 {
		t.Errorf("questions left %d flows, hits %v and drops %v", flows, rules, drops)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // what is in the ring is read at once
	defer cancel()
	told := false
	_ = h.Events(ctx, func(datapath.Event) { told = true })
	if told {
		t.Error("questions left events")
	}
}

// TestAnAskedConnectionIsNoFlow is the control: a packet leaves what a question must not.
func TestAnAskedConnectionIsNoFlow(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	view := oneRule(gabion.Rule{Direction: gabion.Egress, Ports: gabion.PortRange{Start: 5353, End: 5353}})
	rule := &view.Groups["group-0"].Rules[0]
	rule.Protocol = gabion.UDP
	nic := &view.Instances["instance-0"].NICs[0]
	nic.MAC = gabion.MAC{2, 0, 0, 0, 0, 1}
	h.apply(t, view, links)
	q := datapath.Question{
		Instance: "instance-0", Direction: gabion.Egress, Protocol: gabion.UDP, Port: 5353,
		Local: nic.Addresses[0], Remote: netip.MustParseAddr("203.0.113.7"),
	}
	for range 3 {
		got, err := h.Ask(q)
		if diff := cmp.Diff(datapath.Answer{Reason: gabion.PassRule, Rule: rule.ID}, got); diff != "" || err != nil {
			t.Fatalf("answer (-want +got):\n%s%v", diff, err)
		}
	}
	h.leftNoTrace(t)

	guest := setUp(t, "tap0", "tap0p") // not before: a kernel speaks of itself on what is up
	if err := h.TellAllowed(true); err != nil {
		t.Fatal(err)
	}
	told := make(chan datapath.Event, 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Events(ctx, func(e datapath.Event) { told <- e }) }()
	send(t, guest, udp(nic.MAC[:], nic.Addresses[0].AsSlice(), 5353))
	if e := awaitEvent(t, told, gabion.PassRule); e.Rule != rule.ID || e.Remote.Port() != 5353 {
		t.Errorf("told %+v", e)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("events ended with %v", err)
	}
	flows, more, err := h.OpenFlows("instance-0", 10)
	if err != nil || more || len(flows) != 1 || flows[0].Rule != rule.ID || flows[0].Direction != gabion.Egress || flows[0].State != "half-open" {
		t.Errorf("open flows %+v %v %v", flows, more, err)
	}
	if flows, more, err := h.OpenFlows("instance-0", 0); err != nil || !more || len(flows) != 0 {
		t.Errorf("no flows asked for: %v %v %v", flows, more, err)
	}
	totals, err := h.RuleTotals()
	if err != nil || len(totals) != 1 || totals[0].Packets != 1 {
		t.Errorf("totals %+v %v", totals, err)
	}
	before := totals[0]
	h.reopen(t)
	h.apply(t, view, links)
	if totals, err = h.RuleTotals(); err != nil || len(totals) != 1 || totals[0] != before {
		t.Errorf("after a restart the totals are %+v %v, want %+v", totals, err, before)
	}
}

func instanceName(n int) string { return "instance-" + string(rune('0'+n)) }

func isPartial(err error) bool {
	partial := new(datapath.PartialError)
	return errors.As(err, &partial)
}
