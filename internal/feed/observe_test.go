package feed_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

func TestObservations(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	host.Observe(map[string]bool{"one": true}) // before there is a stream
	eventually(t, "it is stored", func() bool { return z.isRunning("one") })
	host.Observe(map[string]bool{"one": false})
	eventually(t, "the change is stored", func() bool { return !z.isRunning("one") })
}

// What is observed with a revision is stored before the revision counts as enforced.
func TestWhoseChangeSucceededHasAKnownState(t *testing.T) {
	store := populated()
	begun, outage := make(chan struct{}), make(chan error)
	store.observes = func() error {
		begun <- struct{}{}
		return <-outage
	}
	z := newZone(t, store, "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	revision := z.commit(policy.Change{Instances: []*gabion.Instance{instance("two", "hv1", "10.0.0.2", "g")}})
	r.await(t, "change")

	host.Observe(map[string]bool{"one": false, "two": true})
	host.Ack(r.position(), nil)
	for _, err := range []error{errors.New("no leader"), nil} {
		<-begun
		if diff := cmp.Diff([]string{"hv1"}, z.server.Await(ended(), revision)); diff != "" {
			t.Errorf("before the state is stored: %s", diff)
		}
		outage <- err
	}
	if missing := z.server.Await(context.Background(), revision); len(missing) > 0 || !z.isRunning("two") {
		t.Errorf("missing %v; two is known to run: %t", missing, z.isRunning("two"))
	}
}

// The server forgets the state of an instance that moves away, also of one that
// is back before the host has looked.
func TestInstanceThatChangedIsObservedAnew(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	r.await(t, "replace")
	seen := map[string]bool{"one": true}
	host.Observe(seen)
	eventually(t, "it is stored", func() bool { return z.isRunning("one") })

	z.mu.Lock()
	delete(z.running, "one")
	z.mu.Unlock()
	z.commit(policy.Change{Instances: []*gabion.Instance{instance("one", "hv1", "10.0.0.9", "g")}})
	r.await(t, "change")
	host.Observe(seen)
	eventually(t, "it is stored again", func() bool { return z.isRunning("one") })
}

// How bridges are protected reaches the store, also when nothing else is new.
func TestProtection(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	r := newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r})
	host.Protect(feed.Protection{Remedies: []string{"br0=nftables", "br1=managed"}, UnprotectedPorts: []string{"vnet3", "up\x1b0"}})
	is := func(protection string, drifts int64, ports ...string) func() bool {
		return func() bool {
			got := z.status("hv1")
			return got.Protection == protection && got.Drifts == drifts && slices.Equal(got.UnprotectedPorts, ports)
		}
	}
	eventually(t, "it is stored", is("br0=nftables, br1=managed", 0, "vnet3", "up0"))
	host.Protect(feed.Protection{Remedies: []string{"br0=nftables"}, Drifts: 2})
	eventually(t, "the change is stored", is("br0=nftables", 2))
	host.Observe(map[string]bool{"one": true})
	eventually(t, "it is stored", func() bool { return z.isRunning("one") })
	if !is("br0=nftables", 2)() {
		t.Errorf("an observation of instances changed it to %+v", z.status("hv1"))
	}
}
