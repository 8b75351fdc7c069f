package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/hypervisor"
)

type stageConfig struct {
	beltless bool
	managed  bool // the agent makes the tap
}

// stage is an agent's enforcer in a network namespace with a bridge, whose uplink the
// test listens and sends at, and a tap that comes and goes.
type stage struct {
	t      *testing.T
	pins   string
	host   *hypervisor.Hypervisor
	bridge netlink.Link
	wire   *wire // the far end of the uplink

	index                      int // of the last tap
	forged, intruded           atomic.Int64
	honest, second             atomic.Int64 // from instance one, from instance two
	sentForged, sentDenied     atomic.Int64
	files, links, numbers, nic int // what there was after some cycles
}

// beltless is a host without nftables.
type beltless struct{ *hypervisor.Hypervisor }

func (beltless) FastenBelt(hypervisor.Belt) (bool, error) { return false, errors.New("no nftables") }
func (beltless) LoosenBelt() error                        { return nil }

// onStage runs the script beside an enforcer that has the policy of instance one on tap1.
func onStage(t *testing.T, c stageConfig, script func(s *stage)) {
	t.Helper()
	if testing.Short() {
		t.Skip("makes many taps")
	}
	enterNamespace(t)
	s := &stage{t: t, pins: filepath.Join(agent.PinDir, fmt.Sprintf("gbtp%d-%d", os.Getpid(), time.Now().UnixNano()))}
	t.Cleanup(func() {
		if err := datapath.Remove(s.pins); err != nil {
			t.Error(err)
		}
	})
	d, err := datapath.Open(datapath.Config{Dir: s.pins, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if s.host, err = hypervisor.Open(); err != nil {
		t.Fatal(err)
	}
	defer s.host.Close()
	s.build()
	r := &real{Datapath: d, acks: make(chan ack, 1000)}
	var h agent.Host = s.host
	if c.beltless {
		h = beltless{s.host}
	}
	e, _ := agent.NewEnforcer("hv1", t.TempDir(), r, h, r)
	ctx, cancel := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() {
		if err := s.host.Watch(ctx, e.Links); err != nil {
			t.Error(err)
		}
	})
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	beside.Go(func() {
		defer cancel()
		runtime.LockOSThread() // and never given back: it dies in that namespace
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		listening, stop := context.WithCancel(ctx)
		var listener sync.WaitGroup
		listener.Go(func() { s.listen(listening) })
		e.Replace("e", view(5, one(c.managed), two()))
		if r.acknowledged(t, 5) {
			script(s)
		}
		stop()
		listener.Wait()
	})
	if err := e.Run(ctx); err != nil {
		t.Error(err)
	}
	beside.Wait()
	s.wire.close()
}

// build makes the bridge and its uplink.
func (s *stage) build() {
	s.t.Helper()
	for _, name := range []string{"iptables", "ip6tables", "arptables"} {
		_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+name, []byte("0"), 0) // if it is there
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	s.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "up0"}, PeerName: "up0p"}))
	s.addBridge()
	far, err := netlink.LinkByName("up0p")
	s.must(err)
	s.must(netlink.LinkSetUp(far))
	s.wire = openWire(s.t, far.Attrs().Index)
}

// addBridge makes the bridge, and its uplink a port of it.
func (s *stage) addBridge() {
	s.t.Helper()
	off := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: &off}
	s.must(netlink.LinkAdd(bridge))
	s.must(netlink.LinkSetUp(bridge))
	uplink, err := netlink.LinkByName("up0")
	s.must(err)
	s.must(netlink.LinkSetMaster(uplink, bridge))
	s.must(netlink.LinkSetUp(uplink))
	s.bridge = bridge
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
		runtime.Goexit()
	}
}
