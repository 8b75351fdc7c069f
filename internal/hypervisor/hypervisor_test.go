package hypervisor_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/privilege"
)

const patience = 10 * time.Second

// open opens the hypervisor in a fresh network namespace, which the test's
// goroutine stays in. The thread dies with it, and the namespace with the thread.
func open(t testing.TB) *hypervisor.Hypervisor {
	t.Helper()
	privilege.Require(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	h, err := hypervisor.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func links(t testing.TB, h *hypervisor.Hypervisor) map[string]hypervisor.Link {
	t.Helper()
	links, err := h.Links()
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func add(t testing.TB, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatal(err)
	}
}

func veth(name string) *netlink.Veth {
	return &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}
}

func TestLinks(t *testing.T) {
	h := open(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	add(t, bridge)
	port := veth("v0")
	add(t, port)
	if err := netlink.LinkSetMaster(port, bridge); err != nil {
		t.Fatal(err)
	}

	all := links(t, h)
	if got := all["br0"]; !got.IsBridge || got.Index != bridge.Index || got.Managed != "" {
		t.Errorf("got %+v, want a bridge of index %d", got, bridge.Index)
	}
	if got := all["v0"]; got.Master != bridge.Index || got.IsBridge || got.Up {
		t.Errorf("got %+v, want a port of bridge %d that is down", got, bridge.Index)
	}

	for _, name := range []string{"v0", "v0p"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if links(t, h)[name].Up {
			t.Errorf("%s is up before it was set up", name)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "v0 is up", func() bool { return links(t, h)["v0"].Up })
}

// await waits for what the kernel does in its own time.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestWatch(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	told, done := make(chan map[string]hypervisor.Link, 100), make(chan error, 1)
	go func() { done <- h.Watch(ctx, func(l map[string]hypervisor.Link) { told <- l }) }()
	next := func(what string, is func(map[string]hypervisor.Link) bool) {
		t.Helper()
		deadline := time.After(patience)
		for {
			select {
			case l := <-told:
				if is(l) {
					return
				}
			case <-deadline:
				t.Fatalf("was not told: %s", what)
			}
		}
	}
	has := func(name string) func(map[string]hypervisor.Link) bool {
		return func(l map[string]hypervisor.Link) bool { _, ok := l[name]; return ok }
	}

	next("what is there at the start", has("lo"))
	add(t, veth("v0"))
	next("a link appears", has("v0"))
	link, err := netlink.LinkByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetName(link, "v1"); err != nil {
		t.Fatal(err)
	}
	next("a link is renamed", func(l map[string]hypervisor.Link) bool {
		return l["v1"].Index == link.Attrs().Index && !has("v0")(l)
	})
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	next("a link goes", func(l map[string]hypervisor.Link) bool { return !has("v1")(l) })

	for n := range 50 {
		v := veth("s" + strconv.Itoa(n))
		add(t, v)
		if n < 49 {
			if err := netlink.LinkDel(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	next("the end of a storm", has("s49"))

	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// However a reader is met by the end, that is no error.
func TestEndOfWatch(t *testing.T) {
	for range 20 {
		h := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		err := h.Watch(ctx, func(map[string]hypervisor.Link) {
			time.Sleep(time.Millisecond) // the reader begins to wait,
			cancel()
			time.Sleep(time.Millisecond) // and is met, while Watch is busy
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTap(t *testing.T) {
	h := open(t)
	index, err := h.CreateTap("tap7")
	if err != nil {
		t.Fatal(err)
	}
	var tap hypervisor.Link
	for _, l := range links(t, h) {
		if l.Index == index {
			tap = l
		}
	}
	if tap.Managed != "tap7" || tap.Name == "tap7" || tap.Up {
		t.Fatalf("got %+v, want a tap made for tap7 under another name", tap)
	}
	if filtered, err := h.IsFiltered(tap); filtered || err != nil {
		t.Errorf("filtered: %t, %v; want a tap that nothing filters", filtered, err)
	}
	if err := h.ReleaseTap(tap); err != nil {
		t.Fatal(err)
	}
	tap = links(t, h)["tap7"]
	if tap.Index != index || tap.Managed != "tap7" {
		t.Errorf("got %+v, want index %d", tap, index)
	}
	if tap.Up {
		t.Error("it is up although nobody holds its other end")
	}
	if err := h.RemoveTap(tap); err != nil {
		t.Fatal(err)
	}
	if _, ok := links(t, h)["tap7"]; ok {
		t.Error("it is still there")
	}
	if err := h.RemoveTap(tap); err != nil {
		t.Errorf("removing it again: %v", err)
	}
}

// Whatever is done with an interface that went away says so, and nothing else does.
func TestGoneInterface(t *testing.T) {
	h := open(t)
	v0 := veth("v0")
	add(t, v0)
	l := links(t, h)["v0"]
	_, here := h.IsFiltered(l)
	for what, err := range map[string]error{"look": here, "admit": h.Admit(l), "dismiss": h.Dismiss(l)} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := h.GiveVLAN(l, 7); err == nil || hypervisor.IsGone(err) {
		t.Errorf("VLAN for an interface of no bridge: %v", err)
	}
	if err := netlink.LinkDel(v0); err != nil {
		t.Fatal(err)
	}
	l.Managed = "tap7"
	_, gone := h.IsFiltered(l)
	for what, err := range map[string]error{
		"look": gone, "admit": h.Admit(l), "VLAN": h.GiveVLAN(l, 7), "release": h.ReleaseTap(l), "spare": h.SpareBridge(l.Index),
	} {
		if !hypervisor.IsGone(err) {
			t.Errorf("%s: %v, which does not say that it is gone", what, err)
		}
	}
	if err := h.Dismiss(l); err != nil {
		t.Errorf("dismiss: %v", err)
	}
}

func TestTapsOfOneNameStayApart(t *testing.T) {
	h := open(t)
	add(t, veth("tap7"))
	index, err := h.CreateTap("tap7")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.ReleaseTap(hypervisor.Link{Index: index, Managed: "tap7"}); err == nil {
		t.Error("it got a name that is taken")
	}
	if got := links(t, h)["tap7"].Managed; got != "" {
		t.Errorf("what was there before counts as managed, for %q", got)
	}
}

func TestNetfilterIsTurnedOff(t *testing.T) {
	h := open(t)
	if _, err := os.Stat("/proc/sys/net/bridge"); err != nil {
		t.Skip("this kernel has no br_netfilter")
	}
	on, err := h.NetfilterSwitches()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(on, "bridge-nf-call-iptables") {
		t.Errorf("a fresh namespace has the switches %v on, want iptables's among them", on)
	}
	if err := h.TurnOff(on); err != nil {
		t.Fatal(err)
	}
	if on, err = h.NetfilterSwitches(); err != nil || len(on) > 0 {
		t.Errorf("still on: %v, %v", on, err)
	}
}

func TestBridgeIsSpared(t *testing.T) {
	h := open(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	add(t, bridge)
	setting := filepath.Join(mountSysfs(t), "class/net/br0/bridge/nf_call_iptables")
	if err := os.WriteFile(setting, []byte("1"), 0); err != nil {
		t.Skipf("this kernel has no br_netfilter: %v", err)
	}
	if err := h.SpareBridge(bridge.Index); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(setting); err != nil || strings.TrimSpace(string(got)) != "0" {
		t.Errorf("the switch is %q, %v; want 0", got, err)
	}
}

// mountSysfs shows the interfaces of the test's namespace: a mount of sysfs shows
// those of the namespace that it was made in.
func mountSysfs(t testing.TB) string {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("sysfs", dir, "sysfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// watch tells of what is watched until it is stopped.
func watch(t testing.TB, h *hypervisor.Hypervisor) (told <-chan map[string]hypervisor.Link, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	all, done := make(chan map[string]hypervisor.Link, 1000), make(chan error, 1)
	go func() {
		defer close(all)
		done <- h.Watch(ctx, func(l map[string]hypervisor.Link) { all <- l })
	}()
	return all, func() {
		if ctx.Err() != nil {
			t.Error("waited in vain")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
