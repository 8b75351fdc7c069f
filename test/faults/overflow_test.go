package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// A policy that does not fit into the maps is not begun: what was in force stays, and
// that is said, until it fits again.
func TestPolicyFull(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	var late, apart *lab.Guest
	for name, g := range map[string]struct {
		guest **lab.Guest
		host  *lab.Host
	}{"late": {&late, s.h1}, "apart": {&apart, s.h2}} {
		var err error
		*g.guest, err = g.host.AddGuest(name)
		must(t, err)
	}
	s.start(t)
	s.groups["apart"] = s.done(t)(s.client.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: "apart"})).Reference.ID
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	begun := time.Now()
	refused, err := s.client.ReplaceRules(t.Context(), s.groups["web"], crossing(860, 140)) // 1.2 million entries
	must(t, err)
	await(t, "what does not fit to be told", func() bool {
		return strings.Contains(s.host(t, "h1").Error, "the policy in force stays") && !ready(s.agents["h1"])
	})
	told := time.Since(begun)
	friend, err := s.client.CreateInstance(t.Context(), s.instanceOf(late, "friends"))
	must(t, err)
	s.register(t, apart, "apart")
	trial := s.startTrial(t, late)
	trial.tries(t, func() {})
	time.Sleep(*lasts)
	// Later the guest's own kernel sends what waits there for the victim's address.
	if n := trial.nobody.got.count(); n > 0 {
		r.Errorf("%d packets of an instance passed that the policy in force does not know", n)
	}
	for _, o := range []rest.Operation{refused, friend} {
		if o, err = s.client.Operation(t.Context(), o.ID); err != nil || o.State != rest.OperationStatePending {
			r.Errorf("a change that is not in force is %s (%v)", o.State, err)
		}
	}
	r.say("told after %s: %q", rounded(told), s.host(t, "h1").Error)
	s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{}))
	back := s.settled(t)
	trial.passes(t)
	r.packets(traffic)
	r.say("all that waited enforced %s after it fitted again", rounded(back))
	r.limit("the other instances of that host keep what they have, and their changes wait, too; other hosts go on")
	r.converged(s, churn)
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
