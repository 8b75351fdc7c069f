package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// bound is how long a write may take to be made or refused.
const bound = 5 * time.Second

// write makes a change that concerns no host.
func (s *site) write(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := s.client.CreateGroup(ctx, rest.CreateSecurityGroupRequest{Name: fmt.Sprint("w", time.Now().UnixNano())})
	return err
}

// startOn starts the site on an etcd of its own.
func (s *site) startOn(t *testing.T, size int, quota int64) *cluster {
	t.Helper()
	c := s.startCluster(t, size, quota)
	args := []string{"--etcd-endpoints"}
	all := ""
	for _, endpoint := range s.endpoints {
		all += "," + endpoint
	}
	s.start(t, append(args, all[1:])...)
	return c
}

// One member of three is no matter, be it the leader.
func TestMemberKilled(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	c := s.startOn(t, 3, 0)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	var resumed []time.Duration
	kills := times(2, 30)
	for range kills {
		leader := s.leader(t)
		must(t, c.running[leader].Kill())
		resumed = append(resumed, s.writable(t))
		time.Sleep(100 * time.Millisecond)
		c.start(t, leader)
		s.leader(t)
	}
	must(t, c.running[(s.leader(t)+1)%3].Kill())
	follower := s.writable(t)
	r.packets(traffic)
	r.say("leader killed %d times, writes resumed after p50 %s", kills, rounded(quantile(resumed, 0.5)))
	r.within("at most", quantile(resumed, 1), bound)
	r.within("with a follower killed after", follower, bound)
	r.converged(s, churn)
}

// Without a majority nothing is written, and that is said in time. Hosts go on.
func TestQuorumLost(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	c := s.startOn(t, 3, 0)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	if s.readsStale(t) {
		t.Error("with all members there, a read says that it may be stale")
	}
	for n := range 2 {
		must(t, c.running[n].Kill())
	}
	begun := time.Now()
	if err := s.write(t); gabion.CodeOf(err) != gabion.CodeUnavailable {
		t.Errorf("a write without a majority: %v, want it to be unavailable", err)
	}
	r.within("writes refused after", time.Since(begun), bound)
	begun = time.Now()
	if !s.readsStale(t) {
		t.Error("a read without a majority does not say that it may be stale")
	}
	r.within("reads answered with what the member that is left knows, which is said (Warning: 110), after", time.Since(begun), bound)
	time.Sleep(*lasts)
	for n := range 2 {
		c.start(t, n)
	}
	back := s.writable(t)
	s.settled(t)
	r.packets(traffic)
	r.say("writes resumed %s after the members were back", rounded(back))
	r.converged(s, churn)
}

// readsStale reads the groups, and tells whether the answer says that it may be stale.
func (s *site) readsStale(t *testing.T) (stale bool) {
	t.Helper()
	c := s.clientWith(t, func(c *client.Config) { c.OnStale = func() { stale = true } })
	_, err := c.Groups(t.Context())
	must(t, err)
	return stale
}

// What agents have not seen of the history is compacted while they are away.
func TestCompactedWhileAway(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	time.Sleep(500 * time.Millisecond)
	for _, a := range s.agents {
		must(t, a.Kill())
	}
	rule := fromNetwork("tcp", 1, 2, "203.0.113.0/24")
	_, err := s.client.ReplaceRules(t.Context(), s.groups["friends"], []rest.AddRuleRequest{rule})
	must(t, err)
	raw := s.raw(t)
	now, err := raw.Get(t.Context(), "nothing")
	must(t, err)
	_, err = raw.Compact(t.Context(), now.Header.Revision)
	must(t, err)
	must(t, s.server.Kill())
	must(t, s.server.Start(t.Context()))
	for _, a := range s.agents {
		must(t, a.Start())
	}
	caughtUp := s.settled(t)
	r.packets(traffic)
	r.within("agents caught up after", caughtUp, 15*time.Second)
	r.converged(s, churn)
}

// An etcd that is full refuses, and says why, until somebody makes room.
func TestStoreFull(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.startOn(t, 1, 16<<20)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	raw := s.raw(t)
	var err error
	for filler := make([]byte, 1<<20); err == nil; {
		_, err = raw.Put(t.Context(), "filler", string(filler))
	}
	err = s.write(t)
	if gabion.CodeOf(err) != gabion.CodeUnavailable {
		t.Errorf("a write to a full store: %v, want it to be unavailable", err)
	}
	r.say("writes refused with %q", message(err))
	if _, err := s.client.Groups(t.Context()); err != nil {
		t.Errorf("a read from a full store: %v", err)
	}
	time.Sleep(*lasts)
	s.makeRoom(t, raw)
	back := s.writable(t)
	s.settled(t)
	r.packets(traffic)
	r.say("writes resumed %s after an operator had made room, as etcd wants it", rounded(back))
	r.converged(s, churn)
}

// makeRoom is what an operator of the etcd does.
func (s *site) makeRoom(t *testing.T, raw *clientv3.Client) {
	t.Helper()
	status, err := raw.Status(t.Context(), s.endpoints[0])
	must(t, err)
	_, err = raw.Compact(t.Context(), status.Header.Revision, clientv3.WithCompactPhysical())
	must(t, err)
	_, err = raw.Defragment(t.Context(), s.endpoints[0])
	must(t, err)
	_, err = raw.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	must(t, err)
}

// message is what a refusal says.
func message(err error) string {
	if e := new(gabion.Error); errors.As(err, &e) {
		return e.Message
	}
	return fmt.Sprint(err)
}
