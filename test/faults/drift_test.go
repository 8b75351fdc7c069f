package faults_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// What another tool takes away from the agent is put back, and told. Until then
// nothing protects the interface, or everything is dropped at it: for how long is
// counted with the packets themselves.
func TestDrift(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	for _, tampering := range s.tamperings() {
		r.drift(s, tampering.name, tampering.do)
	}
	churn := s.startChurn(t, 0)
	all := s.tamperings()
	for _, tampering := range all[:times(2, len(all))] {
		r.drift(s, "while rules change, "+tampering.name, tampering.do)
	}
	r.converged(s, churn)
}

// tampering is what another tool does.
type tampering struct {
	name string
	do   func(t *testing.T)
}

func (s *site) tamperings() []tampering {
	pins := s.pins("h1")
	return []tampering{
		{"filter detached", func(t *testing.T) { detach(t, pins, s.victim) }},
		{"table of interfaces flushed", func(t *testing.T) { flush(t, filepath.Join(pins, "nics_v*")) }},
		{"table of members flushed", func(t *testing.T) { flush(t, filepath.Join(pins, "members4_v*")) }},
		{"pins of maps removed", func(t *testing.T) { remove(t, filepath.Join(pins, "*_v*")) }},
		{"pins of filters removed", func(t *testing.T) { remove(t, filepath.Join(pins, "links", index(t, s.victim)+"-*")) }},
		{"nftables flushed", func(t *testing.T) { flushRuleset(t, s.h1) }},
	}
}

// telling is how long the server may take to say what was found. It is more than the
// page accepts: what it took is what counts.
const telling = 6 * time.Second

// drift tampers while packets flow, and tells what came of it. The server has to say so.
func (r *row) drift(s *site, name string, tamper func(*testing.T)) {
	r.Helper()
	const settling = 200 * time.Millisecond
	traffic := s.startTraffic(r.T)
	time.Sleep(settling)
	repairs := s.host(r.T, "h1").Repairs
	begun := time.Now()
	tamper(r.T)
	told := false
	for !told && time.Since(begun) < telling {
		h := s.host(r.T, "h1")
		told = h.Repairs > repairs && h.Error != ""
		time.Sleep(look)
	}
	if !told {
		r.Errorf("%s: the server says nothing of it", name)
	}
	time.Sleep(5 * settling)
	traffic.stop(r.T)
	denied, allowed := traffic.touched(begun)
	_, delivered, _ := traffic.sums(false)
	sent, arrived, _ := traffic.sums(true)
	if delivered == 0 && sent == arrived {
		r.say("%s: no packet touched", name)
	} else {
		r.within(fmt.Sprintf("%s: %d denied delivered, %d allowed lost, the last after", name, delivered, sent-arrived), max(denied, allowed), 2*time.Second)
	}
	if n := traffic.before(begun); n > 0 {
		r.Errorf("%s: %d packets were decided wrongly before", name, n)
	}
}

// touched is how long after then the last denied packet was sent that arrived, and the
// last allowed one that did not.
func (f *traffic) touched(then time.Time) (denied, allowed time.Duration) {
	for _, s := range f.streams {
		wrong, last := s.wrong(), &denied
		if s.allowed {
			last = &allowed
		}
		if len(wrong) > 0 {
			*last = max(*last, s.at(wrong[len(wrong)-1]).Sub(then))
		}
	}
	return denied, allowed
}

// before is how many packets were decided wrongly that were sent a while before then.
func (f *traffic) before(then time.Time) (n int) {
	for _, s := range f.streams {
		for _, number := range s.wrong() {
			if s.at(number).Before(then.Add(-time.Second)) {
				n++
			}
		}
	}
	return n
}

// pins is where the host's agent pins what it enforces with.
func (s *site) pins(host string) string {
	return filepath.Join("/sys/fs/bpf/gabion", s.lab.Name(host))
}

// host is what the server says of the host.
func (s *site) host(t *testing.T, name string) rest.Host {
	t.Helper()
	hosts, err := s.client.Hosts(t.Context())
	must(t, err)
	for _, h := range hosts {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("the server knows no host %s", name)
	return rest.Host{}
}

func index(t *testing.T, g *lab.Guest) string {
	t.Helper()
	n, err := g.Index()
	must(t, err)
	return fmt.Sprint(n)
}

// detach detaches both programs from the guest's interface, which leaves it open.
func detach(t *testing.T, pins string, g *lab.Guest) {
	t.Helper()
	for _, pin := range glob(t, filepath.Join(pins, "links", index(t, g)+"-*")) {
		l, err := link.LoadPinnedLink(pin, nil)
		must(t, err)
		must(t, errors.Join(l.Detach(), l.Close()))
	}
}

// flush removes all that is in the map.
func flush(t *testing.T, pattern string) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(glob(t, pattern)[0], nil)
	must(t, err)
	defer m.Close()
	for key := make([]byte, m.KeySize()); m.NextKey(nil, &key) == nil; {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, pattern string) {
	t.Helper()
	for _, path := range glob(t, pattern) {
		must(t, os.Remove(path))
	}
}

// glob are the paths, at least one.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	must(t, err)
	if len(found) == 0 {
		t.Fatalf("nothing is at %s", pattern)
	}
	return found
}

func flushRuleset(t *testing.T, h *lab.Host) {
	t.Helper()
	must(t, h.Namespace().Do(func() error { return exec.Command("nft", "flush", "ruleset").Run() }))
}
