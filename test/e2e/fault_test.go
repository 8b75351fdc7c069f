package e2e_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/client/rest"
)

// An agent that is dead filters as before; one that is back catches up.
func TestAgentCrash(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	c := dial(t, s.guests["a1"], netip.AddrPortFrom(s.guests["b2"].Addr4, webPort))
	for _, a := range s.agents {
		if err := a.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	s.checkPredicted(t)
	if !c.echoes(t, "agents are dead") {
		t.Error("the connection that was open is cut")
	}

	before := s.predictor(t)
	message := s.refused(t, "rule delete servers "+s.ruleID(t, "servers", webPort)+" --wait 1s")
	if !strings.Contains(message, "h2") {
		t.Errorf("%q does not name the host that is not there", message)
	}
	s.check(t, s.everyPair(), before.Passes)

	for _, a := range s.agents {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitOperation(t, message)
	s.checkPredicted(t)
	if c.echoes(t, "rule is gone") {
		t.Error("the connection goes on though its rule is gone")
	}
}

func TestAgentRestartCutsNothing(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	c := dial(t, s.guests["a1"], netip.AddrPortFrom(s.guests["b2"].Addr6, webPort))
	for _, a := range s.agents {
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if !c.echoes(t, "while it starts") {
			t.Error("the connection that was open is cut")
		}
	}
	s.checkPredicted(t)
	s.run(t, "rule delete servers "+s.ruleID(t, "servers", webPort))
	s.checkPredicted(t)
}

// Every acknowledged write is there after the server was killed.
func TestServerCrash(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	for name := range s.guests {
		s.awaitState(t, name, rest.InstanceStateRunning)
	}
	before := s.output(t, "group list -o json") + s.output(t, "instance list -o json")
	p := s.predictor(t)
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	s.check(t, s.everyPair(), p.Passes)
	if err := s.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := s.output(t, "group list -o json") + s.output(t, "instance list -o json")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what the server has (-before +after):\n%s", diff)
	}
	s.checkPredicted(t)

	// Agents come back by themselves, and get what is new.
	s.run(t, "rule add clients --protocol tcp --port 80 --from servers --wait 60s")
	s.checkPredicted(t)
}
