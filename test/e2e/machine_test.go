package e2e_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/lab/machine"
)

// upload is how much a real guest sends, and gets back, in bytes.
const upload = 64 << 20

// Whatever a real guest does is no different from what the namespaces of other
// tests do: it boots once, unfiltered, and then all is done again with Gabion.
func TestRealGuest(t *testing.T) {
	machine.Require(t)
	s := newSite(t)
	g := s.boot(t)
	neighbour := s.guests["b1"]

	s.checkForged(t, g, g.self, true)
	s.forgetNeighbours(t)
	g.checkUpload(t, neighbour)
	if err := g.host.Flood(); err != nil {
		t.Fatal(err)
	}
	if len(g.overheard(t, s)) == 0 {
		t.Fatal("unfiltered, nothing of the neighbours is seen: the test is blind")
	}

	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1", "a2", "b1", "b2")
	s.registerAt(t, "open", g.host, g.Interface, g.self)
	s.checkForged(t, g, g.self, false)
	g.checkUpload(t, neighbour)
	for _, f := range g.overheard(t, s) {
		t.Errorf("seen: %s", gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default))
	}
}

// realGuest is a virtual machine on the first host.
type realGuest struct {
	*machine.Machine
	host *lab.Host
	self *lab.Endpoint // its name and addresses
}

func (s *site) boot(t *testing.T) *realGuest {
	t.Helper()
	g := &realGuest{host: s.lab.Hosts()[0], self: &lab.Endpoint{
		Name: "vm1", MAC: gabion.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56},
		Addr4: netip.MustParseAddr("10.77.0.50"), Addr6: netip.MustParseAddr("fd77::50"),
	}}
	var err error
	g.Machine, err = machine.Start(t.Context(), s.lab, g.host, machine.Config{
		Name: g.self.Name, Interface: "vnet0", MAC: g.self.MAC,
		Addresses: []netip.Prefix{netip.PrefixFrom(g.self.Addr4, 24), netip.PrefixFrom(g.self.Addr6, 64)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() }) //nolint:errcheck // the lab ends it as well
	return g
}

// checkUpload sends much over both families, and wants segments to leave the guest
// and to reach it in one piece, as they do between the guest's device and ours.
func (g *realGuest) checkUpload(t *testing.T, to *lab.Guest) {
	t.Helper()
	for _, address := range to.Addresses() {
		out, err := g.host.Capture(g.Interface)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if err := g.Capture(); err != nil {
			t.Fatal(err)
		}
		if err := g.Upload(netip.AddrPortFrom(address, webPort), upload); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Until(t.Context(), inOnePiece); err != nil {
			t.Errorf("to %s: no segments left in one piece: %v", address, err)
		}
		if in, _ := g.captured(t); !slices.ContainsFunc(in, inOnePiece) {
			t.Errorf("from %s: no segments arrived in one piece", address)
		}
	}
}

// inOnePiece tells whether a frame is larger than any on a wire.
func inOnePiece(f lab.Frame) bool {
	const mtu = 1500
	switch binary.BigEndian.Uint16(f.Data[12:]) {
	case uint16(layers.EthernetTypeIPv4):
		return binary.BigEndian.Uint16(f.Data[16:]) > mtu
	case uint16(layers.EthernetTypeIPv6):
		return 40+int(binary.BigEndian.Uint16(f.Data[18:])) > mtu
	}
	return false
}

// overheard is what the guest sees that is not for it, while its neighbours talk.
func (g *realGuest) overheard(t *testing.T, s *site) []lab.Frame {
	t.Helper()
	if err := g.Capture(); err != nil {
		t.Fatal(err)
	}
	a1, b1, a2 := s.guests["a1"].Endpoint, s.guests["b1"].Endpoint, s.guests["a2"].Endpoint
	for range 10 {
		s.forgetNeighbours(t) // and so they ask for each other, too
		talk := slices.Concat(services(a1, b1), services(b1, a2), services(a2, a1))
		if _, err := lab.Try(t.Context(), talk...); err != nil {
			t.Fatal(err)
		}
	}
	// What is for the guest comes behind all of that.
	last := lab.Probe{From: a1, To: g.self, Protocol: gabion.ICMP}
	if passed, err := lab.Try(t.Context(), last); err != nil || !passed[0] {
		t.Fatalf("%s: answered %v, %v", last, passed, err)
	}
	frames, seen := g.captured(t)
	others := slices.DeleteFunc(frames, func(f lab.Frame) bool { return isFor(g.self, f) })
	if len(others) == 0 && seen > len(frames) {
		t.Errorf("%d frames were seen, and only the first %d looked at", seen, len(frames))
	}
	return others
}

// captured ends the capture: the heads of the first frames, and how many there were.
func (g *realGuest) captured(t *testing.T) (frames []lab.Frame, seen int) {
	t.Helper()
	heads, seen, err := g.Captured()
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("the capture saw nothing: it is blind")
	}
	for _, h := range heads {
		frames = append(frames, lab.Frame{Data: h})
	}
	return frames, seen
}
