package agent_test

import (
	"bytes"
	"context"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/agent"
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

// A tap that the agent makes is flooded by whoever waits for its name. It needs
// nothing else to keep it closed.
func TestManagedTapIsClosedFromItsFirstFrame(t *testing.T) {
	onStage(t, stageConfig{beltless: true, managed: true}, func(s *stage) {
		for range max(*cycles/2, 1) {
			if s.cycleManaged(); t.Failed() {
				return
			}
		}
		if s.forged.Load()+s.intruded.Load() > 0 {
			t.Errorf("%d forged frames left the tap and %d denied ones reached it", s.forged.Load(), s.intruded.Load())
		}
	})
}

// A tap that gets another instance's name while it is up soon is that instance, and
// nobody at all under a name that no instance has.
func TestRenamedTap(t *testing.T) {
	onStage(t, stageConfig{}, func(s *stage) {
		tap, err := openTestTap("tap1", 0, 0)
		s.must(err)
		defer unix.Close(tap)
		link, err := netlink.LinkByName("tap1")
		s.must(err)
		s.must(netlink.LinkSetMaster(link, s.bridge))
		s.must(netlink.LinkSetUp(link))
		for _, step := range []struct {
			name   string
			passes []byte // what passes from then on, and nothing else
		}{{"tap1", honestFrame}, {"none1", nil}, {"tap2", secondFrame}, {"tap1", honestFrame}} {
			s.must(netlink.LinkSetName(link, step.name))
			for _, frame := range [][]byte{honestFrame, secondFrame} {
				s.settles(tap, step.name, frame, bytes.Equal(frame, step.passes))
			}
			if s.forged.Load() > 0 {
				t.Errorf("%s: a forged frame passed", step.name)
			}
		}
	})
}

// The bridge that an instance is at goes, and another one comes.
func TestBridgesComeAndGo(t *testing.T) {
	onStage(t, stageConfig{}, func(s *stage) {
		tap, err := openTestTap("tap1", 0, 0)
		s.must(err)
		defer unix.Close(tap)
		link, err := netlink.LinkByName("tap1")
		s.must(err)
		s.must(netlink.LinkSetUp(link))
		for range 5 {
			s.must(netlink.LinkSetMaster(link, s.bridge))
			s.settles(tap, "a port", honestFrame, true)
			s.must(netlink.LinkDel(s.bridge))
			s.settles(tap, "no bridge", honestFrame, false)
			s.addBridge()
		}
	})
}

// settles waits until a frame from the tap passes, or does not, and floods it with
// forged ones meanwhile.
func (s *stage) settles(tap int, when string, frame []byte, passes bool) {
	s.t.Helper()
	for late := time.Now().Add(agent.Patience); ; {
		count := &s.honest
		if bytes.Equal(frame, secondFrame) {
			count = &s.second
		}
		before := count.Load()
		_, _ = unix.Write(tap, forgedFrame)
		_, err := unix.Write(tap, frame)
		s.must(err)
		time.Sleep(20 * time.Millisecond)
		if (count.Load() > before) == passes {
			return
		}
		if time.Now().After(late) {
			s.t.Errorf("%s: passes %t, want %t", when, !passes, passes)
			return
		}
	}
}

// recreation is what a new tap has in common with the one before, besides its name.
type recreation struct {
	renamed    bool // it is made under another name
	sameIndex  bool
	bridgeLast bool // it is up before it is a port
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
			case bytes.Contains(frame, secondMark):
				s.second.Add(1)
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
	tap, err := openTestTap(name, index, 0)
	s.must(err)
	before := s.honest.Load()
	defer s.flooded(tap, nil)()
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
	s.awaitHonest(before)
}

func (s *stage) awaitHonest(before int64) {
	s.t.Helper()
	for late := time.Now().Add(agent.Patience); s.honest.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			s.t.Error("honest frames never pass")
			return
		}
	}
}

// cycleManaged deletes the agent's tap, and takes the next one as soon as it has its name.
func (s *stage) cycleManaged() {
	s.t.Helper()
	var link netlink.Link
	for late := time.Now().Add(agent.Patience); link == nil || link.Attrs().Index == s.index; {
		var err error
		if link, err = netlink.LinkByName("tap1"); err != nil && time.Now().After(late) {
			s.must(err)
		}
	}
	s.index = link.Attrs().Index
	tap, err := openTestTap("tap1", 0, unix.IFF_VNET_HDR)
	s.must(err)
	before := s.honest.Load()
	defer s.flooded(tap, make([]byte, 10))()
	s.must(netlink.LinkSetMaster(link, s.bridge))
	s.awaitHonest(before)
	s.must(netlink.LinkDel(link))
}

// flooded floods the tap until what it returns is called, which closes it.
func (s *stage) flooded(tap int, header []byte) (end func()) {
	var flooding sync.WaitGroup
	stop := make(chan struct{})
	flooding.Go(func() { s.flood(tap, header, stop) })
	return func() {
		close(stop)
		flooding.Wait()
		s.must(unix.Close(tap))
	}
}

// flood sends forged and honest frames into the tap, each behind the header, and reads
// what comes out of it.
func (s *stage) flood(tap int, header []byte, stop chan struct{}) {
	forged, honest := slices.Concat(header, forgedFrame), slices.Concat(header, honestFrame)
	buffer := make([]byte, 2048)
	for {
		select {
		case <-stop:
			return
		default:
		}
		for range 8 {
			if _, err := unix.Write(tap, forged); err == nil {
				s.sentForged.Add(1)
			}
		}
		_, _ = unix.Write(tap, honest) // it fails until the tap is up
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

// two is an instance on tap2.
func two() *gabion.Instance {
	i := one(false)
	i.ID, i.Name = "two", "two"
	i.NICs[0].Interface, i.NICs[0].MAC[5] = "tap2", 2
	i.NICs[0].Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	return i
}

// Frames of the test. Who forges has another MAC address than instance one.
var (
	forgedMark, deniedMark = []byte("gbtp-forged"), []byte("gbtp-denied")
	honestMark, secondMark = []byte("gbtp-honest"), []byte("gbtp-second")

	elsewhere   = []byte{2, 0, 0, 0, 0, 9}
	forgedFrame = udpFrame(elsewhere, []byte{2, 0x66, 0, 0, 0, 1}, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 9}, forgedMark)
	honestFrame = udpFrame(elsewhere, []byte{2, 0, 0, 0, 0, 1}, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 9}, honestMark)
	secondFrame = udpFrame(elsewhere, []byte{2, 0, 0, 0, 0, 2}, [4]byte{10, 0, 0, 2}, [4]byte{10, 0, 0, 9}, secondMark)
	deniedFrame = udpFrame([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 8}, [4]byte{10, 0, 0, 8}, [4]byte{10, 0, 0, 1}, deniedMark)
)
