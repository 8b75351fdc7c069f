package datapath_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// tampering is what another tool may do to what is pinned.
var tampering = map[string]struct {
	with func(t *testing.T, h *host)
	says string
}{
	"filter detached": {func(t *testing.T, h *host) {
		detach(t, onePin(t, h, "-from_instance"))
	}, "had no from_instance"},
	"pin of a link removed": {func(t *testing.T, h *host) {
		remove(t, onePin(t, h, "-to_instance"))
	}, "pin of link"},
	"pin of a map removed": {func(t *testing.T, h *host) {
		remove(t, pinOf(h, "nics"))
	}, "pin of map nics_v"},
	"all pins removed": {func(t *testing.T, h *host) {
		if err := os.RemoveAll(h.dir); err != nil {
			t.Fatal(err)
		}
	}, "pin of map"},
	"interfaces flushed": {func(t *testing.T, h *host) { flush(t, pinOf(h, "nics")) }, "maps lacked 1 entries"},
	"members flushed":    {func(t *testing.T, h *host) { flush(t, pinOf(h, "members4")) }, "maps lacked"},
	"policies flushed": {func(t *testing.T, h *host) {
		for number := range h.Expected().PolicySets {
			flushInner(t, pinOf(h, "policies"), number)
		}
	}, "maps lacked"},
}

// What another tool did is found, and Apply puts it back.
func TestDriftIsFoundAndRepaired(t *testing.T) {
	view := oneRule(gabion.Rule{}, gabion.Rule{Peer: gabion.Peer{Group: "group-0"}})
	view.Members["m"] = &policy.Member{
		Instance: "m", Organization: "org-a", Groups: []string{"group-0"},
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
	}
	for name, tt := range tampering {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			links := map[string]int{"tap0": addInterface(t, "tap0")}
			h.apply(t, view, links)
			expectUndisturbed(t, h)
			h.ReadLate()
			tt.with(t, h)
			if drift, err := h.Audit(); err != nil || len(drift) == 0 {
				t.Errorf("the next audit finds %q, %v", drift, err)
			} else if !slices.ContainsFunc(drift, func(d string) bool { return strings.Contains(d, tt.says) }) {
				t.Errorf("the audit says %q, want %q", drift, tt.says)
			}
			h.apply(t, view, links)
			expectUndisturbed(t, h)
			h.check(t)
			wantPrograms(t, links["tap0"], 2)
			for _, path := range []string{onePin(t, h, "-from_instance"), onePin(t, h, "-to_instance"), pinOf(h, "nics")} {
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What Apply puts right by itself, since it comes before the audit, is told nonetheless,
// and once.
func TestDriftThatApplyRepairsIsTold(t *testing.T) {
	view := oneRule(gabion.Rule{})
	view.Members["m"] = &policy.Member{
		Instance: "m", Organization: "org-a", Groups: []string{"group-0"},
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
	}
	for _, name := range []string{"filter detached", "pin of a link removed"} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			links := map[string]int{"tap0": addInterface(t, "tap0")}
			h.apply(t, view, links)
			expectUndisturbed(t, h)
			tampering[name].with(t, h)
			h.apply(t, view, links)
			expectTold(t, h, tampering[name].says)
			expectUndisturbed(t, h)
		})
	}
	t.Run("filter detached, and the instance leaves", func(t *testing.T) {
		h := newHost(t)
		h.apply(t, view, map[string]int{"tap0": addInterface(t, "tap0")})
		tampering["filter detached"].with(t, h)
		h.apply(t, policy.NewView(), nil)
		expectTold(t, h, tampering["filter detached"].says)
		expectUndisturbed(t, h)
	})
	t.Run("members flushed, and one of them leaves", func(t *testing.T) {
		h := newHost(t)
		links := map[string]int{"tap0": addInterface(t, "tap0")}
		withMember := oneRule(gabion.Rule{Peer: gabion.Peer{Group: "group-0"}})
		withMember.Members = view.Members
		h.apply(t, withMember, links)
		expectUndisturbed(t, h)
		flush(t, pinOf(h, "members4"))
		without := oneRule(gabion.Rule{Peer: gabion.Peer{Group: "group-0"}})
		if err := h.Apply(t.Context(), without, links); err == nil {
			t.Fatal("what is not there was removed")
		}
		h.apply(t, without, links)
		expectTold(t, h, "maps lacked")
		expectUndisturbed(t, h)
	})
}

func expectTold(t *testing.T, h *host, says string) {
	t.Helper()
	if drift, err := h.Audit(); err != nil || len(drift) != 1 || !strings.Contains(drift[0], says) {
		t.Errorf("the next audit says %q, %v; want %q", drift, err, says)
	}
}

// expectUndisturbed audits, all maps included.
func expectUndisturbed(t *testing.T, h *host) {
	t.Helper()
	h.ReadSoon()
	if drift, err := h.Audit(); err != nil || len(drift) > 0 {
		t.Errorf("the audit says %q, %v; nobody did anything", drift, err)
	}
}

func pinOf(h *host, name string) string {
	found, _ := filepath.Glob(filepath.Join(h.dir, name+"_v*"))
	return append(found, "")[0]
}

func onePin(t *testing.T, h *host, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.dir, "links", "*"+suffix))
	if err != nil || len(found) == 0 {
		t.Fatalf("no pin of a link is there: %v", err)
	}
	return found[0]
}

func detach(t *testing.T, pin string) {
	t.Helper()
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, path string) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	empty(t, m)
}

func flushInner(t *testing.T, path string, index uint32) {
	t.Helper()
	outer, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	var m *ebpf.Map
	if err := outer.Lookup(index, &m); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	empty(t, m)
}

func empty(t *testing.T, m *ebpf.Map) {
	t.Helper()
	key := make([]byte, m.KeySize())
	for n := 0; ; n++ {
		if err := m.NextKey(nil, &key); err != nil {
			if n == 0 {
				t.Fatalf("there is nothing to flush in %s", m)
			}
			return
		}
		if err := m.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
}
