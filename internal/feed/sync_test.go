package feed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

// want is the view that a host has to have: the one that a fresh world makes.
func (z *zone) want(t *testing.T, host string) policy.View {
	t.Helper()
	snapshot, err := z.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	w := policy.NewWorld()
	w.Apply(snapshot.Change)
	return *w.View(host)
}

func (z *zone) compare(t *testing.T, host string, r *receiver) {
	t.Helper()
	want, got := z.want(t, host), r.snapshot()
	want.Revision, got.Revision = 0, 0
	ignoreNotSent := cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return name == ".Labels" || name == ".Created"
	}, cmp.Ignore())
	if diff := cmp.Diff(want, got, same, ignoreNotSent); diff != "" {
		t.Error(diff)
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestSnapshotThenDeltas(t *testing.T) {
	z := newZone(t, populated(), "hv1", "hv2")
	r := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	z.compare(t, "hv1", r)

	revision := z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	r.await(t, "change")
	z.compare(t, "hv1", r)
	if got := r.position(); got != (feed.Position{Epoch: "first", Revision: revision}) {
		t.Errorf("the host is at %+v, want revision %d", got, revision)
	}

	z.commit(policy.Change{Instances: []*gabion.Instance{instance("two", "hv2", "10.0.0.2", "g")}})
	z.commit(policy.Change{GoneRules: []string{"r"}})
	r.await(t, "change") // what concerns hv2 alone is not told
	z.compare(t, "hv1", r)
}

func TestAwaitEndsWithTheLastAck(t *testing.T) {
	z := newZone(t, populated(), "hv1", "hv2")
	z.commit(policy.Change{Instances: []*gabion.Instance{instance("two", "hv2", "10.0.0.2", "g")}})
	ones, twos := newReceiver(), newReceiver()
	one := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: ones})
	two := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv2"), Receiver: twos})
	ones.await(t, "replace")
	twos.await(t, "replace")

	revision := z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	ones.await(t, "change")
	twos.await(t, "change")
	if diff := cmp.Diff([]string{"hv1", "hv2"}, z.server.Await(ended(), revision)); diff != "" {
		t.Errorf("before any ack: %s", diff)
	}

	done := make(chan []string, 1)
	go func() { done <- z.server.Await(context.Background(), revision) }()
	one.Ack(ones.position(), nil)
	before := feed.Position{Epoch: twos.position().Epoch, Revision: revision - 1}
	two.Ack(before, errors.New("the policy map is full"))
	eventually(t, "hv1 is done", func() bool { return len(z.server.Await(ended(), revision)) == 1 })
	eventually(t, "the error of hv2 is stored", func() bool { return z.status("hv2").Error == "the policy map is full" })
	select {
	case missing := <-done:
		t.Fatalf("a host that enforces an older revision counted as done; missing %v", missing)
	default:
	}
	two.Ack(twos.position(), nil)
	if missing := <-done; len(missing) != 0 {
		t.Errorf("missing %v after all acks", missing)
	}
	eventually(t, "the end of the error is stored", func() bool {
		s := z.status("hv2")
		return s.Error == "" && s.Revision == revision && s.Version == "test" && time.Since(s.LastSeen) < patience
	})
}

func TestHostThatLeavesSomethingOutHoldsNobodyUp(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	revision := z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	r.await(t, "change")
	host.Ack(r.position(), errors.Join(errors.New("leave rule x out"), errors.New("no \x1b[2Jtap")))
	if missing := z.server.Await(context.Background(), revision); len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
	eventually(t, "what it left out is stored", func() bool {
		s := z.status("hv1")
		return s.Error == "leave rule x out; no [2Jtap" && s.Revision == revision
	})
}

func TestAwaitOfWhatConcernsNobody(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	revision := z.commit(policy.Change{Groups: []*gabion.Group{group("unused")}})
	if missing := z.server.Await(context.Background(), revision); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

func TestAwaitOfWhatTheServerHasNotSeen(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	if diff := cmp.Diff([]string{feed.Behind}, z.server.Await(ended(), 1000)); diff != "" {
		t.Error(diff)
	}
}

func TestRestartedServerWaitsForHostsItKnowsNothingOf(t *testing.T) {
	m := populated()
	change := m.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	m.statuses["hv1"] = gabion.HostStatus{Host: "hv1", Revision: change - 1}
	z := newZone(t, m, "hv1")
	if diff := cmp.Diff([]string{"hv1"}, z.server.Await(ended(), change)); diff != "" {
		t.Error(diff)
	}
	if missing := z.server.Await(ended(), change-1); len(missing) != 0 {
		t.Errorf("missing %v for what hv1 had acknowledged before", missing)
	}
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	host.Ack(r.position(), nil)
	if missing := z.server.Await(context.Background(), change); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

func TestHostThatHoldsEverythingGetsNoSnapshot(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	held := feed.Position{Epoch: "first", Revision: 2}
	view := z.want(t, "hv1")
	r := newReceiver()
	r.view, r.at = &view, held
	z.commit(policy.Change{Groups: []*gabion.Group{group("unused")}})
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r, Held: held})
	r.await(t, "change")
	if got := r.position().Revision; got < 3 {
		t.Errorf("the host is at revision %d, want 3 or later", got)
	}
}

