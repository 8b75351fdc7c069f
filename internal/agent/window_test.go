package agent_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/hypervisor"
)

// cycles is how often the tap of an instance is made anew.
var cycles = flag.Int("cycles", 12, "how often a tap is deleted and made again in TestNewTapIsClosedFromItsFirstFrame")

// A machine that starts again has a new tap of the old name, and floods it from the
// moment that it is there. Nothing passes in either direction before the policy is in
// force on it, whatever the tap has in common with the one before.
func TestNewTapIsClosedFromItsFirstFrame(t *testing.T) {
	onStage(t, stageConfig{}, func(s *stage) {
		for n := range *cycles {
			how := []recreation{{}, {renamed: true}, {sameIndex: true}, {bridgeLast: true}}[n%4]
			s.cycle(how)
			if n == 7 {
				s.remember()
			}
			if t.Failed() {
				return
			}
		}
		if s.forged.Load()+s.intruded.Load() > 0 {
			t.Errorf("%d forged frames left the tap and %d denied ones reached it", s.forged.Load(), s.intruded.Load())
		}
		s.checkLeaks()
		t.Logf("%d cycles: %d forged and %d denied frames sent, none delivered; %d honest ones arrived",
			*cycles, s.sentForged.Load(), s.sentDenied.Load(), s.honest.Load())
	})
}

// The positive control: where nothing closes a new tap, the same frames are delivered.
func TestNewTapIsOpenWithoutRemedy(t *testing.T) {
	onStage(t, stageConfig{beltless: true}, func(s *stage) {
		for range 200 {
			if s.cycle(recreation{}); s.forged.Load() > 0 && s.intruded.Load() > 0 || t.Failed() {
				return
			}
		}
		t.Errorf("%d forged frames left, %d denied ones arrived: the test is blind", s.forged.Load(), s.intruded.Load())
	})
}

// recreation is what a new tap has in common with the one before, besides its name.
type recreation struct {
	renamed    bool // it is made under another name
	sameIndex  bool
	bridgeLast bool // it is up before it is a port
}

type stageConfig struct{ beltless bool }

// stage is an agent's enforcer in a network namespace with a bridge, whose uplink the
// test listens and sends at, and a tap that comes and goes.
type stage struct {
	t      *testing.T
	pins   string
	host   *hypervisor.Hypervisor
	bridge netlink.Link
	wire   *wire // the far end of the uplink

	index                      int // of the last tap
	forged, intruded, honest   atomic.Int64
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
	e, _ := agent.NewEnforcer(t.TempDir(), r, h, r)
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
		e.Replace("e", view(5, one(false)))
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
	off := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: &off}
	uplink := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "up0", MasterIndex: 0}, PeerName: "up0p"}
	for _, l := range []netlink.Link{bridge, uplink} {
		s.must(netlink.LinkAdd(l))
		s.must(netlink.LinkSetUp(l))
	}
	s.must(netlink.LinkSetMaster(uplink, bridge))
	far, err := netlink.LinkByName("up0p")
	s.must(err)
	s.must(netlink.LinkSetUp(far))
	s.bridge = bridge
	s.wire = openWire(s.t, far.Attrs().Index)
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
		runtime.Goexit()
	}
}

// listen counts what comes out at the uplink, and sends what the instance's rules deny.
func (s *stage) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if s.wire.send(deniedFrame) == nil {
			s.sentDenied.Add(1)
		}
		for {
			frame, ok := s.wire.receive()
			if !ok {
				break
			}
			switch {
			case bytes.Contains(frame, forgedMark):
				s.forged.Add(1)
			case bytes.Contains(frame, honestMark):
				s.honest.Add(1)
			}
		}
	}
}

