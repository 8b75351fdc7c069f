package feed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// What a host may make up, whoever has its certificate: nothing that grows here, nothing
// of interfaces that its instances do not have, no names of other organizations than
// the instance's, and no text that a terminal would obey.

func TestCountersOfInterfacesThatAreNotThereAreIgnored(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one := talker(t, z, "hv1")
	counters := &feedpb.Counters{}
	add := func(name string) {
		counters.Drops = append(counters.Drops, &feedpb.DropCounter{Instance: "one", Interface: name, Reason: uint32(gabion.DropVLAN), Life: 1, Packets: 2})
	}
	for i := range 1000 {
		add(fmt.Sprint("made-up-", i))
	}
	add("tap-one")
	say(t, one, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: counters}})
	var drops []flow.Drop
	eventually(t, "drops are counted", func() bool {
		var err error
		drops, err = z.server.Drops(t.Context(), "one")
		return err == nil && len(drops) > 0
	})
	if len(drops) != 1 || drops[0].Interface != "tap-one" {
		t.Errorf("%d interfaces are counted, the first is %q; want tap-one alone", len(drops), drops[0].Interface)
	}
}

// What a host says beyond its pace waits at its end: it costs the server no more.
func TestHostThatSaysTooMuchIsHeldBack(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one, two := talker(t, z, "hv1"), talker(t, z, "hv2")
	awaitInSync(t, one)
	awaitInSync(t, two)
	counters := func(rule string) *feedpb.AgentMessage {
		c := &feedpb.Counters{Rules: []*feedpb.RuleCounter{{Rule: rule, Life: 1, Packets: 1}}}
		return &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: c}}
	}
	const beyond = feed.PacePerSecond / 2
	begun := time.Now()
	for range feed.PaceAtOnce + beyond {
		say(t, one, counters("made-up"))
	}
	say(t, one, counters("r"))
	packets := func() uint64 {
		hits, err := z.server.Hits(t.Context(), []string{"r"})
		if err != nil {
			t.Fatal(err)
		}
		return hits["r"].Packets
	}
	say(t, two, counters("r"))
	eventually(t, "the other host is heard", func() bool { return packets() > 0 })
	eventually(t, "the host is heard in the end", func() bool { return packets() == 2 })
	if took, least := time.Since(begun), beyond*time.Second/feed.PacePerSecond; took < least {
		t.Errorf("all was heard after %s, which is less than %s", took, least)
	}
}

// An organization that asks a host all the time keeps no other from asking.
func TestQuestionsOfOneOrganizationLeaveRoom(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one := talker(t, z, "hv1")
	awaitWatch(t, one)
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	ask := func(instance string) *feedpb.Ask {
		asking.Go(func() { _, _, _ = z.server.OpenFlows(ctx, "hv1", instance, 1) })
		for {
			m, err := one.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if m.GetAsk() != nil {
				return m.GetAsk()
			}
		}
	}
	for range feed.MaxAsksOfOne {
		ask("one")
	}
	if _, _, err := z.server.OpenFlows(ctx, "hv1", "one", 1); gabion.CodeOf(err) != gabion.CodeUnavailable || !strings.Contains(err.Error(), "too much") {
		t.Errorf("one more question of the same organization: %v", err)
	}
	if got := ask("stranger").GetOpenFlows().GetInstance(); got != "stranger" {
		t.Errorf("the host was asked about %q, want the other organization's", got)
	}
}

func TestEventsNameOneOrganization(t *testing.T) {
	m := crowded()
	m.commit(policy.Change{Rules: []*gabion.Rule{rule("theirs-22", "theirs", 22)}})
	z := newZone(t, m, "hv1", "hv2")
	one := talker(t, z, "hv1")
	awaitWatch(t, one)
	w := z.server.Watch(flow.Filter{Organization: "o", Denied: true, Allowed: true})
	defer z.server.Unwatch(w)
	awaitWatch(t, one)
	foreign := sighting("one", gabion.PassRule, "10.0.0.2")
	foreign.Rule = "theirs-22"
	elsewhere, escape := sighting("one", gabion.PassRule, "10.0.0.2"), sighting("one", gabion.PassRule, "10.0.0.2")
	elsewhere.Interface, escape.Interface = "tap-two", "\x1b[2J"
	tellEvents(t, one, nil, foreign, elsewhere, escape, sighting("one", gabion.PassRule, "10.0.0.2"))
	if e := <-w.Events(); e.Rule != "" || e.Group.ID != "" {
		t.Errorf("an event of o names rule %q of group %q, which are p's", e.Rule, e.Group.Name)
	}
	if e := <-w.Events(); e.Rule != "r" || e.Interface != "tap-one" {
		t.Errorf("then comes %+v, want the event of an interface that the instance has", e)
	}
}

func TestAnswersOfHostsAreFitToBeShown(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one := talker(t, z, "hv1")
	awaitWatch(t, one)
	go func() {
		for {
			m, err := one.Recv()
			if err != nil {
				return
			}
			if ask := m.GetAsk(); ask != nil {
				open := &feedpb.Flow{Interface: "\x1b[2J", State: strings.Repeat("\x1b]0;x\a", 1000), Rule: "\x1b[31m"}
				_ = one.Send(&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Answer{Answer: &feedpb.Answer{
					Id: ask.Id, Flows: &feedpb.FlowList{Flows: []*feedpb.Flow{open}},
				}}})
			}
		}
	}()
	flows, _, err := z.server.OpenFlows(t.Context(), "hv1", "one", 10)
	if err != nil || len(flows) != 1 {
		t.Fatalf("got %v, %v", flows, err)
	}
	if said := flows[0].Interface + flows[0].State + flows[0].Rule; strings.ContainsAny(said, "\x1b\a") || len(said) > 3000 {
		t.Errorf("%d bytes of %q are told", len(said), said[:40])
	}
}
