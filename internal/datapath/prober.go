package datapath

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
)

// Answer is what the programs say to a question.
type Answer struct {
	Reason gabion.Reason
	Rule   string // id of the rule that admits; empty if none does
}

// prober is the programs once more, over the policy that is in force and over
// flows, counters and events of its own: what it is asked leaves no trace in what
// decides packets, and packets know nothing of it.
type prober struct {
	objects struct {
		bpfPrograms
		bpfMaps
	}
	openers *ebpf.Map // of all slots: one question at a time
	flows   *ebpf.Map
	pieces  *ebpf.Map
}

// Entries of the prober's own maps: one question leaves one of each at most.
const (
	probeRoom     = 512
	probeCounters = 1 // what is counted beyond is not counted, which is as well
)

// shared are the maps that policy is in. The prober's programs only read them.
func shared(m *bpfMaps) map[string]*ebpf.Map {
	return map[string]*ebpf.Map{
		bpfMapNics: m.Nics, bpfMapEpochs: m.Epochs, bpfMapPolicySets: m.PolicySets,
		bpfMapMembers4: m.Members4, bpfMapMembers6: m.Members6, bpfMapRemoteSets: m.RemoteSets,
		bpfMapPolicies: m.Policies, bpfMapCidrs: m.Cidrs, bpfMapNamed: m.Named, bpfMapConfig: m.Config,
	}
}

