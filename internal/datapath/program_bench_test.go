package datapath

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// batchSize is how many frames one measurement runs: few enough to end, mostly, within one slice of CPU time.
const batchSize = 4096

// warmUp is how many frames visit all established flows twice.
const warmUp = 8192

// figuresFile names the environment variable that names the file that the figures go to as JSON.
const figuresFile = "GABION_BENCH_FIGURES"

// scene is one kind of frame in one kind of world.
type scene struct {
	name    string
	against string // the scene that it is compared with

	nic   bpfNic
	run   *ebpf.Program
	frame []byte
	want  gabion.Reason // none if the program gives no reasons
	times []float64     // ns, one for each round
}

// BenchmarkProgramRun prints what a frame costs beyond an empty program. All
// scenes are measured in turn, round after round, so that what else the machine
// does hits all alike.
//
// Ports and addresses of the frames change from one to the next: a small program
// changes them and then tail-calls the program in question, also the empty one.
func BenchmarkProgramRun(b *testing.B) {
	w := newPrograms(b)
	w.real()
	scenes := w.scenes()
	for range b.N {
		for i := range scenes {
			w.measure(&scenes[i])
		}
	}
	report(scenes)
	if path := os.Getenv(figuresFile); path != "" {
		w.must(writeFigures(path, scenes))
	}
}

