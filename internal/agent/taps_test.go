package agent_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// host is a host in memory that writes down what is done to it.
type host struct {
	mu      sync.Mutex
	links   map[string]hypervisor.Link
	story   []string
	on      []string // switches of br_netfilter
	refuses error    // what CreateTap answers
	bare    bool     // nothing is filtered
	foreign []string // names of interfaces that nothing filters
	gone    []string // names of interfaces that went away after they were listed

	belt     *hypervisor.Belt // nil: loose
	beltless error            // what FastenBelt answers
	tampered bool
}

func newHost() *host { return &host{links: map[string]hypervisor.Link{}} }

func (h *host) did(format string, args ...any) {
	h.story = append(h.story, fmt.Sprintf(format, args...))
}

func (h *host) has(done string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.story, done)
}

func (h *host) Links() (map[string]hypervisor.Link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.links), nil
}

func (h *host) CreateTap(name string) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuses != nil {
		return 0, h.refuses
	}
	h.did("create %s", name)
	index := 100 + len(h.links)
	h.links["gabion0"] = hypervisor.Link{Name: "gabion0", Index: index, Managed: name}
	return index, nil
}

func (h *host) IsFiltered(l hypervisor.Link) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.find(l.Name); err != nil {
		return false, err
	}
	return !h.bare && !slices.Contains(h.foreign, l.Name), nil
}

func (h *host) find(name string) error {
	if slices.Contains(h.gone, name) {
		return fmt.Errorf("find %s: %w", name, unix.ENODEV)
	}
	return nil
}

func (h *host) ReleaseTap(l hypervisor.Link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did("release %s", l.Managed)
	delete(h.links, l.Name)
	l.Name = l.Managed
	h.links[l.Name] = l
	return nil
}

func (h *host) RemoveTap(l hypervisor.Link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did("remove %s", l.Name)
	delete(h.links, l.Name)
	return nil
}

func (h *host) NetfilterSwitches() ([]string, error) { return h.on, nil }

func (h *host) TurnOff(switches []string) error {
	h.did("turn off %v", switches)
	h.on = nil
	return nil
}

func (h *host) SpareBridge(index int) error {
	h.did("spare bridge %d", index)
	return nil
}

func (h *host) FastenBelt(b hypervisor.Belt) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.beltless != nil {
		return false, h.beltless
	}
	h.belt = &b
	return h.tampered, nil
}

func (h *host) LoosenBelt() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.belt = nil
	return nil
}

func (h *host) Admit(l hypervisor.Link) error   { return h.admit(l, true) }
func (h *host) Dismiss(l hypervisor.Link) error { return h.admit(l, false) }

func (h *host) admit(l hypervisor.Link, admitted bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did("admit %s %t", l.Name, admitted)
	l.Admitted = admitted
	h.links[l.Name] = l
	return nil
}

func (h *host) GiveVLAN(l hypervisor.Link, vlan uint16) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did("VLAN %d for %s", vlan, l.Name)
	return nil
}

func (h *host) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.story)
}

func (h *host) now() map[string]hypervisor.Link {
	links, _ := h.Links()
	return links
}

func expect(t *testing.T, h *host, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, h.told()); diff != "" {
		t.Fatalf("the host was told otherwise: %s", diff)
	}
}

func TestManagedTapIsReleasedAfterItIsFiltered(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(b.host.now())
	b.Replace("e", view(5, one(true)))
	got := next(t, "Apply", b.applied)
	if got.links["tap1"] != 100 {
		t.Errorf("applied to %v, want the new tap as tap1", got.links)
	}
	expect(t, b.host, "create tap1")
	b.answer <- errors.New("not attached")
	b.expectAck(t, 0, "not attached")
	expect(t, b.host, "create tap1")

	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	expect(t, b.host, "create tap1", "release tap1")

	// The interfaces are told only now, first as they were in between.
	b.Enforcer.Links(map[string]hypervisor.Link{"gabion0": {Name: "gabion0", Index: 100, Managed: "tap1"}})
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.Links(b.host.now())
	next(t, "Apply", b.applied)
	b.answer <- nil

	b.Change(&policy.Delta{Revision: 6, GoneInstances: []string{"one"}})
	next(t, "Apply", b.applied)
	expect(t, b.host, "create tap1", "release tap1", "release tap1")
	b.answer <- nil
	b.expectAck(t, 6, "")
	expect(t, b.host, "create tap1", "release tap1", "release tap1", "remove tap1")
}