// cycle makes a tap, floods it from its first moment until honest frames pass, and
// deletes it.
func (s *stage) cycle(how recreation) {
	s.t.Helper()
	name := "tap1"
	if how.renamed {
		name = "new1"
	}
	index := 0
	if how.sameIndex {
		index = s.index
	}
	tap, err := openTestTap(name, index)
	s.must(err)
	before := s.honest.Load()
	var flooding sync.WaitGroup
	stop := make(chan struct{})
	flooding.Go(func() { s.flood(tap, stop) })
	defer func() {
		close(stop)
		flooding.Wait()
		s.must(unix.Close(tap))
	}()
	link, err := netlink.LinkByName(name)
	s.must(err)
	s.index = link.Attrs().Index
	if how.renamed {
		s.must(netlink.LinkSetMaster(link, s.bridge))
		s.must(netlink.LinkSetName(link, "tap1"))
		s.must(netlink.LinkSetUp(link))
	} else if how.bridgeLast {
		s.must(netlink.LinkSetUp(link))
		s.must(netlink.LinkSetMaster(link, s.bridge))
	} else {
		s.must(netlink.LinkSetMaster(link, s.bridge))
		s.must(netlink.LinkSetUp(link))
	}
	for late := time.Now().Add(agent.Patience); s.honest.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			s.t.Errorf("%+v: honest frames never pass", how)
			return
		}
	}
}

// flood sends forged and honest frames into the tap, and reads what comes out of it.
func (s *stage) flood(tap int, stop chan struct{}) {
	buffer := make([]byte, 2048)
	for {
		select {
		case <-stop:
			return
		default:
		}
		for range 8 {
			if _, err := unix.Write(tap, forgedFrame); err == nil {
				s.sentForged.Add(1)
			}
		}
		_, _ = unix.Write(tap, honestFrame) // it fails until the tap is up
		for {
			n, err := unix.Read(tap, buffer)
			if err != nil {
				break
			}
			if bytes.Contains(buffer[:n], deniedMark) {
				s.intruded.Add(1)
			}
		}
	}
}

// remember notes what there is when nothing has leaked yet.
func (s *stage) remember() { s.files, s.links, s.numbers, s.nic = s.count() }

func (s *stage) checkLeaks() {
	s.t.Helper()
	if s.files == 0 {
		return // too few cycles
	}
	var files, links, numbers, nics int
	for late := time.Now().Add(agent.Patience); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		files, links, numbers, nics = s.count()
		if files <= s.files && links <= s.links && numbers <= s.numbers && nics <= s.nic {
			return
		}
	}
	s.t.Errorf("open files, links, numbers, NICs: %d, %d, %d, %d; after 8 cycles there were %d, %d, %d, %d",
		files, links, numbers, nics, s.files, s.links, s.numbers, s.nic)
}

func (s *stage) count() (files, links, numbers, nics int) {
	open, err := os.ReadDir("/proc/self/fd")
	s.must(err)
	pins, err := os.ReadDir(filepath.Join(s.pins, "links"))
	s.must(err)
	return len(open), len(pins), s.entries("ids"), s.entries("nics")
}

// entries is how many a pinned map holds.
func (s *stage) entries(name string) (n int) {
	found, _ := filepath.Glob(filepath.Join(s.pins, name+"_v*"))
	m, err := ebpf.LoadPinnedMap(append(found, "")[0], nil)
	s.must(err)
	defer m.Close()
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	for all := m.Iterate(); all.Next(&key, &value); n++ {
	}
	return n
}

// Frames of the test. Who forges has another MAC address than instance one.
var (
	forgedMark, honestMark, deniedMark = []byte("gbtp-forged"), []byte("gbtp-honest"), []byte("gbtp-denied")

	elsewhere   = []byte{2, 0, 0, 0, 0, 9}
	forgedFrame = udpFrame(elsewhere, []byte{2, 0x66, 0, 0, 0, 1}, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 9}, forgedMark)
	honestFrame = udpFrame(elsewhere, []byte{2, 0, 0, 0, 0, 1}, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 9}, honestMark)
	deniedFrame = udpFrame([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 8}, [4]byte{10, 0, 0, 8}, [4]byte{10, 0, 0, 1}, deniedMark)
)