// writeFigures writes what frames cost beyond the empty program.
func writeFigures(path string, scenes []scene) error {
	type figure struct {
		Name     string  `json:"name"`
		Unit     string  `json:"unit"`
		Value    float64 `json:"value"`
		Baseline float64 `json:"baseline"`
	}
	beyond := map[string]float64{}
	var figures []figure
	for _, s := range scenes {
		beyond[s.name] = median(s.times) - median(scenes[0].times)
		figures = append(figures, figure{"program/" + s.name, "ns", beyond[s.name], beyond[s.against]})
	}
	text, err := json.Marshal(figures[1:]) // the first is the empty program
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// report prints what a frame costs in all, beyond the empty program, and beyond
// it in relation to another scene.
func report(scenes []scene) {
	fmt.Printf("\n%-48s %7s %7s %6s\n", fmt.Sprintf("ns per packet, medians of %d", len(scenes[0].times)), "in all", "beyond", "ratio")
	beyond := map[string]float64{}
	for _, s := range scenes {
		beyond[s.name] = median(s.times) - median(scenes[0].times)
		ratio := ""
		if s.against != "" {
			ratio = fmt.Sprintf("%6.2f", beyond[s.name]/beyond[s.against])
		}
		fmt.Printf("%-48s %7.0f %7.0f %s\n", s.name, median(s.times), beyond[s.name], ratio)
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// real loads the programs again, with the real clock.
func (w *programs) real() {
	w.Helper()
	w.must(w.objects.Close())
	spec, err := loadBpf()
	w.must(err)
	w.load(spec)
}

func (w *programs) measure(s *scene) {
	w.Helper()
	w.put(w.objects.Nics, uint32(loopback), s.nic)
	if s.want != gabion.PassFlow {
		var openers *ebpf.Map
		w.must(w.objects.HalfOpen.Lookup(s.nic.Slot, &openers))
		w.must(forgetOpeners(openers))
		w.must(openers.Close())
	}
	w.put(w.objects.Packets, uint32(0), staleScratch())
	// Where the generator of variations begins.
	binary.NativeEndian.PutUint32(s.frame[len(s.frame)-4:], rand.Uint32())
	if s.want == gabion.PassFlow { // flows in use are in the caches
		_, _, err := s.run.Benchmark(s.frame, warmUp, nil)
		w.must(err)
	}
	before := w.counted(s.nic.Slot)[s.want]
	_, each, err := s.run.Benchmark(s.frame, batchSize, nil)
	w.must(err)
	s.times = append(s.times, float64(each.Nanoseconds()))
	if got := w.counted(s.nic.Slot)[s.want] - before; s.want != gabion.ReasonNone && got != batchSize {
		w.Fatalf("%s: %d frames of %d got %s", s.name, got, batchSize, s.want)
	}
}

// Organizations, and policy sets with one rule and with 10,000.
const (
	fewMembers  = 1
	manyMembers = 2
	oneRule     = 1
	manyRules   = 2
)

// scenes builds the worlds: 1 and 10,000 rules, 1 and 100,000 members, 1,000 networks, 4,096 flows.
func (w *programs) scenes() []scene {
	w.Helper()
	w.population(fewMembers, 1)
	w.population(manyMembers, 100_000)
	w.book(oneRule, 1)
	w.book(manyRules, 100)
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	w.must(err)
	w.Cleanup(func() { empty.Close() })

	syn4, syn6 := ip4(member(0), guest, protoTCP, ssh, padded(8)), ip6(member(0), guest, protoTCP, ssh, padded(8))
	est4, est6 := ip4(member(0), guest, protoTCP, tcp(0, 22, ack), padded(8)), ip6(member(0), guest, protoTCP, tcp(0, 22, ack), padded(8))
	est := func(frame []byte, ports int) *ebpf.Program {
		return w.varied(w.objects.ToInstance, variation{frame: frame, ports: ports, members: 1})
	}
	sentEst, sentSyn := ip4(guest, member(0), protoTCP, tcp(22, 0, ack), padded(8)), ip4(guest, member(0), protoTCP, tcp(22, 0, syn), padded(8))
	sent := func(frame []byte, ports int) *ebpf.Program {
		return w.varied(w.objects.FromInstance, variation{frame: frame, ports: ports, members: 1, sent: true})
	}
	fresh := func(frame []byte, members int) *ebpf.Program {
		return w.varied(w.objects.ToInstance, variation{frame: frame, ports: 1 << 16, members: members})
	}
	scenes := []scene{
		{name: "empty program", nic: owned(oneRule, fewMembers), frame: est4, run: w.varied(empty, variation{frame: est4, ports: 4096, members: 1})},
		{name: "established, 1 flow", nic: owned(oneRule, fewMembers), frame: est4, run: est(est4, 1), want: gabion.PassFlow},
		{name: "established, 4096 flows", nic: owned(oneRule, fewMembers), frame: est4, run: est(est4, 4096), want: gabion.PassFlow},
		{
			name: "established, 4096 flows, 10,000 rules", against: "established, 4096 flows",
			nic: owned(manyRules, manyMembers), frame: est4, run: est(est4, 4096), want: gabion.PassFlow,
		},
		{
			name: "established, 4096 flows, IPv6", against: "established, 4096 flows",
			nic: owned(manyRules, manyMembers), frame: est6, run: est(est6, 4096), want: gabion.PassFlow,
		},
		{
			name: "established, 4096 flows, sent", against: "established, 4096 flows",
			nic: owned(oneRule, fewMembers), frame: sentEst, run: sent(sentEst, 4096), want: gabion.PassFlow,
		},
		{name: "new flow", nic: owned(oneRule, fewMembers), frame: syn4, run: fresh(syn4, 1), want: gabion.PassRule},
		{
			name: "new flow, sent", against: "new flow",
			nic: owned(oneRule, fewMembers), frame: sentSyn, run: sent(sentSyn, 1<<16), want: gabion.PassEgressOpen,
		},
		{
			name: "new flow, 10,000 rules", against: "new flow",
			nic: owned(manyRules, fewMembers), frame: syn4, run: fresh(syn4, 1), want: gabion.PassRule,
		},
		{name: "new flow, 10 members", nic: owned(oneRule, manyMembers), frame: syn4, run: fresh(syn4, 10), want: gabion.PassRule},
		{
			name: "new flow, 100,000 members", against: "new flow, 10 members",
			nic: owned(oneRule, manyMembers), frame: syn4, run: fresh(syn4, 100_000), want: gabion.PassRule,
		},
		{
			name: "new flow, 10,000 rules, 100,000 members", against: "new flow, 100,000 members",
			nic: owned(manyRules, manyMembers), frame: syn4, run: fresh(syn4, 100_000), want: gabion.PassRule,
		},
		{
			name: "new flow, 10,000 rules, 100,000 members, IPv6", against: "new flow, 10,000 rules, 100,000 members",
			nic: owned(manyRules, manyMembers), frame: syn6, run: fresh(syn6, 100_000), want: gabion.PassRule,
		},
		{
			name: "denied, 10,000 rules, 100,000 members", against: "new flow, 10,000 rules, 100,000 members",
			nic: owned(manyRules, manyMembers), frame: denied(syn4), run: fresh(denied(syn4), 100_000), want: gabion.DropDeniedIngress,
		},
	}
	for i := range scenes {
		w.settle(&scenes[i], uint32(i+1))
	}
	return scenes
}

// settle gives a scene a slot of its own, with what frames of established flows belong to.
func (w *programs) settle(s *scene, slot uint32) {
	w.Helper()
	s.nic.Slot = slot
	w.inner(w.objects.Flows, bpfMapFlows, slot, 0)
	w.inner(w.objects.HalfOpen, bpfMapHalfOpen, slot, 0)
	if s.want == gabion.PassFlow {
		w.fillFlows(slot, 4096)
	}
}

func denied(frame []byte) []byte {
	return numberAt(36, 23)(slices.Clone(frame))
}

// member is one of an organization's many.
func member(i int) machine {
	m := peer
	m.ip4 = netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)})
	m.ip6 = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 4: 1, 12: 10, 13: 1 + byte(i>>16), 14: byte(i >> 8), 15: byte(i)})
	return m
}

func owned(set, organization uint32) bpfNic {
	nic := nicOfMachine(loopback, 0, set, guest)
	nic.Net = organization
	return nic
}

