package faults_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// The rules of one instance do not fit into the maps. What it had stays, and that is
// said, until they fit again; the other instances of its host get what is theirs.
func TestPolicyFull(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	late, other, apart := s.guest(t, s.h1, "late"), s.guest(t, s.h1, "other"), s.guest(t, s.h2, "apart")
	s.start(t)
	for _, name := range []string{"apart", "other"} {
		s.groups[name] = s.done(t)(s.client.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: name})).Reference.ID
	}
	s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["other"], s.friendsAt(triedPort)))
	s.register(t, other, "other")
	before, since := s.trialAt(t, other, triedPort), s.trialAt(t, other, triedPort+1)
	before.passes(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	begun := time.Now()
	refused, err := s.client.ReplaceRules(t.Context(), s.groups["web"], crossing(860, 140)) // 1.2 million entries
	must(t, err)
	await(t, "what does not fit to be told", func() bool {
		told := s.host(t, "h1").Error
		return strings.Contains(told, s.groups["web"]) && strings.Contains(told, "keep the rules of revision") && !ready(s.agents["h1"])
	})
	told, problem := time.Since(begun), s.host(t, "h1").Error

	before.passes(t)
	since.tries(t, func() {})
	begun = time.Now()
	var replaced rest.Operation
	answered := make(chan error, 1) // only once the server is tired of waiting for the host
	go func() {
		var err error
		replaced, err = s.client.ReplaceRules(t.Context(), s.groups["other"], s.friendsAt(triedPort+1))
		answered <- err
	}()
	since.passes(t)
	others := time.Since(begun)
	await(t, "a revoked rule to admit nobody", before.isClosed)
	must(t, <-answered)
	before.tries(t, func() { time.Sleep(*lasts) })
	since.passes(t)
	for _, y := range []*trial{before, since} {
		if n := y.nobody.got.count(); n > 0 {
			r.Errorf("%d of %d packets passed that no rule admits", n, y.nobody.sent.Load())
		}
	}
	friend, err := s.client.CreateInstance(t.Context(), s.instanceOf(late, "friends"))
	must(t, err)
	s.startTrial(t, late).passes(t) // by a rule that stays, as a member that is new
	s.register(t, apart, "apart")
	for _, o := range []rest.Operation{refused, replaced, friend} {
		if o, err = s.client.Operation(t.Context(), o.ID); err != nil || o.State != rest.OperationStatePending {
			r.Errorf("a change of a host that has older rules is %s (%v)", o.State, err)
		}
	}
	r.say("told after %s: %q", rounded(told), problem)
	r.say("meanwhile another instance of that host got a rule for another, which let in after %s; %s of %s packets passed by the one that it lost",
		rounded(others), count(before.nobody.got.count()), count(before.nobody.sent.Load()))
	s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{}))
	back := s.settled(t)
	r.packets(traffic)
	r.say("all that waited enforced %s after it fitted again", rounded(back))
	r.limit("instances with exactly these groups keep the rules that they have, and have none if the agent is started anew meanwhile; " +
		"the others of that host get theirs, but no change there is reported as enforced until all fit; other hosts go on")
	r.converged(s, churn)
}

func (s *site) guest(t *testing.T, h *lab.Host, name string) *lab.Guest {
	t.Helper()
	g, err := h.AddGuest(name)
	must(t, err)
	return g
}

func (s *site) friendsAt(port int) []rest.AddRuleRequest {
	return []rest.AddRuleRequest{s.fromGroup("udp", port, port, "friends")}
}

// trialAt is packets of the friend to a port of a guest.
func (s *site) trialAt(t *testing.T, to *lab.Guest, port uint16) *trial {
	t.Helper()
	y := &trial{from: s.friend, to: netip.AddrPortFrom(to.Addr4, port)}
	y.friend, y.nobody = y.as("the friend", 1), y.as("nobody", 2)
	r, err := listen(to.Endpoint, port, map[uint16]*stream{1: y.friend, 2: y.nobody})
	must(t, err)
	reading := &traffic{receivers: []*receiver{r}, stopping: make(chan struct{})}
	reading.reading.Go(r.run)
	t.Cleanup(reading.close)
	return y
}

// crossing are rules that come to very many entries of a policy map: those that are for
// everybody are there once for each network that others name, with ten port prefixes
// each. They let nobody reach what the senders try.
func crossing(everybody, networks int) (rules []rest.AddRuleRequest) {
	for n := range everybody {
		rules = append(rules, fromNetwork("tcp", 64*n+1, 64*n+62, "0.0.0.0/0"))
	}
	for n := range networks {
		rules = append(rules, fromNetwork("tcp", 1, 1, fmt.Sprintf("198.51.%d.%d/32", n/250, n%250)))
	}
	return rules
}
