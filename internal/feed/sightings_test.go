package feed_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// crowded is a store with instances of two organizations on two hosts, and a rule.
func crowded() *memory {
	m := populated()
	stranger, other := instance("stranger", "hv1", "10.9.0.1", "theirs"), &gabion.Group{ID: "theirs", Organization: "p", Name: "theirs"}
	stranger.Organization = "p"
	m.commit(policy.Change{
		Groups: []*gabion.Group{other}, Rules: []*gabion.Rule{rule("r", "g", 22)},
		Instances: []*gabion.Instance{stranger, instance("two", "hv2", "10.0.0.2", "g")},
	})
	return m
}

type speech = grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]

// talker is a stream of a host that tells of packets.
func talker(t *testing.T, z *zone, host string) speech {
	t.Helper()
	stream := rawStream(t, z, identity(t, z.ca, host))
	say(t, stream, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Hello{Hello: &feedpb.Hello{Tells: true}}})
	return stream
}

func say(t *testing.T, stream speech, m *feedpb.AgentMessage) {
	t.Helper()
	if err := stream.Send(m); err != nil {
		t.Fatal(err)
	}
}

// awaitWatch reads up to the next word about what to watch.
func awaitWatch(t *testing.T, stream speech) feedpb.Watch_Events {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetWatch() != nil {
			return m.GetWatch().Events
		}
	}
}

func sighting(id string, reason gabion.Reason, remote string) *feedpb.FlowEvent {
	return &feedpb.FlowEvent{
		Instance: id, Interface: "tap-" + id, Reason: uint32(reason), Protocol: 6,
		Local: netip.MustParseAddr("10.0.0.1").AsSlice(), Remote: netip.MustParseAddr(remote).AsSlice(), LocalPort: 22, Rule: "r",
	}
}

func tellEvents(t *testing.T, stream speech, lost map[string]uint64, events ...*feedpb.FlowEvent) {
	t.Helper()
	say(t, stream, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_FlowEvents{FlowEvents: &feedpb.FlowEvents{Events: events, Lost: lost}}})
}

func TestHostsAreToldWhatIsWatched(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one, two := talker(t, z, "hv1"), talker(t, z, "hv2")
	for name, s := range map[string]speech{"hv1": one, "hv2": two} {
		if got := awaitWatch(t, s); got != feedpb.Watch_NONE {
			t.Errorf("%s begins with %s", name, got)
		}
	}
	denied := z.server.Watch(flow.Filter{Organization: "p", Denied: true})
	if got := awaitWatch(t, one); got != feedpb.Watch_DENIED {
		t.Errorf("hv1, which has an instance of p, is told %s", got)
	}
	all := z.server.Watch(flow.Filter{Organization: "o", Instance: "two", Denied: true, Allowed: true})
	if got := awaitWatch(t, two); got != feedpb.Watch_ALL {
		t.Errorf("hv2, which has instance two and nothing of p, is told %s first", got)
	}
	z.server.Unwatch(denied)
	if got := awaitWatch(t, one); got != feedpb.Watch_NONE {
		t.Errorf("hv1, which nobody watches any more, is told %s", got)
	}
	// An instance that moves takes its watcher along.
	z.commit(policy.Change{Instances: []*gabion.Instance{instance("two", "hv1", "10.0.0.2", "g")}})
	if a, b := awaitWatch(t, one), awaitWatch(t, two); a != feedpb.Watch_ALL || b != feedpb.Watch_NONE {
		t.Errorf("after a move hv1 is told %s and hv2 %s", a, b)
	}
	z.server.Unwatch(all)
}

