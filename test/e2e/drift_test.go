package e2e_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// What another tool does to the programs, maps and pins of an agent, or to what keeps
// new interfaces closed, is undone soon, and the server's status of the host says so.
func TestDrift(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	h1 := s.lab.Hosts()[0]
	pins := filepath.Join("/sys/fs/bpf/gabion", s.lab.Name("h1"))
	repairs := 0
	for _, tampering := range []struct {
		name string
		with func(t *testing.T)
	}{
		{"filter detached", func(t *testing.T) { detachFilters(t, filepath.Join(pins, "links"), h1, s.guests["b1"]) }},
		{"map flushed", func(t *testing.T) { flushMap(t, filepath.Join(pins, "nics_v*")) }},
		{"members flushed", func(t *testing.T) { flushMap(t, filepath.Join(pins, "members4_v*")) }},
		{"pins removed", func(t *testing.T) { removeAll(t, filepath.Join(pins, "*_v*")) }},
		{"all of nftables flushed", func(t *testing.T) { flushRuleset(t, h1) }},
	} {
		begun := time.Now()
		tampering.with(t)
		repairs++
		s.await(t, tampering.name+" to be found", func() bool { return s.host(t, "h1").Repairs >= repairs })
		t.Logf("%s: repaired and known to the server after %s", tampering.name, time.Since(begun).Round(time.Millisecond))
		if got := s.host(t, "h1").Error; !strings.Contains(got, "something else changed what is enforced") {
			t.Errorf("%s: the server says of h1 %q", tampering.name, got)
		}
		s.checkPredicted(t)
	}
	if got := s.host(t, "h2").Repairs; got > 0 {
		t.Errorf("%d repairs on the other host", got)
	}
}

// A tap that is made anew while the agent is dead passes nothing until there is an
// agent again; everybody else is undisturbed.
func TestRecreatedWhileTheAgentIsDead(t *testing.T) {
	s := newSite(t)
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1", "b1", "a2", "b2")
	s.checkOpen(t)
	if err := s.agents["h1"].Kill(); err != nil {
		t.Fatal(err)
	}
	b1 := s.guests["b1"]
	if err := b1.Unplug(); err != nil {
		t.Fatal(err)
	}
	if err := b1.Plug(); err != nil {
		t.Fatal(err)
	}
	s.check(t, s.everyPair(), func(p lab.Probe) bool { return p.From != b1.Endpoint && p.To != b1.Endpoint })
	if err := s.agents["h1"].Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitVerdict(t, "b1", true)
	s.checkOpen(t)
}

// Whose port of a bridge nothing filters is told, and never cut off.
func TestUnprotectedPortsAreTold(t *testing.T) {
	s := newSite(t)
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1")
	want := []string{s.guests["b1"].Interface, "uplink0"}
	s.await(t, "the unprotected ports of h1", func() bool { return slices.Equal(s.host(t, "h1").UnprotectedPorts, want) })
	if got := s.host(t, "h1").Protection; got != "br0=nftables" {
		t.Errorf("h1 is protected by %q", got)
	}
	s.checkOpen(t)
	s.register(t, "open", "b1")
	s.await(t, "the uplink alone", func() bool { return slices.Equal(s.host(t, "h1").UnprotectedPorts, want[1:]) })
	s.checkOpen(t)
}

// host is what the server says of the host.
func (s *site) host(t *testing.T, name string) (h rest.Host) {
	t.Helper()
	var all []rest.Host
	if err := json.Unmarshal([]byte(s.output(t, "host list -o json")), &all); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(h rest.Host) bool { return h.Name == name })
	if at < 0 {
		t.Fatalf("the server knows no host %s", name)
	}
	return all[at]
}

// detachFilters detaches both programs from the guest's interface, which leaves it open.
func detachFilters(t *testing.T, links string, h *lab.Host, g *lab.Guest) {
	t.Helper()
	var index string
	err := h.Namespace().Do(func() error {
		l, err := netlink.LinkByName(g.Interface)
		if err == nil {
			index = strconv.Itoa(l.Attrs().Index)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pins, _ := filepath.Glob(filepath.Join(links, index+"-*"))
	if len(pins) != 2 {
		t.Fatalf("%s has the pins %v, want two", g.Interface, pins)
	}
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err == nil {
			err = errors.Join(l.Detach(), l.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// flushMap removes all that is in the map.
func flushMap(t *testing.T, pattern string) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(glob(t, pattern)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	key := make([]byte, m.KeySize())
	for n := 0; ; n++ {
		switch err := m.NextKey(nil, &key); {
		case errors.Is(err, ebpf.ErrKeyNotExist) && n > 0:
			return
		case err != nil:
			t.Fatalf("after %d keys of %s: %v", n, m, err)
		}
		if err := m.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
}

func removeAll(t *testing.T, pattern string) {
	t.Helper()
	for _, path := range glob(t, pattern) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// glob are the paths, at least one.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing is at %s: %v", pattern, err)
	}
	return found
}

func flushRuleset(t *testing.T, h *lab.Host) {
	t.Helper()
	err := h.Namespace().Do(func() error { return exec.Command("nft", "flush", "ruleset").Run() })
	if err != nil {
		t.Fatal(err)
	}
}
