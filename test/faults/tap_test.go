package faults_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// A tap is deleted and made anew, with the old name and every other time the old number
// too, for an instance that is not the friend that the former was: nothing of what the
// former might do passes, from the first frame on.
func TestTapsRecreated(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	passer, err := s.h1.AddGuest("passer")
	must(t, err)
	s.start(t)
	must(t, passer.Unplug())
	s.settled(t)
	s.awaitAnswer(t)
	before := s.leavings(t)
	must(t, passer.Plug())
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	trial := s.startTrial(t, passer)
	cycles := times(5, 1000)
	for n := range cycles {
		friend := s.register(t, passer, "friends")
		trial.passes(t)
		number, err := passer.Index()
		must(t, err)
		s.done(t)(s.client.DeleteInstance(t.Context(), friend))
		trial.tries(t, func() { s.replug(t, passer, number*(n%2)) })
		stranger := s.register(t, passer, "strangers")
		trial.tries(t, func() {})
		s.done(t)(s.client.DeleteInstance(t.Context(), stranger))
	}
	r.packets(traffic)
	r.tried(trial, cycles)
	r.converged(s, churn)
	must(t, passer.Unplug())
	r.nothingLeft(s, before)
}

// nothingLeft waits until the agent of h1 has let go of what is gone.
func (r *row) nothingLeft(s *site, before string) {
	r.Helper()
	after := ""
	for late := time.Now().Add(patience); after != before && time.Now().Before(late); time.Sleep(look) {
		after = s.leavings(r.T)
	}
	if after != before {
		r.Errorf("something is left over: before %s, after %s", before, after)
		return
	}
	r.say("nothing is left over: %s", before[:strings.Index(before, ", files")])
}

// replug takes the guest's link away and makes it anew, with that number if it is not 0.
func (s *site) replug(t *testing.T, g *lab.Guest, number int) {
	t.Helper()
	must(t, g.Unplug())
	must(t, g.PlugAt(number))
}

// awaitAnswer waits until the programs of h1 answer a question: what that needs is
// loaded in the background after the agent's start, and stays open.
func (s *site) awaitAnswer(t *testing.T) {
	t.Helper()
	port := triedPort
	question := rest.ExplainRequest{From: s.neighbour.Name, To: s.victim.Name, Protocol: rest.ProtocolTCP, Port: &port}
	await(t, "the programs to answer", func() bool {
		e, err := s.client.Explain(t.Context(), question)
		return err == nil && e.To.Loaded != nil && e.To.Loaded.Agrees
	})
}

// leavings counts what the agent of h1 holds: pins, interfaces in its table, open files.
func (s *site) leavings(t *testing.T) string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(s.pins("h1"), "links", "*"))
	must(t, err)
	return fmt.Sprintf("%d pins, %d interfaces, %d maps of flows, files: %s", len(links),
		elements(t, filepath.Join(s.pins("h1"), "nics_v*")), elements(t, filepath.Join(s.pins("h1"), "flows_v*")),
		openFiles(t, s.agents["h1"].Process().Pid()))
}

// openFiles counts what the process has open, by kind.
func openFiles(t *testing.T, pid int) string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	kinds := map[string]int{}
	for _, f := range files {
		if target, err := os.Readlink(f); err == nil { // closed meanwhile otherwise
			kind, _, _ := strings.Cut(target, ":[")
			kinds[kind]++
		}
	}
	var counted []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		counted = append(counted, fmt.Sprintf("%d %s", kinds[kind], strings.TrimPrefix(kind, "anon_inode:")))
	}
	return strings.Join(counted, ", ")
}

// elements is how many the map has; of those of a map of maps, how many different ones.
func elements(t *testing.T, pattern string) int {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(glob(t, pattern)[0], &ebpf.LoadPinOptions{ReadOnly: true})
	must(t, err)
	defer m.Close()
	different := map[string]bool{}
	var key any
	for next := make([]byte, m.KeySize()); m.NextKey(key, &next) == nil; {
		now := bytes.Clone(next)
		key = now
		var inner uint32
		if m.Type() != ebpf.ArrayOfMaps {
			different[string(now)] = true
		} else if m.Lookup(now, &inner) == nil {
			different[fmt.Sprint(inner)] = true
		}
	}
	return len(different)
}

// A tap that gets another name is nobody's any more, and then an instance's of other
// addresses: the friend's pass only where the policy has the friend.
func TestTapRenamed(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	passer, err := s.h1.AddGuest("passer")
	must(t, err)
	s.agentArgs = []string{"--instance-interface", "tap-"}
	s.start(t)
	s.awaitAnswer(t)
	before := s.leavings(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	friends, moved := passer.Interface, "tap-moved"
	trial := s.startTrial(t, passer)
	cycles := times(3, 100)
	var closed []time.Duration
	for range cycles {
		friend := s.register(t, passer, "friends")
		trial.passes(t)
		must(t, passer.Rename(moved))
		closed = append(closed, await(t, "the renamed interface to be closed", trial.isClosed))
		other := s.done(t)(s.client.CreateInstance(t.Context(), s.otherAt(passer))).Reference.ID
		trial.tries(t, func() {})
		s.done(t)(s.client.DeleteInstance(t.Context(), other))
		trial.tries(t, func() {})
		must(t, passer.Rename(friends))
		trial.passes(t)
		s.done(t)(s.client.DeleteInstance(t.Context(), friend))
	}
	r.packets(traffic)
	r.tried(trial, cycles)
	r.within("the renamed interface closed after at most", quantile(closed, 1), 2*time.Second)
	r.converged(s, churn)
	must(t, passer.Unplug())
	r.nothingLeft(s, before)
}

// otherAt is an instance that has the guest's interface and none of its addresses.
func (s *site) otherAt(g *lab.Guest) rest.CreateInstanceRequest {
	other := s.instanceOf(g, "friends")
	other.Name = "other"
	other.Interfaces[0].MAC, other.Interfaces[0].IPv4, other.Interfaces[0].IPv6 = "02:77:00:00:01:01", []string{"10.77.0.250"}, nil
	return other
}
