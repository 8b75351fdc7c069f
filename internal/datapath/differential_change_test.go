package datapath

import (
	"fmt"
	"maps"
	"time"

	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/traffic"
)

// change applies what an event changes. Where that is what one call of the API can
// do, frames meet it half done: each must get the verdict of the policy before or
// after it.
func (d *differential) change(e event) *mismatch {
	delta := d.world.Apply(*e.Change)[traffic.Host]
	if delta == nil {
		return nil
	}
	old := policy.NewEvaluator(d.config)
	old.SetView(copied(d.view))
	d.view.Apply(delta)
	if !e.One || e.at < 2*time.Second { // before, the first frames use an allowance up
		d.apply()
		return nil
	}
	d.prober.Seed(uint64(e.at))
	between := &between{event: e, differential: d, old: old, new: policy.NewEvaluator(d.config)}
	between.new.SetView(d.view)
	before := d.epochs()
	d.must(d.applyThrough(probing{d.datapath.kernel, between.probe}))
	d.evaluator.SetView(d.view, d.unmoved(before)...)
	return between.found
}

// epochs are those of the NICs, by interface.
func (d *differential) epochs() map[string]nicEpoch {
	epochs := map[string]nicEpoch{}
	if d.datapath.actual == nil {
		return epochs
	}
	for iface, ifindex := range d.links {
		if nic, there := d.datapath.actual.NICs[uint32(ifindex)]; there {
			e := nicEpoch{slot: nic.Slot}
			d.must(d.objects.Epochs.Lookup(nic.Slot, &e.epoch))
			epochs[iface] = e
		}
	}
	return epochs
}

type nicEpoch struct{ slot, epoch uint32 }

// unmoved are the interfaces of the NICs whose epoch the change did not move on.
// That it moves wherever access is lost, flows tell.
func (d *differential) unmoved(before map[string]nicEpoch) []string {
	var stay []string
	for iface, now := range d.epochs() {
		if was, there := before[iface]; there && was == now {
			stay = append(stay, iface)
		}
	}
	return stay
}

// copied is a view that stays as it is when v changes.
func copied(v *policy.View) *policy.View {
	return &policy.View{
		Revision:  v.Revision,
		Instances: maps.Clone(v.Instances), Groups: maps.Clone(v.Groups), Members: maps.Clone(v.Members),
	}
}

// applyThrough is what Apply does, with another writer.
func (d *differential) applyThrough(w writer) error {
	dp := d.datapath
	dp.register.begin()
	desired, p, err := dp.prepare(d.view, d.links)
	if err != nil {
		return err
	}
	if err := dp.kernel.saveNumbers(dp.register); err != nil {
		return err
	}
	if err := p.run(w); err != nil {
		return err
	}
	unused := dp.register.unused()
	if err := dp.kernel.dropNumbers(unused); err != nil {
		return err
	}
	dp.register.release(unused)
	dp.actual, dp.origins = desired, desired.Origins
	return nil
}

// between is a change that is being written.
type between struct {
	event
	*differential
	old, new *policy.Evaluator
	found    *mismatch
}

// probesPerWrite is how many frames meet the maps after each write.
const probesPerWrite = 10

func (b *between) probe() {
	for range probesPerWrite {
		e := event{Step: b.prober.Probe(), at: b.at}
		_, got := b.runFrame(e)
		b.probed++
		was, will := evaluate(b.old, e).Verdict(), evaluate(b.new, e).Verdict()
		if is := got.reason.Verdict(); is != was && is != will && b.found == nil {
			b.found = &mismatch{why: fmt.Sprintf("in the middle of the change %s gets %s: both before and after it gets %s", e.Step, got.reason, was)}
		}
	}
}

// probing is the kernel, with frames that come between any two writes.
type probing struct {
	*kernel
	probe func()
}

func (p probing) then(err error) error {
	p.probe()
	return err
}

func (p probing) settle(before phase) error { return p.then(p.kernel.settle(before)) }

func (p probing) openSlots(slots []uint32) error { return p.then(p.kernel.openSlots(slots)) }

func (p probing) closeSlots(slots []uint32) error { return p.then(p.kernel.closeSlots(slots)) }

func (p probing) putRemoteSets(e entries[uint32, RemoteSet]) error {
	return p.then(p.kernel.putRemoteSets(e))
}

func (p probing) publishSets(s map[uint32]*PolicySet) error { return p.then(p.kernel.publishSets(s)) }

func (p probing) withdrawSets(numbers []uint32) error { return p.then(p.kernel.withdrawSets(numbers)) }

func (p probing) putFlags(set, flags uint32) error { return p.then(p.kernel.putFlags(set, flags)) }

func (p probing) putMembers(e entries[MemberKey, uint32]) error {
	return p.then(p.kernel.putMembers(e))
}

func (p probing) removeMembers(keys []MemberKey) error { return p.then(p.kernel.removeMembers(keys)) }

func (p probing) putNICs(e entries[uint32, NIC]) error { return p.then(p.kernel.putNICs(e)) }

func (p probing) removeNICs(ifindexes []uint32) error { return p.then(p.kernel.removeNICs(ifindexes)) }

func (p probing) bumpEpochs(slots []uint32) error { return p.then(p.kernel.bumpEpochs(slots)) }

func (p probing) putPolicies(set uint32, e entries[PolicyKey, uint32]) error {
	return p.then(p.kernel.putPolicies(set, e))
}

func (p probing) removePolicies(set uint32, keys []PolicyKey) error {
	return p.then(p.kernel.removePolicies(set, keys))
}

func (p probing) putCIDRs(set uint32, direction int, e entries[CIDRKey, uint32]) error {
	return p.then(p.kernel.putCIDRs(set, direction, e))
}

func (p probing) removeCIDRs(set uint32, direction int, keys []CIDRKey) error {
	return p.then(p.kernel.removeCIDRs(set, direction, keys))
}
