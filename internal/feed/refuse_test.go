package feed_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

func TestDamagedObjectDoesNotKeepHostsFromOthers(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")

	nonsense := rule("bad", "g", 80)
	nonsense.Protocol = 7
	twin := instance("one", "hv1", "10.0.0.1", "g")
	twin.NICs[0].Interface = "../../etc"
	z.commit(policy.Change{
		Rules:     []*gabion.Rule{nonsense, rule("good", "g", 80)},
		Instances: []*gabion.Instance{twin},
	})
	r.await(t, "change")
	v := r.snapshot()
	if rules := v.Groups["g"].Rules; len(rules) != 1 || rules[0].ID != "good" {
		t.Errorf("the host has the rules %+v, want the good one", rules)
	}
	if got := v.Instances["one"].NICs[0].Interface; got != "tap-one" {
		t.Errorf("the host has interface %q, want what it was before", got)
	}
}

func TestDeletedHostIsTurnedAway(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	stream := rawStream(t, z, identity(t, z.ca, "hv1"))
	if err := stream.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, stream)
	z.deleteHost("hv1")
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the stream ended with %v, want it forbidden", err)
	}
	again := rawStream(t, z, identity(t, z.ca, "hv1"))
	greet(t, again)
	for {
		if _, err := again.Recv(); err != nil {
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("the next stream ended with %v, want it forbidden", err)
			}
			return
		}
	}
}

func TestStreamRefuses(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	id := identity(t, z.ca, "hv1")
	t.Run("ack before hello", func(t *testing.T) {
		stream := rawStream(t, z, id)
		if err := stream.Send(ack("first", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("ended with %v, want it invalid", err)
		}
	})
	t.Run("ack of the future", func(t *testing.T) {
		stream := rawStream(t, z, id)
		if err := stream.Send(hello("", 0)); err != nil {
			t.Fatal(err)
		}
		awaitInSync(t, stream)
		if err := stream.Send(ack("first", 1000)); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("ended with %v, want it invalid", err)
		}
	})
	t.Run("second hello", func(t *testing.T) {
		stream := rawStream(t, z, id)
		for range 2 {
			if err := stream.Send(hello("", 0)); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		for err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("ended with %v, want it invalid", err)
		}
	})
}
