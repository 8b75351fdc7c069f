package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
)

// takeOver puts our programs in the place of those over maps of another layout, and
// takes over the flows that these know. The policy is written already. docs/adr/0008:
//
//   - what the former maps know is copied before the programs are replaced;
//   - again afterwards, and until then the former programs decide what ours would drop;
//   - and once more when they see no packet any more.
//
// Flows that can't be read are lost, and reported: that keeps no policy from being enforced.
func (d *Datapath) takeOver() error {
	if d.formerLayouts == nil {
		return nil
	}
	formers := d.openFormers()
	defer d.closeFormers(formers)
	copied := d.copyFlows(formers, true)
	begun, err := d.replacePrograms(formers)
	if err != nil {
		return err
	}
	copied += begun + d.copyFlows(formers, false)
	if err := removeFormer(filepath.Dir(d.links.dir)); err != nil {
		return err
	}
	d.log.Info("took over from an agent with another layout of maps", "layouts", d.formerLayouts, "flows", copied)
	d.formerLayouts = nil
	return nil
}

func (d *Datapath) openFormers() (formers []*former) {
	for _, layout := range d.formerLayouts {
		f, err := openFormer(filepath.Dir(d.links.dir), layout, d.types)
		if err != nil {
			d.log.Error("flows that an agent with another layout of maps knew are not taken over", "error", err)
			continue
		}
		formers = append(formers, f)
	}
	return formers
}

func (d *Datapath) closeFormers(formers []*former) {
	for _, f := range formers {
		if err := f.close(); err != nil {
			d.log.Warn("maps of another layout stay open", "error", err)
		}
	}
}

// replacePrograms has former programs decide what ours would drop until their flows
// are here, and returns when they see no packet any more. It says how many it copied.
func (d *Datapath) replacePrograms(formers []*former) (copied int, err error) {
	if err := d.askFormer(formers); err != nil {
		d.log.Warn("packets of flows that just begin may be dropped", "error", err)
	}
	err = d.links.replace()
	if err == nil {
		err = d.kernel.wait() // for packets that they were judging
	}
	if err == nil {
		copied = d.copyFlows(formers, false)
	}
	return copied, errors.Join(err, d.leaveFormer())
}

// askFormer finds the programs that decide now.
func (d *Datapath) askFormer(formers []*former) error {
	ids := map[ebpf.MapID]bool{}
	for _, f := range formers {
		info, err := f.flows.Info()
		if err != nil {
			return fmt.Errorf("identify map %s: %w", f.flows, err)
		}
		id, _ := info.ID()
		ids[id] = true
	}
	for _, h := range d.links.hooks {
		program, err := d.links.over(h.name, ids)
		if program == nil {
			if err != nil {
				return err
			}
			continue
		}
		err = errors.Join(d.formerOf(h).Put(uint32(0), program), program.Close())
		if err != nil {
			return fmt.Errorf("keep the former %s: %w", h.name, err)
		}
	}
	return d.takingOver.Set(uint32(1))
}

func (d *Datapath) formerOf(h hook) *ebpf.Map {
	if h.at == ebpf.AttachTCXIngress {
		return d.kernel.maps.FormerFromInstance
	}
	return d.kernel.maps.FormerToInstance
}

// leaveFormer has our programs decide alone, and waits until they do.
func (d *Datapath) leaveFormer() error {
	if err := d.takingOver.Set(uint32(0)); err != nil {
		return fmt.Errorf("end taking over: %w", err)
	}
	for _, h := range d.links.hooks {
		if err := d.formerOf(h).Delete(uint32(0)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("let go of the former %s: %w", h.name, err)
		}
	}
	return d.kernel.wait()
}

