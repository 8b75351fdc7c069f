package hypervisor_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/hypervisor"
)

// A switchboard is a bridge with ports v0, v1 and v2, and a socket at the far end of each.
type switchboard struct {
	*hypervisor.Hypervisor
	bridge  netlink.Link
	sockets map[string]int
	far     map[string]int // index of the far end
	sender  int            // a socket that receives nothing
}

func newSwitchboard(t testing.TB) *switchboard {
	t.Helper()
	s := &switchboard{Hypervisor: open(t), sockets: map[string]int{}, far: map[string]int{}}
	if on, err := s.NetfilterSwitches(); err != nil || s.TurnOff(on) != nil {
		t.Fatal(err)
	}
	var err error
	if s.sender, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.sender) })
	off := false
	s.bridge = &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: &off}
	add(t, s.bridge)
	up(t, s.bridge)
	for _, name := range []string{"v0", "v1", "v2"} {
		s.plug(t, name)
	}
	return s
}

func up(t testing.TB, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
}

// plug makes a port, and waits until the bridge forwards at it.
func (s *switchboard) plug(t testing.TB, name string) {
	t.Helper()
	port := veth(name)
	add(t, port)
	if err := netlink.LinkSetMaster(port, s.bridge); err != nil {
		t.Fatal(err)
	}
	far, err := netlink.LinkByName(name + "p")
	if err != nil {
		t.Fatal(err)
	}
	up(t, far)
	up(t, port)
	await(t, name+" is up", func() bool { return links(t, s.Hypervisor)[name].Up })
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all&0xffff)
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: far.Attrs().Index})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.sockets[name], s.far[name] = socket, far.Attrs().Index
	t.Cleanup(func() { unix.Close(socket) })
}

var frames byte

// passes sends a broadcast at one port and tells whether it comes out at another.
func (s *switchboard) passes(t testing.TB, from, to string) bool {
	t.Helper()
	frames++
	frame := make([]byte, 60)
	copy(frame, []byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, byte(s.far[from]), 0x88, 0xb5, 'g', 'b', 't', 'p', frames})
	if err := unix.Sendto(s.sockets[from], frame, 0, &unix.SockaddrLinklayer{Ifindex: s.far[from]}); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	for {
		n, err := unix.Read(s.sockets[to], buffer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.EINTR):
		case err != nil:
			t.Fatal(err)
		case slices.Equal(buffer[:n], frame):
			return true
		}
	}
}

// expectPasses tries every pair of ports; closed ones pass nothing either way.
func (s *switchboard) expectPasses(t testing.TB, when string, closed ...string) {
	t.Helper()
	for from := range s.sockets {
		for to := range s.sockets {
			if from == to {
				continue
			}
			want := !slices.Contains(closed, from) && !slices.Contains(closed, to)
			if got := s.passes(t, from, to); got != want {
				t.Errorf("%s: from %s to %s passes %t, want %t", when, from, to, got, want)
			}
		}
	}
}

func (s *switchboard) fasten(t testing.TB, b hypervisor.Belt, wantTampered bool) {
	t.Helper()
	tampered, err := s.FastenBelt(b)
	if err != nil {
		t.Fatal(err)
	}
	if tampered != wantTampered {
		t.Errorf("tampered with: %t, want %t", tampered, wantTampered)
	}
}

// Whatever the belt does not name, uplinks and ports of others, it leaves alone.
func TestBelt(t *testing.T) {
	s := newSwitchboard(t)
	s.expectPasses(t, "without a belt")
	belt := hypervisor.Belt{Names: []string{"v0", "v7"}}
	s.fasten(t, belt, false)
	s.fasten(t, belt, false)
	s.expectPasses(t, "v0 is not admitted", "v0")

	v0 := links(t, s.Hypervisor)["v0"]
	if err := s.Admit(v0); err != nil {
		t.Fatal(err)
	}
	if links(t, s.Hypervisor)["v0"].Admitted {
		t.Error("it is admitted although nothing filters it")
	}
	s.group(t, "v0")
	if !links(t, s.Hypervisor)["v0"].Admitted {
		t.Error("it is not seen to be admitted")
	}
	s.expectPasses(t, "v0 is admitted")

	s.rename(t, "v1", "v7")
	s.sockets["v7"], s.far["v7"] = s.sockets["v1"], s.far["v1"]
	delete(s.sockets, "v1")
	s.expectPasses(t, "v1 became v7", "v7")
	s.rename(t, "v7", "v8")
	s.sockets["v8"], s.far["v8"] = s.sockets["v7"], s.far["v7"]
	delete(s.sockets, "v7")
	s.expectPasses(t, "v7 became v8")

	s.fasten(t, hypervisor.Belt{Names: []string{"v0"}, Prefixes: []string{"v2", "nothing"}}, false)
	s.expectPasses(t, "names that begin with v2 are instances'", "v2")
	if err := s.Dismiss(links(t, s.Hypervisor)["v0"]); err != nil {
		t.Fatal(err)
	}
	s.expectPasses(t, "v0 is dismissed", "v0", "v2")
	for range 2 {
		if err := s.LoosenBelt(); err != nil {
			t.Fatal(err)
		}
	}
	s.expectPasses(t, "the belt is off")
}

