package feed_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

func TestHostsAreSpreadEvenly(t *testing.T) {
	servers := []string{"a:1", "b:1", "c:1"}
	all, left := map[string]int{}, map[string]int{}
	const hosts = 3000
	for n := range hosts {
		host := fmt.Sprint("hv", n)
		order := feed.Preferred(host, servers)
		all[order[0]]++
		left[feed.Preferred(host, servers[1:])[0]]++
		if again := feed.Preferred(host, []string{"c:1", "b:1", "a:1", "b:1"}); !slices.Equal(order, again) {
			t.Fatalf("%s prefers %v and then %v", host, order, again)
		}
	}
	for _, spread := range []map[string]int{all, left} {
		t.Log(spread)
		for server, n := range spread {
			if fair := hosts / len(spread); n < fair*9/10 || n > fair*11/10 {
				t.Errorf("%s has %d hosts of %d", server, n, hosts)
			}
		}
	}
}

// pair is two servers of one zone, in the order in which hv1 prefers them.
type pair struct{ home, other *zone }

func newPair(t *testing.T) pair {
	t.Helper()
	a := newZone(t, newMemory(), "hv1")
	b := newZoneOf(t, a.ca, newMemory(), "hv1")
	if feed.Preferred("hv1", []string{a.addr, b.addr})[0] == a.addr {
		return pair{a, b}
	}
	return pair{b, a}
}

func (p pair) servers() []string { return []string{p.other.addr, p.home.addr} }

// host starts hv1, which looks for a better server all the time.
func (p pair) host(t *testing.T) *receiver {
	t.Helper()
	r := newReceiver()
	startHost(t, p.home, feed.LookOften(feed.ClientConfig{
		Identity: identity(t, p.home.ca, "hv1"), Receiver: r, Servers: p.servers(),
	}))
	r.await(t, "replace")
	return r
}

func (p pair) awaitAt(t *testing.T, at, not *zone) {
	t.Helper()
	eventually(t, "the host is at one server", func() bool { return at.server.Has("hv1") && !not.server.Has("hv1") })
}

func TestHostMovesOverAndComesBack(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	r := p.host(t)
	p.awaitAt(t, p.home, p.other)
	for range 2 {
		addr := p.home.addr
		begin := time.Now()
		p.home.stop()
		p.awaitAt(t, p.other, p.home)
		t.Logf("moved over in %s", time.Since(begin))
		p.home.listen(t, addr)
		p.awaitAt(t, p.home, p.other)
	}
	revision := p.home.commit(policy.Change{})
	p.home.commit(policy.Change{Groups: []*gabion.Group{group("g")}, Instances: []*gabion.Instance{instance("one", "hv1", "10.0.0.1", "g")}})
	eventually(t, "the host hears of changes", func() bool { return r.position().Revision > revision })
}

// A server that is cut off from the store is left, and found again when it is not.
func TestHostLeavesAServerThatHasNoStore(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.host(t)
	p.awaitAt(t, p.home, p.other)
	p.home.fail(errors.New("the store does not answer"))
	p.awaitAt(t, p.other, p.home)
	p.home.fail(nil)
	p.awaitAt(t, p.home, p.other)
}

func TestJoinAtTheServerThatAnswers(t *testing.T) {
	t.Parallel()
	z := newZone(t, newMemory())
	dead := newZoneOf(t, z.ca, newMemory())
	dead.stop()
	for _, servers := range [][]string{{dead.addr, z.addr}, {z.addr, dead.addr}} {
		id, err := feed.JoinAny(t.Context(), servers, z.mint(t, "hv1", time.Minute))
		if err != nil || id.Host != "hv1" {
			t.Errorf("joined as %v: %v", id, err)
		}
	}
	if _, err := feed.JoinAny(t.Context(), []string{dead.addr}, z.mint(t, "hv1", time.Minute)); err == nil {
		t.Error("joined at a server that is not there")
	}
	if _, err := feed.JoinAny(t.Context(), []string{dead.addr, z.addr}, pki.JoinToken{Host: "hv1", CA: [32]byte{1}}); err == nil {
		t.Error("joined with a token of another authority")
	}
}
