package e2e_test

import (
	"net/netip"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// twoRoles lets the clients (a1, a2) reach the servers (b1, b2), from either host.
func twoRoles(t *testing.T, s *site) {
	t.Helper()
	s.run(
		t,
		"group create clients", "group create servers",
		"rule add servers --protocol tcp --port 80 --from clients",
		"rule add servers --protocol udp --port 4000-5000 --from clients,10.77.0.0/24",
		"rule add clients --template ping --from 203.0.113.10",
		"rule add clients --protocol icmpv6 --from servers",
	)
	s.register(t, "clients", "a1", "a2")
	s.register(t, "servers", "b1", "b2")
}

func TestPolicyDecides(t *testing.T) {
	s := newSite(t)
	s.checkOpen(t)
	s.start(t)
	twoRoles(t, s)
	s.checkPredicted(t)

	s.run(t, "rule add clients --protocol tcp --port 80 --to servers")
	s.checkPredicted(t)

	s.run(t, "group add-source clients 2001:db8:77::/64")
	s.checkPredicted(t)
}

// What is large passes where what is small does: fragments of both families, and
// segments that the kernel sends in one piece.
func TestLargePackets(t *testing.T) {
	s := newSite(t)
	var large []lab.Probe
	for _, p := range s.everyPair() {
		switch p.Protocol {
		case gabion.TCP:
			p.Size = 200_000
		case gabion.UDP:
			p.Size = 5000
		default:
			p.Size = 3000
		}
		large = append(large, p)
	}
	s.check(t, large, func(lab.Probe) bool { return true })
	s.start(t)
	s.run(
		t, "group create all", "rule add all --template ping",
		"rule add all --protocol tcp --port 80 --from 0.0.0.0/0,::/0",
		"rule add all --protocol udp --port 4321 --from 0.0.0.0/0,::/0",
	)
	s.register(t, "all", "a1", "a2", "b1", "b2")
	s.check(t, large, func(lab.Probe) bool { return true })
}

func TestRevocationCutsConnections(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	var open []*connection
	for _, to := range s.guests["b2"].Addresses() {
		c := dial(t, s.guests["a1"], netip.AddrPortFrom(to, webPort))
		if !c.echoes(t, "before") {
			t.Fatalf("%s: does not answer though the rule is there", to)
		}
		open = append(open, c)
	}
	rule := s.ruleID(t, "servers", webPort)
	s.run(t, "rule delete servers "+rule)
	for _, c := range open {
		if c.echoes(t, "after") {
			t.Errorf("%s: goes on after the rule is gone", c.RemoteAddr())
		}
	}
	s.checkPredicted(t)

	s.run(t, "rule add servers --protocol tcp --port 80 --from clients")
	for _, c := range open {
		if !c.hears(t, "after", resumption) {
			t.Errorf("%s: does not go on after the rule is back", c.RemoteAddr())
		}
	}
}

func TestGroupsChangeOnStoppedInstances(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	s.awaitState(t, "a1", rest.InstanceStateRunning)
	s.refused(t, "instance attach a1 servers")
	s.checkPredicted(t)
	if err := s.guests["a1"].SetUp(false); err != nil {
		t.Fatal(err)
	}
	s.awaitState(t, "a1", rest.InstanceStateStopped)
	s.run(t, "instance attach a1 servers")
	if err := s.guests["a1"].SetUp(true); err != nil {
		t.Fatal(err)
	}
	s.awaitState(t, "a1", rest.InstanceStateRunning)
	s.checkPredicted(t)
}

// An instance that is forgotten keeps nothing: its interface still has its
// programs, which know no policy for it.
func TestInterfaceWithoutPolicy(t *testing.T) {
	s := newSite(t)
	s.start(t)
	s.run(
		t, "group create open", "rule add open --template ping",
		"rule add open --protocol tcp --port 80 --from 0.0.0.0/0,::/0",
		"rule add open --protocol udp --port 4321 --from 0.0.0.0/0,::/0",
	)
	s.register(t, "open", "a1", "a2", "b1", "b2")
	s.checkOpen(t)
	s.run(t, "instance delete a1")
	gone := s.guests["a1"].Endpoint
	s.check(t, s.everyPair(), func(p lab.Probe) bool { return p.From != gone && p.To != gone })
}