func TestAHostTellsOfItsOwnOnly(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	one := talker(t, z, "hv1")
	awaitWatch(t, one)
	w := z.server.Watch(flow.Filter{Organization: "o", Denied: true, Allowed: true})
	defer z.server.Unwatch(w)
	awaitWatch(t, one)
	tellEvents(t, one, map[string]uint64{"two": 7, "stranger": 9, "one": 3},
		sighting("two", gabion.DropDeniedIngress, "10.0.0.1"), sighting("nobody", gabion.DropDeniedIngress, "10.0.0.2"),
		sighting("stranger", gabion.PassRule, "10.0.0.2"), sighting("one", gabion.PassRule, "10.0.0.2"), sighting("one", gabion.DropDeniedIngress, "10.9.0.1"))
	first, second := <-w.Events(), <-w.Events()
	if first.Instance.Name != "one" || first.RemoteOwner.ID != "two" || first.Rule != "r" || first.Group.Name != "g" || first.Host != "hv1" {
		t.Errorf("event is %+v", first)
	}
	if second.RemoteOwner.ID != "" {
		t.Errorf("the name of another organization's instance is told: %+v", second)
	}
	<-w.Losses()
	if lost := w.Lost(); lost != 3 || len(w.Events()) != 0 {
		t.Errorf("%d events are lost and %d more there, want 3 and none", lost, len(w.Events()))
	}
	counters := &feedpb.Counters{
		Rules: []*feedpb.RuleCounter{{Rule: "r", Life: 1, Packets: 5}, {Rule: "unknown", Life: 1, Packets: 5}},
		Drops: []*feedpb.DropCounter{
			{Instance: "one", Interface: "tap-one", Reason: uint32(gabion.DropVLAN), Life: 1, Packets: 2},
			{Instance: "two", Interface: "tap-two", Reason: uint32(gabion.DropVLAN), Life: 1, Packets: 2},
		},
	}
	say(t, one, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: counters}})
	eventually(t, "hits are counted", func() bool {
		hits, err := z.server.Hits(t.Context(), []string{"r"})
		return err == nil && hits["r"].Packets == 5
	})
	for id, want := range map[string]int{"one": 1, "two": 0} {
		if drops, err := z.server.Drops(t.Context(), id); err != nil || len(drops) != want {
			t.Errorf("drops of %s are %v, %v", id, drops, err)
		}
	}
}

// TestTotalsSurviveServers moves a host from one server to another over one store.
func TestTotalsSurviveServers(t *testing.T) {
	m := crowded()
	first, second := newZone(t, m, "hv1"), newZone(t, m, "hv1")
	count := func(z *zone, stream speech, life, packets uint64) {
		t.Helper()
		counters := &feedpb.Counters{Rules: []*feedpb.RuleCounter{{Rule: "r", Life: life, Packets: packets}}, All: true}
		say(t, stream, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: counters}})
	}
	hits := func(z *zone) uint64 {
		hits, err := z.server.Hits(t.Context(), []string{"r"})
		if err != nil {
			t.Fatal(err)
		}
		return hits["r"].Packets
	}
	stream := talker(t, first, "hv1")
	awaitInSync(t, stream)
	count(first, stream, 1, 10)
	eventually(t, "the first server counts", func() bool { return hits(first) == 10 })
	first.stop()
	eventually(t, "the totals are stored", func() bool { record, err := m.HostCounters(t.Context(), "hv1"); return err == nil && record != nil })
	if got := hits(second); got != 10 {
		t.Errorf("the other server knows of %d hits before the host comes", got)
	}
	stream = talker(t, second, "hv1")
	awaitInSync(t, stream)
	count(second, stream, 1, 12)
	eventually(t, "the other server goes on counting", func() bool { return hits(second) == 12 })
	count(second, stream, 2, 5) // the host began anew
	eventually(t, "a former life counts", func() bool { return hits(second) == 17 })
}

// witness answers what the test says.
type witness struct {
	answer  func(flow.Question) (flow.Answer, error)
	watched atomic.Uint32
}

func (w *witness) Watch(d flow.Demand)                      { w.watched.Store(uint32(d)) }
func (w *witness) Ask(q flow.Question) (flow.Answer, error) { return w.answer(q) }
func (w *witness) OpenFlows(string, int) ([]flow.Open, bool, error) {
	return []flow.Open{{Interface: "tap-one", Protocol: gabion.TCP}}, true, nil
}

