package faults_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// An agent that is killed at any moment leaves behind what enforces, and the next one
// takes over and catches up.
func TestAgentKilled(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	attaching := s.startAttaching(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	var back []time.Duration
	kills := times(4, 200)
	for n := range kills {
		a := s.agents["h"+string(rune('1'+n%2))]
		time.Sleep(rand.N(400 * time.Millisecond))
		must(t, a.Kill())
		time.Sleep(rand.N(100 * time.Millisecond))
		begun := time.Now()
		must(t, a.Start())
		s.settled(t)
		back = append(back, time.Since(begun))
	}
	r.packets(traffic)
	attaching.finish(t)
	r.say("%d kills, %d instances attached meanwhile", kills, attaching.attached)
	r.converged(s, churn)
	r.say("from start to reconciled p50 %s", rounded(quantile(back, 0.5)))
	r.within("p99", quantile(back, 0.99), 2*time.Second)
}

// attaching registers an instance, takes its link away, and forgets it, again and again,
// so that there is always something to attach.
type attaching struct {
	attached int
	err      error
	stop     chan struct{}
	ended    chan struct{}
}

func (s *site) startAttaching(t *testing.T) *attaching {
	t.Helper()
	guest, err := s.h1.AddGuest("passer")
	must(t, err)
	a := &attaching{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		for a.err == nil {
			select {
			case <-a.stop:
				return
			default:
				a.err = a.once(t, s, guest)
			}
		}
	}()
	return a
}

func (a *attaching) once(t *testing.T, s *site, g *lab.Guest) error {
	operation, err := s.client.CreateInstance(t.Context(), s.instanceOf(g, "strangers"))
	if err != nil {
		return err
	}
	time.Sleep(rand.N(50 * time.Millisecond))
	if err := g.Unplug(); err != nil {
		return err
	}
	if err := g.Plug(); err != nil {
		return err
	}
	if err := s.enforced(t, operation); err != nil {
		return err
	}
	a.attached++
	operation, err = s.client.DeleteInstance(t.Context(), operation.Reference.ID)
	if err == nil {
		err = s.enforced(t, rest.Operation(operation))
	}
	return err
}

// finish ends it and waits until it has.
func (a *attaching) finish(t *testing.T) {
	t.Helper()
	close(a.stop)
	<-a.ended
	must(t, a.err)
}

// A host whose agent does not answer goes on as it was; the agent's own answer to
// probes is missing at once, and the server says that the host is away.
func TestAgentStopped(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	agent := s.agents["h1"]
	if !ready(agent) {
		t.Fatal("the agent is not ready before it is stopped")
	}
	pid := agent.Process().Pid()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) }) //nolint:errcheck // it may have ended
	unready := await(t, "the agent to be unready", func() bool { return !ready(agent) })
	time.Sleep(*lasts)
	if *full {
		await(t, "h1 to be known as offline", func() bool { return s.host(t, "h1").State == rest.HostStateOffline })
	}
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	caughtUp := s.settled(t)
	r.packets(traffic)
	r.within("unready after", unready, 10*time.Second)
	r.within("caught up after", caughtUp, 5*time.Second)
	r.converged(s, churn)
}

// ready asks the agent whether the policy is in force, as a probe would.
func ready(a *lab.Agent) bool {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(a.StateDir(), "agent.sock"))
	}
	probe := http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := probe.Get("http://agent/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close() //nolint:errcheck // it was read
	return resp.StatusCode == http.StatusOK
}