// What is left out may be a filter, and may be anything else.
func TestTapIsReleasedOnlyIfItIsFilteredItself(t *testing.T) {
	b := start(t, t.TempDir())
	b.host.bare = true
	b.Links(b.host.now())
	b.Replace("e", view(5, one(true)))
	bad := &datapath.PartialError{Causes: []error{errors.New("left out")}}
	next(t, "Apply", b.applied)
	b.answer <- bad
	b.expectAck(t, 5, "left out\nrelease tap tap1: nothing filters it yet")
	expect(t, b.host, "create tap1")

	b.host.mu.Lock()
	b.host.bare = false
	b.host.mu.Unlock()
	next(t, "Apply", b.applied)
	b.answer <- bad
	b.expectAck(t, 5, "left out")
	expect(t, b.host, "create tap1", "release tap1")
}

func TestTapThatGoesAwayBeforeItsReleaseIsNoProblem(t *testing.T) {
	b := start(t, t.TempDir())
	b.host.gone = []string{"gabion0"}
	b.Links(b.host.now())
	b.Replace("e", view(5, one(true)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	expect(t, b.host, "create tap1")
}

func TestTapOfSomebodyElseIsUsedAndNeverRemoved(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(true)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.Change(&policy.Delta{Revision: 6, GoneInstances: []string{"one"}})
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 6, "")
	expect(t, b.host)
}

func TestNothingIsRemovedBeforeTheServerSaysSo(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	b.Links(b.host.now())
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)

	again := start(t, dir)
	again.host.links["tap9"] = hypervisor.Link{Name: "tap9", Index: 9, Managed: "tap9"}
	again.Links(again.host.now())
	next(t, "Apply", again.applied)
	again.answer <- nil
	next(t, "an observation", again.observed)
	expect(t, again.host)

	again.Replace("e", view(6))
	next(t, "Apply", again.applied)
	again.answer <- nil
	again.expectAck(t, 6, "")
	expect(t, again.host, "remove tap9")
}

func TestTapThatCannotBeMadeHoldsNobodyUp(t *testing.T) {
	b := start(t, t.TempDir())
	b.host.refuses = errors.New("no /dev/net/tun")
	b.Links(b.host.now())
	b.Replace("e", view(5, one(true)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "no /dev/net/tun") // all but the tap is in force
}

func TestBridgesAreSpared(t *testing.T) {
	v := view(5, one(false))
	port := hypervisor.Link{Name: "tap1", Index: 11, Master: 3}
	ours := hypervisor.Link{Name: "br0", Index: 3, IsBridge: true}
	other := hypervisor.Link{Name: "docker0", Index: 4, IsBridge: true}
	for name, tt := range map[string]struct {
		links []hypervisor.Link
		on    []string
		want  []string
	}{
		"no bridge":          {[]hypervisor.Link{{Name: "tap1", Index: 11}, other}, []string{"iptables"}, nil},
		"everything is off":  {[]hypervisor.Link{port, ours}, nil, []string{"spare bridge 3"}},
		"only our bridge":    {[]hypervisor.Link{port, ours}, []string{"iptables"}, []string{"spare bridge 3", "turn off [iptables]"}},
		"another bridge too": {[]hypervisor.Link{port, ours, other}, []string{"iptables"}, []string{"spare bridge 3"}},
	} {
		h := newHost()
		h.on = tt.on
		links := map[string]hypervisor.Link{}
		for _, l := range tt.links {
			links[l.Name] = l
		}
		agent.Spare(h, v, links)
		if diff := cmp.Diff(tt.want, h.told()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
