package e2e_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// countingTime is how long what the kernel counts may take to the API.
const countingTime = 15 * time.Second

// awaitSeen asks until the answer is as it should be.
func awaitSeen[T any](t *testing.T, what string, ask func(ctx context.Context) (T, error), good func(T) bool) T {
	t.Helper()
	var last T
	for deadline := time.Now().Add(countingTime); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if last, err = ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if good(last) {
			return last
		}
	}
	t.Fatalf("waited in vain: %s; the last answer is %+v", what, last)
	return last
}

func (s *site) instanceID(t *testing.T, name string) string {
	t.Helper()
	all, err := s.client.Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i rest.Instance) bool { return i.Name == name })
	if i < 0 {
		t.Fatalf("there is no instance %s", name)
	}
	return all[i].ID
}

// try makes one probe, which must fare as wanted.
func (s *site) try(t *testing.T, p lab.Probe, want bool) {
	t.Helper()
	s.check(t, []lab.Probe{p}, func(lab.Probe) bool { return want })
}

// watch collects what a stream tells until the test ends.
func (s *site) watch(t *testing.T, params rest.StreamFlowsParams) <-chan client.Watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told, ended, begun := make(chan client.Watched, 10000), make(chan error, 1), make(chan struct{}, 1)
	go func() {
		ended <- s.client.WatchFlows(ctx, params, func(w client.Watched) error {
			if w.Note != "" {
				begun <- struct{}{}
				return nil
			}
			told <- w
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, client.ErrStreamEnded) {
			t.Errorf("stream ended with %v", err)
		}
	})
	select {
	case <-begun:
	case <-time.After(countingTime):
		t.Fatal("the stream does not begin")
	}
	return told
}

// awaitEvent is the next event that matches.
func awaitEvent(t *testing.T, told <-chan client.Watched, match func(rest.FlowEvent) bool) rest.FlowEvent {
	t.Helper()
	for timeout := time.After(countingTime); ; {
		select {
		case w := <-told:
			if w.Event != nil && match(*w.Event) {
				return *w.Event
			}
		case <-timeout:
			t.Fatal("the event does not come")
		}
	}
}

// TestWhatPacketsDoIsSeen follows packets from the kernel to the API: hits of a rule,
// drops with their reason, events, open flows, and what the loaded programs say.
func TestWhatPacketsDoIsSeen(t *testing.T) {
	s := newSite(t)
	s.checkOpen(t)
	s.start(t)
	twoRoles(t, s)
	web := lab.Probe{From: s.guests["a1"].Endpoint, To: s.guests["b2"].Endpoint, Protocol: gabion.TCP, Port: webPort}
	back := lab.Probe{From: s.guests["b2"].Endpoint, To: s.guests["a1"].Endpoint, Protocol: gabion.TCP, Port: webPort}
	b2 := s.instanceID(t, "b2")
	a1 := s.instanceID(t, "a1")
	denied := s.watch(t, rest.StreamFlowsParams{})
	allowed := s.watch(t, rest.StreamFlowsParams{Instance: b2, Verdict: rest.StreamFlowsParamsVerdictAllowed})

	hits := func(ctx context.Context) ([]rest.RuleHit, error) { return s.client.RuleHits(ctx, "") }
	if none, err := hits(t.Context()); err != nil || len(none) != 0 {
		t.Fatalf("before any packet there are hits %v, %v", none, err)
	}
	var event rest.FlowEvent
	for event.Rule == nil { // hosts hear a little later that somebody watches
		s.try(t, web, true)
		select {
		case w := <-allowed:
			if w.Event != nil && w.Event.Direction == rest.FlowDirectionIngress {
				event = *w.Event
			}
		case <-time.After(time.Second):
		}
	}
	if event.RemoteInstance == nil || event.RemoteInstance.ID != a1 || event.Instance.Name != "b2" || event.SecurityGroup == nil ||
		event.SecurityGroup.Name != "servers" || event.LocalPort != webPort || event.Host != "h2" {
		t.Errorf("event of an allowed packet: %+v", event)
	}
	first := awaitSeen(t, "the rule is hit", hits, func(h []rest.RuleHit) bool { return len(h) == 1 && h[0].PacketsLastHour > 0 })
	if first[0].Rule != *event.Rule || first[0].Bytes < first[0].Packets*54 || first[0].LastHitAt == nil {
		t.Errorf("hits %+v, want of rule %s", first, *event.Rule)
	}
	s.try(t, web, true)
	awaitSeen(t, "hits rise", hits, func(h []rest.RuleHit) bool { return h[0].Packets > first[0].Packets })

	s.try(t, back, false)
	e := awaitEvent(t, denied, func(e rest.FlowEvent) bool { return e.Instance.ID == a1 && e.Reason == "denied-ingress" })
	if e.RemoteInstance == nil || e.RemoteInstance.Name != "b2" || e.LocalPort != webPort || e.Verdict != rest.VerdictDrop {
		t.Errorf("event of a denied packet: %+v", e)
	}
	awaitSeen(t, "the drop is counted", func(ctx context.Context) ([]rest.DroppedPackets, error) { return s.client.InstanceDrops(ctx, a1) },
		func(d []rest.DroppedPackets) bool {
			return slices.ContainsFunc(d, func(d rest.DroppedPackets) bool {
				return d.Reason == "denied-ingress" && d.Packets > 0 && d.LastAt != nil
			})
		})
	open, _, err := s.client.OpenFlows(t.Context(), b2)
	if err != nil || !slices.ContainsFunc(open, func(f rest.OpenFlow) bool {
		return f.LocalPort == webPort && f.Rule != nil && *f.Rule == *event.Rule && f.Direction == rest.FlowDirectionIngress
	}) {
		t.Errorf("open flows of b2: %+v, %v", open, err)
	}
	s.explainedTwice(t, first[0].Rule)
	s.receipted(t)
	s.survivesAgents(t, hits)
}

