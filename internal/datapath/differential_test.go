package datapath

import (
	"context"
	"encoding/binary"
	flags "flag" // "flag" is a TCP flag in these tests
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/traffic"
)

var (
	packets = flags.Int("packets", 200_000, "how many packets the differential test compares")
	seed    = flags.Uint64("seed", 0, "seed of the differential test; 0 draws one")
)

// TestProgramsAndEvaluatorAgree runs random courses of events through the eBPF
// programs, with real maps that Apply's own code fills, and through the evaluator,
// which knows nothing of them: for every frame both must have the same verdict for
// the same reason.
func TestProgramsAndEvaluatorAgree(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	c := &comparison{hits: map[gabion.Reason]int{}, began: time.Now()}
	t.Run("scripts", func(t *testing.T) {
		for n := range workers() {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				c.work(t, n%runtime.NumCPU())
			})
		}
	})
	c.report(t)
}

// workers is how many tests may run at once (-parallel). More than there are CPUs
// are of use: a worker mostly waits for the kernel to let go of an old policy.
func workers() int {
	n, err := strconv.Atoi(flags.Lookup("test.parallel").Value.String())
	if err != nil {
		return runtime.NumCPU()
	}
	return n
}

// comparison is how far all workers together are.
type comparison struct {
	began   time.Time
	scripts atomic.Uint64 // begun
	probed  atomic.Int64  // frames in the middle of a change

	mu       sync.Mutex
	compared int
	hits     map[gabion.Reason]int // frames, by what became of them
}

// work plays one script after the other until enough frames were compared.
func (c *comparison) work(t *testing.T, cpu int) {
	d := newDifferential(t, cpu)
	for !c.isEnough() && !t.Failed() {
		number := c.scripts.Add(1) - 1
		script, hits := traffic.New(*seed, number), map[gabion.Reason]int{}
		if found := d.play(script.Config, timed(script), hits); found != nil {
			t.Fatalf("seed %d, script %d: %s\n%s", *seed, number, found, d.shrink(script, found))
		}
		c.probed.Add(int64(d.probed))
		if before, after := c.add(hits); before/progressEvery != after/progressEvery {
			t.Logf("%d packets after %s", after, time.Since(c.began).Round(time.Second))
		}
	}
}

const progressEvery = 1_000_000 // packets

func (c *comparison) isEnough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compared >= *packets
}

func (c *comparison) add(hits map[gabion.Reason]int) (before, after int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.compared
	for reason, n := range hits {
		c.hits[reason] += n
		c.compared += n
	}
	return before, c.compared
}

func (c *comparison) report(t *testing.T) {
	t.Logf("%d packets compared in %s, and %d in the middle of a change", c.compared, time.Since(c.began).Round(time.Second), c.probed.Load())
	for _, reason := range gabion.Reasons() {
		t.Logf("%-6s %-18s %9d", reason.Verdict(), reason, c.hits[reason])
		if c.hits[reason] == 0 && c.compared >= 100_000 {
			t.Errorf("no packet got %s: the test says nothing of it", reason)
		}
	}
}

// event is a step at its time, so that it happens then whatever is left out before.
type event struct {
	traffic.Step
	at time.Duration
}

func timed(s *traffic.Script) []event {
	events, at := make([]event, len(s.Steps)), s.Start
	for k, step := range s.Steps {
		at += step.Wait
		events[k] = event{step, at}
	}
	return events
}

// mismatch is a frame of which programs and evaluator think differently.
type mismatch struct {
	at        int // index of the event
	want, got gabion.Reason
	why       string
}

func (m *mismatch) String() string {
	if m.why != "" {
		return fmt.Sprintf("event %d: %s", m.at, m.why)
	}
	return fmt.Sprintf("event %d: the evaluator says %s, the programs say %s", m.at, m.want, m.got)
}

// differential is the programs, the evaluator, and one host's policy for both.
type differential struct {
	*programs
	cpu      int
	datapath *Datapath
	links    map[string]int

	config    policy.Config
	world     *policy.World
	view      *policy.View
	evaluator *policy.Evaluator

	prober *traffic.Prober
	probed int
}

func newDifferential(t *testing.T, cpu int) *differential {
	d := &differential{programs: newPrograms(t), cpu: cpu, prober: traffic.NewProber()}
	d.links = isolate(t, cpu)
	kernel := &kernel{maps: d.objects.bpfMaps}
	spec, err := loadBpf()
	d.must(err)
	kernel.inner = innerSpecsOf(spec)
	kernel.inner.flows.MaxEntries = traffic.MaxFlows
	kernel.stubs, err = openStubs(&kernel.maps, kernel.inner)
	d.must(err)
	t.Cleanup(func() { d.must(kernel.stubs.close()) })
	d.datapath = &Datapath{
		log: slog.New(slog.DiscardHandler), programs: d.objects.bpfPrograms,
		limits: limitsOf(spec), kernel: kernel,
	}
	return d
}

// isolate moves the test into a network namespace of its own, with the interfaces
// that scripts use, and onto one CPU, where the programs leave what they found.
func isolate(t *testing.T, number int) map[string]int {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	cpu := unix.CPUSet{}
	cpu.Set(number)
	if err := unix.SchedSetaffinity(0, &cpu); err != nil {
		t.Fatalf("stay on CPU %d: %v", number, err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
	names, links := traffic.Interfaces(), map[string]int{traffic.Unknown: loopback}
	for k := 0; k < len(names); k += 2 {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: names[k]}, PeerName: names[k+1]}
		if err := netlink.LinkAdd(veth); err != nil {
			t.Fatalf("make interfaces %s and %s: %v", names[k], names[k+1], err)
		}
	}
	for _, name := range names {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatalf("find interface %s: %v", name, err)
		}
		links[name] = link.Attrs().Index
	}
	return links
}