// copyFlows copies what the former maps know of NICs that are there still. At first
// nobody else writes to ours.
func (d *Datapath) copyFlows(formers []*former, first bool) (copied int) {
	for _, f := range formers {
		for name, theirs := range f.slots {
			ours, stays := d.register.numbers[ID{Kind: KindNIC, Name: name}]
			if !stays {
				continue
			}
			n, err := d.copySlot(f, theirs, ours.number, first)
			if copied += n; err != nil {
				d.log.Error("flows that an agent with another layout of maps knew are not all taken over", "slot", ours.number, "error", err)
			}
		}
	}
	return copied
}

func (d *Datapath) copySlot(f *former, theirs, ours uint32, first bool) (copied int, err error) {
	if err := d.copyLearned(f, theirs, ours); err != nil {
		return 0, err
	}
	a := adoption{first: first, now: ticksOf(sinceBoot())}
	err = within(d.kernel.maps.Flows, ours, 1, func(table *ebpf.Map) error {
		a.table = table
		return a.copy(f, theirs)
	})
	return a.copied, err
}

func (d *Datapath) copyLearned(f *former, theirs, ours uint32) error {
	value, err := f.states.LookupBytes(theirs)
	if err != nil {
		return fmt.Errorf("read state of slot %d: %w", theirs, err)
	}
	var state bpfNicState
	if err := d.kernel.maps.NicStates.LookupWithFlags(ours, &state, ebpf.LookupLock); err != nil {
		return fmt.Errorf("read state of slot %d: %w", ours, err)
	}
	if !f.learned.merge(value, &state) {
		return nil
	}
	return d.kernel.maps.NicStates.Update(ours, &state, ebpf.UpdateLock)
}

// adoption is one reading of one slot.
type adoption struct {
	table  *ebpf.Map
	first  bool // nobody else writes to table
	now    uint32
	copied int
}

// copy puts all into the table, what is not settled too: there it lasts as long as where
// our programs put it. It is read first, as it may be settled meanwhile, and written last,
// as it must not take the place of what is.
func (a *adoption) copy(f *former, slot uint32) error {
	var openers entries[bpfFlowKey, bpfFlow]
	err := within(f.halfOpen, slot, 1, func(sets *ebpf.Map) error {
		return eachElement(sets, ebpf.LookupLock, func(_, set []byte) error {
			f.openers.each(set, openers.add)
			return nil
		})
	})
	if err != nil {
		return err
	}
	err = within(f.flows, slot, 1, func(table *ebpf.Map) error {
		return eachElement(table, 0, func(key, value []byte) error { return a.adopt(f.flow.convert(key, value)) })
	})
	for i := range openers.keys {
		if err == nil {
			err = a.adopt(openers.keys[i], openers.values[i])
		}
	}
	return err
}

// adopt puts a flow where there is none, or completes what is known of it. A closing one
// that is gone has made room for the next.
func (a *adoption) adopt(key bpfFlowKey, flow bpfFlow) error {
	if isExpired(&key, &flow, a.now) {
		return nil
	}
	var ours bpfFlow
	switch err := a.table.Lookup(&key, &ours); {
	case errors.Is(err, ebpf.ErrKeyNotExist) && (a.first || flow.State != bpfFlowStateFLOW_CLOSING):
		if err := a.table.Update(&key, &flow, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("put flow: %w", err)
		}
		a.copied++
	case err != nil && !errors.Is(err, ebpf.ErrKeyNotExist):
		return fmt.Errorf("look for flow: %w", err)
	case err == nil && ours.surpass(flow):
		if err := a.table.Update(&key, &ours, ebpf.UpdateExist); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("complete flow: %w", err)
		}
	}
	return nil
}

// removeFormer unpins the maps of other layouts: no program uses them any more.
func removeFormer(dir string) error {
	pins, err := filepath.Glob(filepath.Join(dir, "*_v[0-9]*"))
	if err != nil {
		return fmt.Errorf("list maps: %w", err)
	}
	for _, pin := range pins {
		if strings.HasSuffix(pin, layout) {
			continue
		}
		if err := os.Remove(pin); err != nil {
			return fmt.Errorf("unpin map of another layout: %w", err)
		}
	}
	return nil
}
