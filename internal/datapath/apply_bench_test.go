package datapath_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/privilege"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// BenchmarkApply measures what a change costs on a small and on the largest host.
func BenchmarkApply(b *testing.B) {
	privilege.Require(b)
	for _, size := range []struct{ members, rules int }{{10, 10}, {1000, 100}, {100_000, 10_000}} {
		name := fmt.Sprintf("members=%d/rules=%d/", size.members, size.rules)
		full := largeView(size.members, size.rules)
		for change, other := range map[string]*policy.View{
			"nothing": full,
			"rule":    withRule(full),
			"member":  withMember(full),
			"all":     policy.NewView(),
		} {
			b.Run(name+change, func(b *testing.B) { benchmarkApply(b, full, other) })
		}
	}
}

// benchmarkApply goes back and forth between two views: one operation is one Apply.
func benchmarkApply(b *testing.B, views ...*policy.View) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Fatal(err)
	}
	dir := fmt.Sprintf("/sys/fs/bpf/gabion-dp-bench-%d", os.Getpid())
	d, err := datapath.Open(datapath.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := errors.Join(d.Close(), datapath.Remove(dir)); err != nil {
			b.Error(err)
		}
	}()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, PeerName: "tap0p"}); err != nil {
		b.Fatal(err)
	}
	l, err := netlink.LinkByName("tap0")
	if err != nil {
		b.Fatal(err)
	}
	links := map[string]int{"tap0": l.Attrs().Index}
	if err := d.Apply(b.Context(), views[0], links); err != nil {
		b.Fatal(err)
	}
	n := 1
	for b.Loop() {
		if err := d.Apply(b.Context(), views[n%len(views)], links); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func withRule(v *policy.View) *policy.View {
	c := cloneView(v)
	g := c.Groups["group-0"]
	g.Rules = append(g.Rules, gabion.Rule{
		ID: "one-more", Group: g.ID, Protocol: gabion.UDP, Ports: gabion.PortRange{Start: 53, End: 53},
		Peer: gabion.Peer{Network: netip.MustParsePrefix("198.51.100.0/24")},
	})
	return c
}

func withMember(v *policy.View) *policy.View {
	c := cloneView(v)
	c.Members["one-more"] = &policy.Member{
		Instance: "one-more", Organization: "org-a", Groups: v.Members["member-1"].Groups,
		Addresses: []netip.Addr{netip.MustParseAddr("172.16.0.1")},
	}
	return c
}
