package datapath_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/vishvananda/netlink"
)

// TestInterfacesOfTheHostAreRefused: whoever claims one as an instance's neither cuts
// the host off nor disturbs other instances, and leaves nothing when it goes.
func TestInterfacesOfTheHostAreRefused(t *testing.T) {
	h := newHost(t)
	links := map[string]int{
		"lo":  1,
		"br0": addLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}),
	}
	own := map[string]int{
		"tap0": addLink(t, &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP}),
		"veth": addInterface(t, "veth"),
	}
	maps.Copy(links, own)

	view := policy.NewView()
	view.Groups["group-0"] = &policy.Group{ID: "group-0", Organization: "org-a"}
	for name := range own {
		view.Instances[name] = claims(name)
	}
	h.apply(t, view, links)
	for name, what := range map[string]string{"lo": "device of the host's own", "br0": "it is a bridge"} {
		view.Instances[name] = claims(name)
		err := h.Apply(context.Background(), view, links)
		var partial *datapath.PartialError
		if !errors.As(err, &partial) || len(partial.Causes) != 1 ||
			!strings.Contains(err.Error(), "interface "+name) || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want one about %s that says %q", err, name, what)
		}
		h.wantOnly(t, links, own)
		delete(view.Instances, name)
		h.apply(t, view, links)
		h.wantOnly(t, links, own)
	}
	h.check(t)
}

func claims(name string) *gabion.Instance {
	return &gabion.Instance{
		ID: name, Organization: "org-a", Groups: []string{"group-0"},
		NICs: []gabion.NIC{{Interface: name, MAC: gabion.MAC{2, 0, 0, 0, 0, byte(len(name))}}},
	}
}

// wantOnly holds that programs and NICs are on these of the interfaces alone.
func (h *host) wantOnly(t *testing.T, all, want map[string]int) {
	t.Helper()
	for name, ifindex := range all {
		_, wanted := want[name]
		programs := 0
		if wanted {
			programs = 2
		}
		wantPrograms(t, ifindex, programs)
		if _, there := h.Expected().NICs[uint32(ifindex)]; there != wanted {
			t.Errorf("%s is a NIC: %t, want %t", name, there, wanted)
		}
	}
}

func addLink(t *testing.T, l netlink.Link) int {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatal(err)
	}
	found, err := netlink.LinkByName(l.Attrs().Name)
	if err != nil {
		t.Fatal(err)
	}
	return found.Attrs().Index
}