func TestLoadedProgramsAreAsked(t *testing.T) {
	z := newZone(t, crowded(), "hv1", "hv2")
	r := newReceiver()
	w := &witness{}
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r, Witness: w})
	r.await(t, "replace")
	host.Ack(r.position(), nil)
	eventually(t, "the host is told", func() bool { return z.server.Connected() == 1 && z.server.Current("hv1") })
	q := flow.Question{
		Instance: "one", Local: netip.MustParseAddr("10.0.0.1"), Remote: netip.MustParseAddr("10.0.0.2"), Protocol: gabion.TCP, Port: 22,
	}
	ask := func(host string, answer gabion.Reason, err error) flow.Loaded {
		w.answer = func(got flow.Question) (flow.Answer, error) {
			if got != q {
				t.Errorf("asked %+v, want %+v", got, q)
			}
			return flow.Answer{Reason: answer, Rule: "r"}, err
		}
		return z.server.AskLoaded(t.Context(), host, q, func() gabion.Reason { return gabion.PassRule })
	}
	if l := ask("hv1", gabion.PassRule, nil); !l.Agrees || l.Rule != "r" || l.Unavailable != "" || z.server.Disagreements() != 0 {
		t.Errorf("one answer: %+v", l)
	}
	if l := ask("hv1", gabion.DropDeniedIngress, nil); l.Agrees || l.Unavailable != "" || z.server.Disagreements() != 1 {
		t.Errorf("two answers: %+v, %d disagreements", l, z.server.Disagreements())
	}
	if l := ask("hv1", gabion.DropDeniedIngress, errors.New("no interface")); l.Unavailable != "no interface" {
		t.Errorf("no answer: %+v", l)
	}
	if l := ask("hv2", gabion.PassRule, nil); !strings.Contains(l.Unavailable, "no stream") {
		t.Errorf("a host that is away: %+v", l)
	}
	z.commit(policy.Change{Rules: []*gabion.Rule{rule("s", "g", 23)}})
	r.await(t, "change") // and is not acknowledged
	if l := ask("hv1", gabion.DropDeniedIngress, nil); !strings.Contains(l.Unavailable, "newest policy") || z.server.Disagreements() != 1 {
		t.Errorf("a host that is behind: %+v", l)
	}
	flows, more, err := z.server.OpenFlows(t.Context(), "hv1", "one", 10)
	if err != nil || !more || len(flows) != 1 {
		t.Errorf("open flows: %v %v %v", flows, more, err)
	}
}

// TestNothingIsToldUnlessWatched has a host talk all the time.
func TestNothingIsToldUnlessWatched(t *testing.T) {
	z := newZone(t, crowded(), "hv1")
	w := &witness{}
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: newReceiver(), Witness: w})
	eventually(t, "the host is there", func() bool { return host.Connected() })
	event := flow.Event{Instance: flow.Named{ID: "one"}, Interface: "tap-one", Reason: gabion.DropDeniedIngress, Time: time.Now()}
	host.Tell(event, 0)
	watcher := z.server.Watch(flow.Filter{Organization: "o", Denied: true})
	eventually(t, "the host hears of it", func() bool { return flow.Demand(w.watched.Load()) == flow.Denied })
	host.Tell(event, 4)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-watcher.Events():
	case <-ctx.Done():
		t.Fatal("the event does not come")
	}
	<-watcher.Losses()
	if len(watcher.Events()) != 0 || watcher.Lost() != 4 {
		t.Errorf("what happened before anybody watched is told")
	}
	for range 10_000 {
		host.Tell(event, 0)
	}
	host.Tell(event, 1)
	<-watcher.Losses()
	z.server.Unwatch(watcher)
	eventually(t, "the host hears that nobody watches", func() bool { return flow.Demand(w.watched.Load()) == flow.None })
}