// A new interface has nothing of the one before, though it has its name and number.
func TestNobodyInheritsAdmission(t *testing.T) {
	s := newSwitchboard(t)
	s.fasten(t, hypervisor.Belt{Names: []string{"v0"}}, false)
	s.group(t, "v0")
	s.expectPasses(t, "v0 is admitted")
	old := links(t, s.Hypervisor)["v0"]
	if err := netlink.LinkDel(veth("v0")); err != nil {
		t.Fatal(err)
	}
	heir := veth("v0")
	heir.Index = old.Index
	add(t, heir)
	if heir.Index != old.Index {
		t.Fatalf("the new interface has index %d, want %d", heir.Index, old.Index)
	}
	if links(t, s.Hypervisor)["v0"].Admitted {
		t.Error("it is admitted like the one before")
	}
}

// A large host has more names than a message holds.
func TestBeltOfMany(t *testing.T) {
	s := newSwitchboard(t)
	var belt hypervisor.Belt
	for n := range 3000 {
		belt.Names = append(belt.Names, fmt.Sprintf("u%04d", n))
	}
	belt.Names = append(belt.Names, "v0")
	s.fasten(t, belt, false)
	s.expectPasses(t, "v0 is the last of many", "v0")
	s.Forget() // that nobody else changed anything
	s.fasten(t, belt, false)
}

func TestTamperingWithTheBeltIsFound(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs nft")
	}
	s := newSwitchboard(t)
	belt := hypervisor.Belt{Names: []string{"v0", "v9"}}
	s.fasten(t, belt, false)
	for _, command := range []string{
		"flush ruleset", "delete table bridge gabion", "flush chain bridge gabion from",
		"flush set bridge gabion instances", "add element bridge gabion instances { v1 }",
	} {
		nft(t, command)
		s.fasten(t, belt, true)
		s.expectPasses(t, "after "+command, "v0")
	}
	nft(t, "add table inet other")
	s.fasten(t, belt, false)
}

func nft(t testing.TB, command string) {
	t.Helper()
	if out, err := exec.Command("nft", strings.Fields(command)...).CombinedOutput(); err != nil {
		t.Fatalf("nft %s: %v: %s", command, err, out)
	}
}

// group admits an interface that nothing filters.
func (s *switchboard) group(t testing.TB, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetGroup(l, hypervisor.AdmittedGroup)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *switchboard) rename(t testing.TB, from, to string) {
	t.Helper()
	l, err := netlink.LinkByName(from)
	if err == nil {
		err = netlink.LinkSetName(l, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The kernel drops notifications that come too fast for us; what is there is known
// nonetheless, and soon.
func TestWatchAfterDroppedNotifications(t *testing.T) {
	h := open(t)
	if err := h.ShrinkBuffer(); err != nil {
		t.Fatal(err)
	}
	port := veth("v0")
	add(t, port)
	for range 2000 { // while nobody listens
		if err := netlink.LinkSetMTU(port, 1400); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(port, 1500); err != nil {
			t.Fatal(err)
		}
	}
	add(t, veth("last"))
	told, stop := watch(t, h)
	defer stop()
	begun := time.Now()
	for l := range told {
		if _, ok := l["last"]; ok {
			break
		}
	}
	add(t, veth("after"))
	for l := range told {
		if _, ok := l["after"]; ok {
			break
		}
	}
	t.Logf("known after %s", time.Since(begun))
}
