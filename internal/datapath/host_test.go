package datapath_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/privilege"
)

// host is a network namespace with a datapath of its own.
type host struct {
	*datapath.Datapath
	dir    string
	writes *writeCount
}

func newHost(t *testing.T) *host {
	t.Helper()
	if testing.Short() {
		t.Skip("attaches programs, which takes its time")
	}
	return openHost(t)
}

// openHost is for the tests that faults are planted for.
func openHost(t *testing.T) *host {
	t.Helper()
	privilege.Require(t)
	enterNamespace(t)
	h := &host{
		dir:    fmt.Sprintf("/sys/fs/bpf/gabion-dp-%d-%d", os.Getpid(), time.Now().UnixNano()),
		writes: &writeCount{},
	}
	h.open(t)
	t.Cleanup(func() { h.remove(t) })
	return h
}

// enterNamespace moves the test into a network namespace that ends with it: the
// thread is never given back.
func enterNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

func (h *host) open(t *testing.T) {
	t.Helper()
	d, err := datapath.Open(datapath.Config{Dir: h.dir, Log: slog.New(h.writes)})
	if err != nil {
		t.Fatal(err)
	}
	h.Datapath = d
}

// reopen is what a restarted agent does.
func (h *host) reopen(t *testing.T) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

// remove cleans up, and makes sure that nothing outlives it.
func (h *host) remove(t *testing.T) {
	t.Helper()
	ids, err := h.MapIDs()
	if err != nil {
		t.Error(err)
	}
	if err := errors.Join(h.Close(), datapath.Remove(h.dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", h.dir, err)
	}
	for _, id := range ids {
		awaitGone(t, id)
	}
}

// awaitGone waits for a map to be freed, which the kernel does after a grace period.
func awaitGone(t *testing.T, id ebpf.MapID) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		if err == nil {
			m.Close()
		}
		if time.Now().After(deadline) {
			t.Errorf("map %d is leaked", id)
			return
		}
	}
}

// addInterface makes a veth pair and returns the ifindex of the end with that name.
func addInterface(t *testing.T, name string) int {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "p"}); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

func deleteInterface(t *testing.T, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeCount is a log handler that counts what the datapath says it wrote.
type writeCount struct{ n int64 }

func (c *writeCount) Enabled(context.Context, slog.Level) bool { return true }
func (c *writeCount) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *writeCount) WithGroup(string) slog.Handler            { return c }
func (c *writeCount) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindInt64 {
			c.n += a.Value.Int64()
		}
		return true
	})
	return nil
}

func (h *host) apply(t tester, v *policy.View, links map[string]int) {
	t.Helper()
	h.writes.n = 0
	var partial *datapath.PartialError
	if err := h.Apply(context.Background(), v, links); err != nil && !errors.As(err, &partial) {
		t.Fatal(err)
	}
}

// check holds the kernel against the compiler.
func (h *host) check(t tester) {
	t.Helper()
	actual, err := h.Actual()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.Expected(), actual, sameInKernel); diff != "" {
		t.Fatalf("the maps hold something else (-want +got):\n%s", diff)
	}
}