// explainedTwice holds that policy and programs agree, on what passes and what doesn't.
func (s *site) explainedTwice(t *testing.T, rule string) {
	t.Helper()
	port := webPort
	for _, q := range []struct {
		from, to string
		want     bool
	}{{"a1", "b2", true}, {"b2", "a1", false}, {"a2", "b1", true}} {
		e, err := s.client.Explain(t.Context(), rest.ExplainRequest{From: q.from, To: q.to, Protocol: "tcp", Port: &port})
		if err != nil {
			t.Fatal(err)
		}
		if e.Allowed != q.want || e.From.Loaded == nil || e.To.Loaded == nil || !e.From.Loaded.Agrees || !e.To.Loaded.Agrees ||
			string(e.To.Loaded.Verdict) != string(e.To.Verdict) || e.To.Loaded.Reason != e.To.Reason {
			t.Errorf("%s to %s: %+v, loaded %+v and %+v", q.from, q.to, e, e.From.Loaded, e.To.Loaded)
		}
		if q.want && (e.To.Loaded.Rule != rule || e.To.Membership == nil || e.To.Membership.Means != rest.MembershipMeansMember) {
			t.Errorf("%s to %s: %+v and %+v, want rule %s by membership", q.from, q.to, e.To.Loaded, e.To.Membership, rule)
		}
		if !q.want && len(e.To.Nearest) == 0 {
			t.Errorf("%s to %s: no rule is near", q.from, q.to)
		}
	}
}

// survivesAgents holds that totals neither go back nor count twice when an agent and
// the server restart.
func (s *site) survivesAgents(t *testing.T, hits func(context.Context) ([]rest.RuleHit, error)) {
	t.Helper()
	before := settled(t, hits)
	same := func(h []rest.RuleHit) bool { return len(h) == 1 && h[0].Packets == before[0].Packets }
	if err := s.agents["h2"].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.agents["h2"].Start(); err != nil {
		t.Fatal(err)
	}
	if after := settled(t, hits); !same(after) {
		t.Errorf("after a restart of the agent hits are %+v, before %+v", after, before)
	}
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitSeen(t, "hits stay when the server restarts", hits, same)
}

// settled is the answer once everything that was counted is in it: hosts tell every
// three seconds.
func settled(t *testing.T, ask func(context.Context) ([]rest.RuleHit, error)) []rest.RuleHit {
	t.Helper()
	var last []rest.RuleHit
	since := time.Now()
	return awaitSeen(t, "nothing changes any more", ask, func(h []rest.RuleHit) bool {
		if len(h) != len(last) || len(h) > 0 && h[0].Packets != last[0].Packets {
			last, since = h, time.Now()
		}
		return time.Since(since) > 5*time.Second
	})
}

// receipted holds that each host says what it enforces, and how long a change took.
func (s *site) receipted(t *testing.T) {
	t.Helper()
	list, err := s.client.Receipts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Receipts) != 2 {
		t.Fatalf("receipts %+v, want of two hosts", list)
	}
	for _, r := range list.Receipts {
		if !r.Current || r.Since == nil || r.Milliseconds == nil || len(r.PolicyDigest) != 64 || r.ProgramDigest == "" || r.Revision == 0 {
			t.Errorf("receipt %+v", r)
		}
	}
	if a, b := list.Receipts[0], list.Receipts[1]; a.PolicyDigest == b.PolicyDigest || a.ProgramDigest != b.ProgramDigest {
		t.Errorf("hosts of one program and two policies have digests %+v and %+v", a, b)
	}
	groups, err := s.client.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	servers := groups[slices.IndexFunc(groups, func(g rest.SecurityGroup) bool { return g.Name == "servers" })]
	op, err := s.client.UpdateGroup(t.Context(), servers.ID, rest.UpdateSecurityGroupRequest{Name: new("backends")})
	if err == nil {
		op, err = s.client.Wait(t.Context(), op)
	}
	if err != nil || op.Enforcement == nil || op.Enforcement.Hosts != 2 || op.Enforcement.Waiting != 0 || op.Enforcement.Milliseconds == nil {
		t.Errorf("operation %+v %+v %v", op, op.Enforcement, err)
	}
}

// TestAFloodShowsItsLosses sends more first packets that are denied than may be told.
func TestAFloodShowsItsLosses(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	told := s.watch(t, rest.StreamFlowsParams{Instance: s.instanceID(t, "b2")})
	flood := func(ports int) {
		probes := make([]lab.Probe, ports)
		for i := range probes {
			probes[i] = lab.Probe{From: s.guests["a1"].Endpoint, To: s.guests["b2"].Endpoint, Protocol: gabion.UDP, Port: uint16(10_000 + i)}
		}
		s.check(t, probes, func(lab.Probe) bool { return false })
	}
	events, lost := 0, uint64(0)
	for deadline := time.Now().Add(2 * countingTime); lost == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d events came, and no loss was told", events)
		}
		flood(400) // 100 at once and 50 a second are told, of what was not told in the last minute
		for len(told) > 0 {
			if w := <-told; w.Event != nil {
				events++
			} else {
				lost += w.Lost
			}
		}
	}
	t.Logf("%d events came, %d were lost", events, lost)
	if events == 0 {
		t.Error("losses are told, and no event")
	}
}
