package agent_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/agent"
)

const (
	idleTaps = 100
	idleTime = 5 * time.Second
	idleMost = 0.01 // of one processor
)

// Audits every second cost next to nothing.
func TestIdleCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	var instances []*gabion.Instance
	for n := range idleTaps {
		i := one(false)
		i.ID = fmt.Sprintf("i%d", n)
		i.NICs[0].Interface = fmt.Sprintf("tap%d", n)
		i.NICs[0].MAC[5] = byte(n)
		i.NICs[0].Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(n)})}
		instances = append(instances, i)
	}
	withKernel(t, func(e agent.Enforcer, r *real) {
		h, err := netlink.NewHandleAt(r.namespace)
		if err != nil {
			t.Error(err)
			return
		}
		defer h.Close()
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := h.LinkAdd(bridge); err != nil {
			t.Error(err)
			return
		}
		for n := range idleTaps {
			tap := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("tap%d", n)}, PeerName: fmt.Sprintf("far%d", n)}
			if err := h.LinkAdd(tap); err != nil {
				t.Error(err)
				return
			}
			if err := h.LinkSetMaster(tap, bridge); err != nil {
				t.Error(err)
				return
			}
		}
		e.Links(r.links(t))
		e.Replace("e", view(5, instances...))
		if !r.acknowledged(t, 5) {
			return
		}
		time.Sleep(time.Second) // what it has to do after that, garbage included
		before := processorTime(t)
		time.Sleep(idleTime)
		share := (processorTime(t) - before).Seconds() / idleTime.Seconds()
		t.Logf("%d taps, audited every second: %.2f %% of a processor", idleTaps, 100*share)
		if share > idleMost {
			t.Errorf("idle, it takes %.2f %% of a processor", 100*share)
		}
	})
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Error(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
