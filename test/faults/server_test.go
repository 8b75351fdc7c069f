package faults_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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
	holes := []string{"input", "output", "both"}
	for _, which := range holes[len(holes)-times(1, len(holes)):] {
		before := s.cuts(t)
		s.drop(t, which)
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

// drop loses all that comes from the server, all that goes to it, or both.
func (s *site) drop(t *testing.T, which string) {
	t.Helper()
	rules := "table ip gbft {\n"
	for hook, key := range map[string]string{"input": "iifname", "output": "oifname"} {
		if which == hook || which == "both" {
			rules += fmt.Sprintf("chain %s { type filter hook %s priority 0; %s mgmt0 drop; }\n", hook, hook, key)
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
