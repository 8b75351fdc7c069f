package e2e_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion/internal/lab"
)

// On a bridge that sends every frame to every port, a promiscuous machine sees
// what its neighbours say; with Gabion only what is for it.
func TestNeighboursAreNotSeen(t *testing.T) {
	s := newSite(t)
	for _, h := range s.lab.Hosts() {
		if err := h.Flood(); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.overheard(t)) == 0 {
		t.Fatal("unfiltered, nothing of the neighbours is seen: the test is blind")
	}
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1", "a2", "b1", "b2")
	s.checkOpen(t)
	for _, f := range s.overheard(t) {
		t.Errorf("seen: %s", gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default))
	}
}

// overheard is what b1 sees that is not for it, while a1 and a2 talk.
func (s *site) overheard(t *testing.T) []lab.Frame {
	t.Helper()
	listener, a1, a2 := s.guests["b1"], s.guests["a1"].Endpoint, s.guests["a2"].Endpoint
	capture, err := listener.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	for range 10 {
		s.forgetNeighbours(t) // and so they ask for each other, too
		probes := append(services(a1, a2), services(a2, a1)...)
		if _, err := lab.Try(t.Context(), probes...); err != nil {
			t.Fatal(err)
		}
	}
	// What is for the listener comes behind all of that.
	last := services(a1, listener.Endpoint)[2]
	if passed, err := lab.Try(t.Context(), last); err != nil || !passed[0] {
		t.Fatalf("%s: answered %v, %v", last, passed, err)
	}
	seen, err := capture.Until(t.Context(), func(f lab.Frame) bool { return bytes.Contains(f.Data, []byte("gabion")) && isFor(listener.Endpoint, f) })
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(seen, func(f lab.Frame) bool { return isFor(listener.Endpoint, f) })
}

// isFor tells whether the frame is for the endpoint, or asks for its address.
func isFor(e *lab.Endpoint, f lab.Frame) bool {
	if bytes.Equal(f.Data[:6], e.MAC[:]) {
		return true
	}
	p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
	if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		return bytes.Equal(a.DstProtAddress, e.Addr4.AsSlice())
	}
	if n, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
		return n.TargetAddress.Equal(e.Addr6.AsSlice()) || n.TargetAddress.Equal(e.MAC.LinkLocal().AsSlice())
	}
	return false
}