// population makes an organization of that many members, who are in two groups.
func (w *programs) population(organization uint32, size int) {
	w.Helper()
	w.put(w.objects.RemoteSets, uint32(1), bpfRemoteSet{Groups: [16]uint32{1, 2}})
	for i := range size {
		w.enroll(organization, member(i).ip4, 1)
		w.enroll(organization, member(i).ip6, 1)
	}
}

// book makes a policy set of ports times as many rules, one for each of as many
// groups and ports, of which the second group's ssh is one; and with a thousand
// networks, none of which holds a member.
func (w *programs) book(set uint32, ports int) {
	w.Helper()
	r := w.ruleset(set)
	var keys []bpfPolicyKey
	var values []uint32
	for group := range ports {
		for port := range ports {
			keys = append(keys, ruleKey(gabion.Ingress, uint32(group+2), gabion.TCP, uint16(22+port*37), 16))
			values = append(values, uint32(1+len(values)))
		}
	}
	keys = slices.DeleteFunc(keys, func(k bpfPolicyKey) bool { return k.Port == swap16(23) })
	_, err := r.rules.BatchUpdate(keys, values[:len(keys)], nil)
	w.must(err)
	for i := range 1000 {
		r.network(gabion.Ingress, fmt.Sprintf("172.%d.%d.0/24", 16+i/256, i%256), classAny)
		r.network(gabion.Ingress, fmt.Sprintf("2001:db9:%x::/48", i), classAny)
	}
}

// fillFlows puts established flows from ports of the first member into a slot's table.
func (w *programs) fillFlows(slot uint32, n int) {
	w.Helper()
	var table *ebpf.Map
	w.must(w.objects.Flows.Lookup(slot, &table))
	defer table.Close()
	now := uint32(w.monotonic() >> 20)
	for port := range n {
		for _, ends := range [][2]netip.Addr{{member(0).ip4, guest.ip4}, {member(0).ip6, guest.ip6}} {
			key := bpfFlowKey{
				Remote: addressBytes(ends[0]), Local: addressBytes(ends[1]), Rport: swap16(uint16(port)), Lport: swap16(22), Protocol: protoTCP,
			}
			w.put(table, key, bpfFlow{LastSeen: now, Rule: 1, State: bpfFlowStateFLOW_ESTABLISHED})
		}
	}
}

// monotonic is the kernel's clock.
func (w *programs) monotonic() time.Duration {
	w.Helper()
	var now unix.Timespec
	w.must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return time.Duration(now.Nano())
}

// variation says what differs between frames that are otherwise the same.
type variation struct {
	frame   []byte
	ports   int  // source ports, from 0 on; a power of two
	members int  // sources, from the first member on
	sent    bool // by the instance: destinations, and their ports
}

// varied is a program that varies the frame before it tail-calls the program in question.
// The state of its generator of random numbers lies behind the packet, in the frame's padding.
func (w *programs) varied(p *ebpf.Program, v variation) *ebpf.Program {
	w.Helper()
	calls, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	w.must(err)
	w.Cleanup(func() { calls.Close() })
	w.put(calls, uint32(0), p)

	const header = 14
	address, port := int16(header+12), int16(header+20)
	if binary.BigEndian.Uint16(v.frame[12:]) == typeIPv6 {
		address, port = header+8+12, header+40
	}
	at := ebpf.AttachTCXEgress
	if v.sent {
		address, port, at = address+4, port+2, ebpf.AttachTCXIngress // IPv4 only
	}
	state := int16(len(v.frame) - 4)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, AttachType: at, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadMem(asm.R7, asm.R6, 76, asm.Word), // data
			asm.LoadMem(asm.R8, asm.R6, 80, asm.Word), // data_end
			asm.Mov.Reg(asm.R2, asm.R7),
			asm.Add.Imm(asm.R2, int32(len(v.frame))),
			asm.JGT.Reg(asm.R2, asm.R8, "call"),

			asm.LoadMem(asm.R3, asm.R7, state, asm.Word), // the generator of Numerical Recipes
			asm.Mul.Imm32(asm.R3, 1664525),
			asm.Add.Imm32(asm.R3, 1013904223),
			asm.StoreMem(asm.R7, state, asm.R3, asm.Word),

			asm.Mov.Reg32(asm.R4, asm.R3), // its low bits never repeat before all were there
			asm.And.Imm32(asm.R4, int32(v.ports-1)),
			asm.HostTo(asm.BE, asm.R4, asm.Half),
			asm.StoreMem(asm.R7, port, asm.R4, asm.Half),

			asm.Mul.Imm(asm.R3, int32(v.members)),
			asm.RSh.Imm(asm.R3, 32),
			asm.Add.Imm32(asm.R3, 10<<24|1<<16),
			asm.HostTo(asm.BE, asm.R3, asm.Word),
			asm.StoreMem(asm.R7, address, asm.R3, asm.Word),

			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("call"),
			asm.LoadMapPtr(asm.R2, calls.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, 77),
			asm.Return(),
		},
	})
	w.must(err)
	w.Cleanup(func() { program.Close() })
	return program
}