func TestHostThatHoldsAnythingElseGetsASnapshot(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}}) // revision 3
	for name, held := range map[string]feed.Position{
		"nothing":       {},
		"too old":       {Epoch: "first", Revision: 2},
		"another epoch": {Epoch: "other", Revision: 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver()
			startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r, Held: held})
			r.await(t, "replace")
			z.compare(t, "hv1", r)
		})
	}
}

func TestServerThatLagsDoesNotSendAHostBack(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	r.view, r.at = policy.NewView(), feed.Position{Epoch: "first", Revision: 3}
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r, Held: r.at})
	select {
	case what := <-r.told:
		t.Fatalf("told to %s by a server at an older revision", what)
	case <-time.After(100 * time.Millisecond):
	}
	z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}}) // revision 3, which the host has from elsewhere
	r.await(t, "change")
	if got := r.position().Revision; got != 3 && got != 4 { // which is that of its status
		t.Errorf("the host is at revision %d, want 3", got)
	}
}

func TestNewEpochIsASnapshotForAll(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	before := r.position()

	z.mu.Lock()
	z.revision, z.rules = 1, map[string]*gabion.Rule{} // as if restored from a backup
	z.mu.Unlock()
	z.lose("second")
	r.await(t, "replace")
	if got := r.position(); got.Epoch != "second" || got.Revision >= before.Revision {
		t.Fatalf("the host is at %+v, want the second epoch, before revision %d", got, before.Revision)
	}
	host.Ack(before, nil) // comes too late and means nothing now
	host.Ack(r.position(), nil)
	eventually(t, "the ack of the second epoch counts", func() bool { return z.status("hv1").Revision == r.position().Revision })
}

func TestHostComesBackToARestartedServer(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	z.stop()
	eventually(t, "the host notices", func() bool { return !host.Connected() })
	z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	z.listen(t, z.addr)
	r.await(t, "replace")
	z.compare(t, "hv1", r)
}

func TestNewerStreamReplacesTheOlder(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	id := identity(t, z.ca, "hv1")
	older := rawStream(t, z, id)
	if err := older.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, older)
	newer := rawStream(t, z, id)
	if err := newer.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, newer)
	if _, err := older.Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the older stream ended with %v, want it replaced", err)
	}
	revision := z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	if m, err := newer.Recv(); err != nil || m.GetDelta().GetRevision() != revision {
		t.Errorf("the newer stream got %v, %v; want revision %d", m, err, revision)
	}
}

func TestSlowHostBlocksNobody(t *testing.T) {
	z := newZone(t, populated(), "hv1", "hv2")
	z.commit(policy.Change{Instances: []*gabion.Instance{instance("two", "hv2", "10.0.0.2", "g")}})
	slow := rawStream(t, z, identity(t, z.ca, "hv1"))
	if err := slow.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, slow)
	r := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv2"), Receiver: r})
	r.await(t, "replace")

	// More than is taken at once, waits behind it, and fits into gRPC's own buffers (16 MiB).
	const changes = 2*feed.Window + 200
	var last int64
	for n := range changes {
		last = z.commit(policy.Change{Rules: longRules(uint16(n + 1))})
	}
	eventually(t, "the fast host has everything", func() bool { return r.position().Revision == last })

	deltas, snapshots := 0, 0
	for revision := int64(0); revision < last; {
		m, err := slow.Recv()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case m.GetSnapshotBegin() != nil:
			snapshots++
		case m.GetDelta() != nil:
			deltas++
			revision = m.GetDelta().Revision
		case m.GetInSync() != nil:
			revision = m.GetInSync().Revision
		}
	}
	if snapshots == 0 || deltas >= changes {
		t.Errorf("the slow host got %d deltas and %d snapshots, want a snapshot in place of many deltas", deltas, snapshots)
	}
}

// longRules are 40 kB of rules for the port.
func longRules(port uint16) []*gabion.Rule {
	rules := make([]*gabion.Rule, 130)
	for n := range rules {
		rules[n] = rule(fmt.Sprint("r", n), "g", port)
		rules[n].Description = strings.Repeat("x", gabion.MaxDescriptionLength)
	}
	return rules
}

func TestLargeDeltaComesAsASnapshot(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	stream := rawStream(t, z, identity(t, z.ca, "hv1"))
	if err := stream.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, stream)
	sources := group("g")
	self := rule("self", "g", 1)
	self.Peer = gabion.Peer{Group: "g"}
	for n := range feed.MaxDelta {
		sources.Sources = append(sources.Sources, prefixNumber(n))
	}
	z.commit(policy.Change{Groups: []*gabion.Group{sources}, Rules: []*gabion.Rule{self}})
	if m, err := stream.Recv(); err != nil || m.GetSnapshotBegin() == nil {
		t.Errorf("got %T, %v; want the beginning of a snapshot", m.GetMessage(), err)
	}
}