// begin forgets everything that happened before.
func (d *differential) begin(c policy.Config) {
	d.config, d.probed = c, 0
	d.world, d.view, d.evaluator = policy.NewWorld(), policy.NewView(), policy.NewEvaluator(c)
	d.apply()
	d.must(d.datapath.kernel.nameServers(c.DHCPServers, c.Routers))
}

// apply has both judge by the view.
func (d *differential) apply() {
	before := d.epochs()
	_, err := d.datapath.write(d.view, d.links)
	d.must(err)
	d.evaluator.SetView(d.view, d.unmoved(before)...)
}

// play lets the events happen until a frame is judged differently, and counts what
// became of the frames.
func (d *differential) play(c policy.Config, events []event, hits map[gabion.Reason]int) *mismatch {
	d.begin(c)
	for k, e := range events {
		d.must(d.objects.SetClock.Set(uint64(e.at)))
		switch {
		case e.Change != nil:
			if found := d.change(e); found != nil {
				found.at = k
				return found
			}
		case e.Collect:
			_, err := d.datapath.CollectExpired()
			d.must(err)
			d.evaluator.Collect(uint64(e.at))
		case canRun(e.Frame):
			want := d.evaluate(e)
			hits[want.Reason]++
			if found := d.compare(e, want); found != nil {
				found.at = k
				return found
			}
		}
	}
	return nil
}

// canRun tells whether program runs take the frame: newer kernels refuse one whose
// EtherType promises an IP header that is not all there.
func canRun(frame []byte) bool {
	room := len(frame) - 14
	switch binary.BigEndian.Uint16(frame[12:]) {
	case typeIPv4:
		return room >= 20
	case typeIPv6:
		return room >= 40
	}
	return true
}

func (d *differential) evaluate(e event) policy.Result { return evaluate(d.evaluator, e) }

func evaluate(by *policy.Evaluator, e event) policy.Result {
	f := policy.Frame{Data: e.Frame, Several: e.Several} // program runs take no other metadata
	if e.Way == gabion.Egress {
		return by.FromInstance(uint64(e.at), e.NIC, f)
	}
	return by.ToInstance(uint64(e.at), e.NIC, f)
}

func (d *differential) compare(e event, want policy.Result) *mismatch {
	action, got := d.runFrame(e)
	switch {
	case got.reason != want.Reason:
		return &mismatch{want: want.Reason, got: got.reason}
	case action != tcxAction(want.Reason):
		return &mismatch{why: fmt.Sprintf("the program returned %d for %s", action, want.Reason)}
	case hasRule(want.Reason) && (got.rule != 0) != (want.Rule != ""):
		return &mismatch{why: fmt.Sprintf("%s by rule %q for the evaluator, slot %d for the programs", want.Reason, want.Rule, got.rule)}
	}
	return nil
}

// runFrame has the programs judge a frame.
func (d *differential) runFrame(e event) (action int32, got verdict) {
	program := d.objects.ToInstance
	if e.Way == gabion.Egress {
		program = d.objects.FromInstance
	}
	context := &skb{Ifindex: uint32(d.links[e.NIC])}
	if e.Several {
		context.GSOSize = 100
	}
	result, err := program.Run(&ebpf.RunOptions{Data: e.Frame, Context: context})
	d.must(err)
	return int32(result), d.verdictHere()
}

// hasRule tells whether programs and evaluator say which rule admitted. Which it is
// may differ where several do.
func hasRule(r gabion.Reason) bool { return r == gabion.PassRule || r == gabion.PassFlow }

// verdictHere is what the program that ran on this CPU left.
func (d *differential) verdictHere() verdict {
	var scratch []bpfPacket
	d.must(d.objects.Packets.Lookup(uint32(0), &scratch))
	return verdict{reason: gabion.Reason(scratch[d.cpu].Reason), rule: scratch[d.cpu].Rule}
}

// shrink leaves out what the mismatch doesn't need, and tells the rest as text. That
// may take a minute.
func (d *differential) shrink(s *traffic.Script, found *mismatch) string {
	if testing.Short() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events := timed(s)[:found.at+1]
	for size := len(events) / 2; size > 0 && ctx.Err() == nil; size /= 2 {
		for from := 0; from+size < len(events) && ctx.Err() == nil; {
			fewer := slices.Delete(slices.Clone(events), from, from+size)
			if still := d.play(s.Config, fewer, map[gabion.Reason]int{}); still != nil {
				events = fewer[:still.at+1]
			} else {
				from += size
			}
		}
	}
	last := d.play(s.Config, events, map[gabion.Reason]int{})
	return d.tell(s.Config, events, last)
}

func (d *differential) tell(c policy.Config, events []event, last *mismatch) string {
	var b strings.Builder
	fmt.Fprintf(&b, "shortest reproduction found, with %+v:\n", c)
	for _, e := range events {
		fmt.Fprintf(&b, "  at %d ns: %s\n", e.at, e.Step)
	}
	if last == nil {
		return b.String() + "which does not reproduce it: something outside of the events matters"
	}
	return b.String() + last.String()
}
