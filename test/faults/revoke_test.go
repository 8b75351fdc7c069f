package faults_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
)

// webPort is the victim's, over TCP. The churn's rules are not about it.
const webPort = 7000

// One rule is removed that admitted many connections in full use. When the change is
// reported as applied, the last payload of each has been delivered, in both directions.
func TestRevocation(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	must(t, s.victim.Serve([]uint16{webPort}, nil))
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	web := s.fromGroup("tcp", webPort, webPort, "friends")
	admit := func() { s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{web})) }
	admit()
	wires := []*wire{watch(t, s.victim.Endpoint), watch(t, s.friend.Endpoint)}
	flows := s.talk(t, times(50, 1000))
	await(t, "every connection to carry payload both ways", func() bool { return alive(wires, time.Now().Add(-lively)) == flows })
	asked := time.Now()
	s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{}))
	applied := time.Now()
	time.Sleep(lively + 5*talkEvery)
	r.cut(wires, flows, asked, applied)

	admit()
	revived := await(t, "the same connections to go on", func() bool { return alive(wires, time.Now().Add(-lively)) == flows })
	r.say("with the rule back all go on after %s", rounded(revived))
	r.packets(traffic)
	r.converged(s, churn)
}

// alive is how many connections carried payload to both ends since then.
func alive(wires []*wire, since time.Time) int {
	return min(len(wires[0].since(since)), len(wires[1].since(since)))
}

// cut holds the last payload of each connection, at either end, against the moment in
// which the change was reported as applied.
func (r *row) cut(wires []*wire, flows int, asked, applied time.Time) {
	r.Helper()
	var after []time.Duration
	for _, w := range wires {
		for _, last := range w.since(time.Time{}) {
			after = append(after, last.Sub(applied))
		}
	}
	late := 0
	for _, d := range after {
		if d > 0 {
			late++
		}
	}
	r.say("%d connections, %d with payload after the removal was reported as applied", flows, late)
	r.say("last payload before that: p50 %s, p99 %s, nearest %s; the removal took %s",
		rounded(-quantile(after, 0.5)), rounded(-quantile(after, 0.99)), rounded(-slices.Max(after)), rounded(applied.Sub(asked)))
	if late > 0 || len(after) != 2*flows {
		r.Errorf("%d of %d last payloads came after the removal was applied", late, len(after))
	}
}

// talkEvery is how often each connection says something, and hears it back.
const talkEvery = 100 * time.Millisecond

// lively is how recent payload is of a connection that is in use.
const lively = 10 * talkEvery

// talkers is how many connections one goroutine speaks in.
const talkers = 100

// talk opens connections from the friend to the victim and speaks in them as long as
// the test runs. It returns when all have spoken for a while.
func (s *site) talk(t *testing.T, flows int) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var conns []net.Conn
	t.Cleanup(func() {
		cancel()
		for _, c := range conns {
			c.Close() //nolint:errcheck // it may be cut
		}
		all.Wait()
	})
	for range flows {
		c, err := s.friend.Dial(ctx, netip.AddrPortFrom(s.victim.Addr4, webPort))
		must(t, err)
		conns = append(conns, c)
		all.Go(func() { io.Copy(io.Discard, c) }) //nolint:errcheck // it is closed in the end
	}
	for some := range slices.Chunk(conns, talkers) {
		all.Go(func() { speak(ctx, some) })
	}
	time.Sleep(10 * talkEvery)
	return flows
}

func speak(ctx context.Context, conns []net.Conn) {
	tick := time.NewTicker(talkEvery)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		for _, c := range conns {
			c.SetWriteDeadline(time.Now().Add(time.Millisecond)) //nolint:errcheck // a full buffer is what a cut flow has
			fmt.Fprintf(c, "%016d", n)                           //nolint:errcheck // as above
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
