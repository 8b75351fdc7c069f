package feed_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// A host is told of its own instances, of their groups, and of the addresses in
// the groups that their rules name. Of the rest it never reads a word.
func TestHostIsToldWhatItNeedsAndNoMore(t *testing.T) {
	store := newMemory()
	world := func(mark string, last byte) policy.Change {
		own, named, strange := mark+"-own", mark+"-named", mark+"-secret"
		peer := rule(mark+"-rule-peer", own, 81)
		peer.Peer = gabion.Peer{Group: named}
		address := func(net byte) string { return fmt.Sprintf("10.%d.0.%d", net, last) }
		return policy.Change{
			Groups: []*gabion.Group{group(own), group(named), group(strange)},
			Rules:  []*gabion.Rule{rule(mark+"-rule-own", own, 80), peer, rule(mark+"-secret-rule", strange, 82), rule(mark+"-secret-of-named", named, 83)},
			Instances: []*gabion.Instance{
				instance(mark+"-mine", "hv1", address(1), own),
				instance(mark+"-secret-member", "hv2", address(2), named),
				instance(mark+"-secret-other", "hv2", address(3), strange),
			},
		}
	}
	store.commit(world("first", 1))
	z := newZone(t, store, "hv1", "hv2")
	stream := rawStream(t, z, identity(t, z.ca, "hv1"))
	if err := stream.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	told(t, "snapshot", stream, "first", func(m *feedpb.ServerMessage) bool { return m.GetInSync() != nil })
	z.commit(world("second", 2))
	told(t, "delta", stream, "second", func(m *feedpb.ServerMessage) bool { return m.GetDelta() != nil })
}

// told reads messages up to the last and checks what is in them, and what is not.
func told(t *testing.T, what string, stream grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage], mark string, last func(*feedpb.ServerMessage) bool) {
	t.Helper()
	var text strings.Builder
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(m.String())
		if last(m) {
			break
		}
	}
	for _, needed := range []string{"-mine", "-own", "-named", "-rule-own", "-rule-peer"} {
		if !strings.Contains(text.String(), mark+needed) {
			t.Errorf("the %s says nothing of %s%s", what, mark, needed)
		}
	}
	if strings.Contains(text.String(), "secret") {
		t.Errorf("the %s says more than the host needs: %s", what, text.String())
	}
}