func openProber(m *bpfMaps, slots int) (_ *prober, err error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded eBPF programs: %w", err)
	}
	for name, entries := range map[string]int{
		bpfMapVerdicts: probeCounters, bpfMapRuleHits: probeCounters, bpfMapIds: 1,
		bpfMapTold: probeRoom, bpfMapAdmitted: probeRoom, bpfMapEvents: os.Getpagesize(),
	} {
		spec.Maps[name].MaxEntries = uint32(entries)
	}
	p := &prober{}
	if err := spec.LoadAndAssign(&p.objects, &ebpf.CollectionOptions{MapReplacements: shared(m)}); err != nil {
		return nil, fmt.Errorf("load eBPF programs to ask: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	inner := innerSpecsOf(spec)
	for _, each := range []struct {
		outer *ebpf.Map
		spec  *ebpf.MapSpec
		to    **ebpf.Map
	}{
		{p.objects.Flows, inner.flows, &p.flows},
		{p.objects.HalfOpen, inner.halfOpen, &p.openers},
		{p.objects.Fragments, inner.fragments, &p.pieces},
	} {
		if *each.to, err = shareInner(each.outer, each.spec, slots); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// shareInner gives all slots one small map.
func shareInner(outer *ebpf.Map, spec *ebpf.MapSpec, slots int) (*ebpf.Map, error) {
	small := spec.Copy()
	if spec.Type != ebpf.Array { // an array of another size is of another kind
		small.MaxEntries = probeRoom
	}
	m, err := ebpf.NewMap(small)
	if err != nil {
		return nil, fmt.Errorf("create map for %s: %w", outer, err)
	}
	var all entries[uint32, uint32]
	for slot := range uint32(slots) {
		all.add(slot, uint32(m.FD()))
	}
	if err := putBatch(outer, all); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (p *prober) close() error {
	if p == nil {
		return nil
	}
	errs := []error{p.objects.bpfPrograms.Close(), p.objects.bpfMaps.Close()}
	for _, m := range []*ebpf.Map{p.flows, p.openers, p.pieces} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// Ask asks the programs, over the policy in force, what they would do with the
// first packet of a connection. Nothing remembers that it was asked. It is an
// error if the instance's interface is not there, or runs other programs than ours.
func (d *Datapath) Ask(q Question) (Answer, error) {
	d.asking.Lock()
	defer d.asking.Unlock()
	if err := d.openProber(); err != nil {
		return Answer{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	nic, ifindex, err := d.asked(q)
	if err != nil {
		return Answer{}, err
	}
	if err := d.links.runsOurs(ifindex); err != nil {
		return Answer{}, err
	}
	reason, slot, err := d.prober.run(q.Direction, q.frame(nic.Mac), ifindex)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Reason: reason, Rule: d.actual.Rules[slot]}, nil
}

// PrepareToAsk loads what Ask needs, so that the first who asks does not wait for the
// verifier. Policy is applied meanwhile.
func (d *Datapath) PrepareToAsk() error {
	d.asking.Lock()
	defer d.asking.Unlock()
	return d.openProber()
}

func (d *Datapath) openProber() (err error) {
	if d.prober == nil {
		d.prober, err = openProber(&d.kernel.maps, d.limits.NICs)
	}
	return err
}

// asked finds the NIC that the question is about.
func (d *Datapath) asked(q Question) (nic NIC, ifindex int, err error) {
	if d.actual == nil {
		return nic, 0, errors.New("no policy is in force yet")
	}
	for index, nic := range d.actual.NICs {
		if d.actual.Slots[nic.Slot].Instance == q.Instance && nic.owns(q.Local) {
			return nic, int(index), nil
		}
	}
	return nic, 0, fmt.Errorf("no interface of the instance that has %s is there", q.Local)
}

// run sends the frame through a program, and forgets what that left behind.
func (p *prober) run(d gabion.Direction, frame []byte, ifindex int) (reason gabion.Reason, rule uint32, err error) {
	program := p.objects.ToInstance
	if d == gabion.Egress {
		program = p.objects.FromInstance
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, 0, err
	}
	if err := p.objects.Packets.Put(uint32(0), make([]bpfPacket, cpus)); err != nil {
		return 0, 0, fmt.Errorf("clear what the last question left: %w", err)
	}
	if _, err := program.Run(&ebpf.RunOptions{Data: frame, Context: &runContext{Ifindex: uint32(ifindex)}}); err != nil {
		return 0, 0, fmt.Errorf("ask program: %w", err)
	}
	var seen []bpfPacket
	if err := p.objects.Packets.Lookup(uint32(0), &seen); err != nil {
		return 0, 0, fmt.Errorf("read the program's answer: %w", err)
	}
	at := slices.IndexFunc(seen, func(s bpfPacket) bool { return s.Reason != 0 })
	if at < 0 {
		return 0, 0, errors.New("the program gave no answer")
	}
	return gabion.Reason(seen[at].Reason), seen[at].Rule, errors.Join(forgetOpeners(p.openers), forget(p.flows))
}

// runContext is as much of struct __sk_buff as a question needs.
type runContext struct {
	_       [40]byte
	Ifindex uint32
	_       [148]byte
}

// forget empties a map of few elements.
func forget(m *ebpf.Map) error {
	key := make([]byte, m.KeySize())
	for {
		switch err := m.NextKey(nil, &key); {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("empty map %s: %w", m, err)
		}
		if err := m.Delete(key); err != nil {
			return fmt.Errorf("empty map %s: %w", m, err)
		}
	}
}

// runsOurs tells what keeps our programs from deciding at the interface.
func (l *links) runsOurs(ifindex int) error {
	for _, h := range l.hooks {
		pin := strconv.Itoa(ifindex) + "-" + h.name
		if !l.isAttached(pin, ifindex) {
			return fmt.Errorf("%s is not attached to interface %d", h.name, ifindex)
		}
		attached, err := l.held[pin].Info()
		if err != nil {
			return fmt.Errorf("identify link %s: %w", pin, err)
		}
		info, err := h.program.Info()
		if err != nil {
			return fmt.Errorf("identify program %s: %w", h.name, err)
		}
		if id, _ := info.ID(); attached.Program != id {
			return fmt.Errorf("another program than %s decides at interface %d", h.name, ifindex)
		}
	}
	return nil
}

// Tags name the programs that are loaded: equal instructions have equal tags.
func (d *Datapath) Tags() (string, error) {
	from, err := d.programs.FromInstance.Info()
	if err != nil {
		return "", fmt.Errorf("identify program: %w", err)
	}
	to, err := d.programs.ToInstance.Info()
	if err != nil {
		return "", fmt.Errorf("identify program: %w", err)
	}
	return "from_instance:" + from.Tag + " to_instance:" + to.Tag, nil
}

// TellAllowed lets Events hand over first packets that pass, too.
func (d *Datapath) TellAllowed(on bool) error {
	value := uint32(0)
	if on {
		value = 1
	}
	if err := d.tellAllowed.Set(value); err != nil {
		return fmt.Errorf("switch events of what is allowed: %w", err)
	}
	return nil
}
