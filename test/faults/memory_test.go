package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// A process that gets no more memory ends, in whatever it was about: the kernel refuses
// what it asks for. (One that the kernel ends because others took all is killed, as in
// TestAgentKilled and TestServerKilled.)
func TestOutOfMemory(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	var unready, caughtUp []time.Duration
	ends := times(1, 20)
	for range ends {
		agent := s.agents["h1"]
		must(t, agent.Kill())
		must(t, agent.Start())
		must(t, s.server.Kill())
		must(t, s.server.Start(t.Context()))
		s.settled(t)
		s.starve(t, agent.Process())
		unready = append(unready, await(t, "the agent to be unready", func() bool { return !ready(agent) }))
		s.unload(t)
		must(t, agent.Start())
		caughtUp = append(caughtUp, s.settled(t))
		s.starve(t, s.server.Process())
		must(t, s.server.Start(t.Context()))
		s.unload(t)
		caughtUp = append(caughtUp, s.settled(t))
	}
	r.packets(traffic)
	r.say("the agent and the server ended %d times each", ends)
	r.within("unready after at most", quantile(unready, 1), 10*time.Second)
	r.within("caught up after at most", quantile(caughtUp, 1), 5*time.Second)
	r.converged(s, churn)
}

// starve gives the process no more memory than it has, and has it take in larger
// and larger policies until it ends. It has just started: what it had used before and
// is free again would be enough.
func (s *site) starve(t *testing.T, p *lab.Process) {
	t.Helper()
	has := dataOf(t, p.Pid())
	must(t, unix.Prlimit(p.Pid(), unix.RLIMIT_DATA, &unix.Rlimit{Cur: has, Max: has}, nil))
	for n := 0; !ended(p); n++ {
		if n > 10*largest {
			t.Fatalf("the process goes on with %d bytes after %d large policies", has, n)
		}
		s.client.ReplaceRules(t.Context(), s.groups["web"], crossing(100, 25*(1+n%largest))) //nolint:errcheck // whoever is starved may be the server
	}
	log, err := os.ReadFile(p.Log)
	must(t, err)
	// The last is a thread for which there is no stack.
	want := []string{"out of memory", "cannot allocate memory", "pthread_create failed"}
	if !slices.ContainsFunc(want, func(w string) bool { return bytes.Contains(log, []byte(w)) }) {
		t.Errorf("the process ended of something else than want of memory")
	}
}

// largest is how often a policy grows until it is near to what maps hold, a million
// entries: no process has so much memory left over.
const largest = 35

// unload takes away the policy that starved, once somebody can.
func (s *site) unload(t *testing.T) {
	t.Helper()
	await(t, "the large policy to be taken away", func() bool {
		_, err := s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{})
		return err == nil
	})
}

// dataOf is how much memory of its own the process has, in bytes, as RLIMIT_DATA counts it.
func dataOf(t *testing.T, pid int) uint64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmData:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, err := strconv.ParseUint(number, 10, 64)
	must(t, err)
	return kilobytes << 10
}

// ended tells whether the process has.
func ended(p *lab.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}
