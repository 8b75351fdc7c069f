package machine_test

import (
	"net/netip"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/lab/machine"
	"github.com/gabion/gabion/internal/privilege"
)

// TestMachineSeesAndSends boots a real guest beside a namespace guest on a bridge
// without any enforcement.
func TestMachineSeesAndSends(t *testing.T) {
	privilege.Require(t)
	machine.Require(t)
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	host, err := l.AddHost("hv1")
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := host.AddGuest("neighbour")
	if err != nil {
		t.Fatal(err)
	}
	m, err := machine.Start(t.Context(), l, host, machine.Config{
		Name: "vm1", Interface: "vnet0",
		MAC:       gabion.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56},
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.50/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // the lab ends it as well
	if err := neighbour.Serve([]uint16{7}, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Capture(); err != nil {
		t.Fatal(err)
	}
	const bytes = 8 << 20
	if err := m.Upload(netip.AddrPortFrom(neighbour.Addr4, 7), bytes); err != nil {
		t.Fatal(err)
	}
	frames, seen, err := m.Captured()
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 || len(frames) == 0 {
		t.Errorf("capture during an upload saw %d frames", seen)
	}
}
