package faults_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/lab"
)

// Hosts go on without a server, for as long as it takes, also if their agents are
// started anew meanwhile.
func TestServerAway(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	time.Sleep(time.Second)
	must(t, s.server.Kill())
	for _, a := range s.agents {
		must(t, a.Kill())
		must(t, a.Start())
		await(t, "the agent to enforce what it has", func() bool { return ready(a) })
	}
	before, begun := processorTime(t, s.agents), time.Now()
	time.Sleep(*lasts)
	used := (processorTime(t, s.agents) - before).Seconds() / time.Since(begun).Seconds() / float64(len(s.agents))
	must(t, s.server.Start(t.Context()))
	caughtUp := s.settled(t)
	r.packets(traffic)
	r.say("server away for %s; each agent used %.2f %% of a processor", rounded(time.Since(begun)), 100*used)
	if *full && used > 0.01 {
		r.Errorf("an idle agent used %.2f %% of a processor", 100*used)
	}
	r.say("in sync %s after the server was back", rounded(caughtUp))
	r.converged(s, churn)
}

// processorTime is what the agents have used so far.
func processorTime(t *testing.T, agents map[string]*lab.Agent) (sum time.Duration) {
	t.Helper()
	for _, a := range agents {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.Process().Pid()))
		must(t, err)
		var user, system int64
		_, fields, _ := strings.Cut(string(text), ") ")
		_, err = fmt.Sscanf(strings.Join(strings.Fields(fields)[11:13], " "), "%d %d", &user, &system)
		must(t, err)
		sum += time.Duration(user+system) * time.Second / 100 // USER_HZ
	}
	return sum
}

// A server that is killed at any moment, with its embedded store, has everything that
// it acknowledged.
func TestServerKilled(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	kills := times(3, 500)
	for range kills {
		time.Sleep(rand.N(500 * time.Millisecond))
		must(t, s.server.Kill())
		must(t, s.server.Start(t.Context()))
	}
	caughtUp := s.settled(t)
	r.packets(traffic)
	r.say("%d kills", kills)
	r.say("in sync %s after the last", rounded(caughtUp))
	r.converged(s, churn)
}

// A connection that carries nothing any more, and is not reset, is noticed.
func TestBlackHole(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	for _, which := range holes[len(holes)-times(1, len(holes)):] {
		before := s.cuts(t)
		s.drop(t, which, s.at(t))
		noticed := await(t, "the agent to notice", func() bool { return s.cuts(t) > before })
		s.mend(t)
		resumed := s.settled(t)
		r.within(which+" dropped: noticed after", noticed, 20*time.Second)
		r.within("resumed after", resumed, 30*time.Second)
	}
	r.packets(traffic)
	r.converged(s, churn)
}

// cuts is how often the agent of h1 has said that it lost its server.
func (s *site) cuts(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.lab.Dir(), "h1.log"))
	must(t, err)
	return bytes.Count(text, []byte("no stream from the server"))
}

// With another server a host does not wait until the connection carries something again.
func TestBlackHoleOfTwo(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.startTwo(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	for _, which := range holes[len(holes)-times(1, len(holes)):] {
		before, lost := s.cuts(t), s.at(t)
		s.drop(t, which, lost)
		noticed := await(t, "the agent to notice", func() bool { return s.cuts(t) > before })
		resumed := noticed + s.settled(t)
		if s.at(t) == lost {
			r.Errorf("h1 is in sync with %s, from which nothing comes", lost)
		}
		r.within(which+" dropped: noticed after", noticed, 20*time.Second)
		r.within("at the other, with a change of since enforced, after", resumed, 30*time.Second)
		s.mend(t)
	}
	r.packets(traffic)
	r.converged(s, churn)
}

// holes are the directions in which a connection may carry nothing.
var holes = []string{"input", "output", "both"}

var inSync = regexp.MustCompile(`in sync with the server.*server=(\S+)`)

// at is the server that the agent of h1 was in sync with last.
func (s *site) at(t *testing.T) netip.AddrPort {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.lab.Dir(), "h1.log"))
	must(t, err)
	all := inSync.FindAllSubmatch(text, -1)
	if len(all) == 0 {
		t.Fatal("h1 was never in sync")
	}
	server, err := netip.ParseAddrPort(string(all[len(all)-1][1]))
	must(t, err)
	return server
}

// drop loses all that comes to h1 from the server, all that goes there, or both.
func (s *site) drop(t *testing.T, which string, server netip.AddrPort) {
	t.Helper()
	rules := "table ip gbft {\n"
	for hook, port := range map[string]string{"input": "sport", "output": "dport"} {
		if which == hook || which == "both" {
			rules += fmt.Sprintf("chain %s { type filter hook %s priority 0; tcp %s %d drop; }\n", hook, hook, port, server.Port())
		}
	}
	s.nft(t, rules+"}")
}

func (s *site) mend(t *testing.T) {
	t.Helper()
	s.nft(t, "delete table ip gbft")
}

func (s *site) nft(t *testing.T, ruleset string) {
	t.Helper()
	runNFT(t, s.h1.Namespace(), ruleset)
}

func runNFT(t *testing.T, in *lab.Namespace, ruleset string) {
	t.Helper()
	must(t, in.Do(func() error {
		nft := exec.Command("nft", "-f", "-")
		nft.Stdin = strings.NewReader(ruleset)
		if out, err := nft.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	}))
}
