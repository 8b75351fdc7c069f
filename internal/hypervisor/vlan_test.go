package hypervisor_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
)

// On a bridge that filters VLANs and gives new ports none, a port passes nothing from
// its first frame until it is given one, and a new one of its name begins anew.
func TestVLAN(t *testing.T) {
	if isInGuest() {
		testVLAN(t)
	} else {
		runInGuest(t)
	}
}

func testVLAN(t *testing.T) {
	s := newSwitchboard(t)
	s.expectPasses(t, "before VLANs are filtered")
	if links(t, s.Hypervisor)["br0"].IsClosed {
		t.Error("the bridge is taken for closed")
	}
	settings := filepath.Join(mountSysfs(t), "class/net/br0/bridge")
	set(t, settings, "vlan_filtering", "1")
	s.expectPasses(t, "with a VLAN that new ports get")
	if links(t, s.Hypervisor)["br0"].IsClosed {
		t.Error("the bridge is taken for closed although new ports get a VLAN")
	}
	// The kernel changes what new ports get only while it filters nothing.
	set(t, settings, "vlan_filtering", "0")
	set(t, settings, "default_pvid", "0")
	set(t, settings, "vlan_filtering", "1")
	if !links(t, s.Hypervisor)["br0"].IsClosed {
		t.Error("the bridge is not taken for closed")
	}
	s.expectPasses(t, "without VLANs", "v0", "v1", "v2")

	s.give(t, "v1")
	s.give(t, "v2")
	s.expectPasses(t, "v1 and v2 have one", "v0")
	s.give(t, "v0")
	s.give(t, "v0")
	s.expectPasses(t, "v0 has one, too")

	if err := netlink.LinkDel(veth("v0")); err != nil {
		t.Fatal(err)
	}
	s.plug(t, "v0")
	s.expectPasses(t, "v0 is another", "v0")
	s.give(t, "v0")
	s.expectPasses(t, "the new v0 has one")

	v0 := veth("v0")
	if err := netlink.LinkSetNoMaster(v0); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMaster(v0, s.bridge); err != nil {
		t.Fatal(err)
	}
	s.expectPasses(t, "v0 left and came back", "v0")
	s.give(t, "v0")
	s.expectPasses(t, "v0 has one again")
}

func set(t testing.TB, dir, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func (s *switchboard) give(t testing.TB, name string) {
	t.Helper()
	if err := s.GiveVLAN(links(t, s.Hypervisor)[name], 7); err != nil {
		t.Fatal(err)
	}
}
