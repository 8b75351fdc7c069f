package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// A machine that stops and starts gets a new interface of the old name, which
// knows nothing of the old one's programs.
func TestRecreatedInterface(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	for range 3 {
		if err := s.guests["b1"].Unplug(); err != nil {
			t.Fatal(err)
		}
		if err := s.guests["b1"].Plug(); err != nil {
			t.Fatal(err)
		}
		s.awaitVerdict(t, "b1", false)
		s.checkPredicted(t)
	}
	s.run(t, "rule delete servers "+s.ruleID(t, "servers", webPort))
	s.checkPredicted(t)
}

// An instance may be registered before its interface is there.
func TestInterfaceThatComesLater(t *testing.T) {
	s := newSite(t)
	s.start(t)
	if err := s.guests["b2"].Unplug(); err != nil {
		t.Fatal(err)
	}
	twoRoles(t, s)
	s.awaitState(t, "b2", rest.InstanceStateStopped)
	if err := s.guests["b2"].Plug(); err != nil {
		t.Fatal(err)
	}
	s.awaitVerdict(t, "b2", false)
	s.awaitState(t, "b2", rest.InstanceStateRunning)
	s.checkPredicted(t)
}

// A host that restarts has no programs and no server to ask: the agent enforces
// what it wrote down.
func TestHostRestartsWithoutServer(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	p := s.predictor(t)
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.lab.Hosts() {
		if err := s.agents[h.Name].Kill(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join("/sys/fs/bpf/gabion", s.lab.Name(h.Name))); err != nil {
			t.Fatal(err)
		}
	}
	for name := range s.guests {
		s.awaitVerdict(t, name, true)
	}
	s.checkOpen(t)
	for _, a := range s.agents {
		if err := a.StartAsService(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.check(t, s.everyPair(), p.Passes)

	if err := s.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(t, "rule add clients --protocol tcp --port 80 --from servers --wait 60s")
	s.checkPredicted(t)
}

// An address that moves takes nothing along: what its old owner may, it may not
// any more, in the flows that are open, too.
func TestAddressMoves(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	a1 := s.guests["a1"]
	c := dial(t, a1, netip.AddrPortFrom(s.guests["b2"].Addr4, webPort))
	if !c.echoes(t, "before") {
		t.Fatal("the connection does not work before the move")
	}
	s.run(t, "instance delete a1", "group create nobody",
		"instance create heir --host "+a1.Host.Name+" --interface "+a1.Interface+
			" --mac "+a1.MAC.String()+" --ip "+a1.Addr4.String()+","+a1.Addr6.String()+" --group nobody")
	s.checkPredicted(t)
	if c.echoes(t, "after") {
		t.Error("the connection of the old owner goes on")
	}
}

// awaitVerdict waits until the guest is reached, or not, by what no rule of
// twoRoles admits.
func (s *site) awaitVerdict(t *testing.T, name string, passes bool) {
	t.Helper()
	p := lab.Probe{From: s.lab.Outside, To: s.guests[name].Endpoint, Protocol: gabion.TCP, Port: webPort}
	s.await(t, fmt.Sprintf("%s passed=%t", p, passes), func() bool {
		passed, err := lab.Try(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return passed[0] == passes
	})
}
