package datapath

// writer is the maps, as run writes them.
type writer interface {
	// settle waits until every program that runs now has ended, if since it last
	// did something was written that the next phase must not meet in one packet.
	settle(before phase) error

	openSlots(slots []uint32) error // empty flow table, zero state and counters, new epoch
	closeSlots(slots []uint32) error
	putRemoteSets(entries[uint32, RemoteSet]) error
	publishSets(map[uint32]*PolicySet) error // each whole, before anything can refer to it
	withdrawSets(numbers []uint32) error
	putFlags(set, flags uint32) error
	putPolicies(set uint32, e entries[PolicyKey, uint32]) error
	removePolicies(set uint32, keys []PolicyKey) error
	putCIDRs(set uint32, direction int, e entries[CIDRKey, uint32]) error
	removeCIDRs(set uint32, direction int, keys []CIDRKey) error
	putMembers(entries[MemberKey, uint32]) error
	removeMembers(keys []MemberKey) error
	putNICs(entries[uint32, NIC]) error
	removeNICs(ifindexes []uint32) error
	bumpEpochs(slots []uint32) error
}

// phase is a part of a change. A packet may meet a phase half written, but never
// writes of two phases that settle stands between.
type phase int

const (
	adding    phase = iota // what only gives
	switching              // values that are replaced whole
	removing               // what only takes
	done
)

// run writes the plan.
//
// Programs look up the NIC, then membership and class, then policies. A packet
// passes if any of its groups or its class has a policy. So:
//
//   - What gives is written from the policies up to the NIC: whatever a packet
//     finds leads somewhere.
//   - While that happens the live set lies between the old one and old ∪ new, and
//     while things are taken it holds the new one: every packet gets the verdict
//     of one of them. That needs a packet's lookups not to span both, hence settle.
//   - Egress that opens gives, too: a packet that met it closed is waited for before
//     a class goes that admitted it.
//   - A class is replaced, never widened, because there is one per address and
//     set; its old policies therefore stay until no packet holds the old class.
//   - A new NIC comes last: before, all its frames are dropped, which is the old
//     verdict.
//   - The epoch is bumped when everything is taken: a flow that is judged again
//     before would be judged by what is about to go.
func (p *plan) run(w writer) error {
	for _, phase := range []struct {
		phase phase
		write func(writer) error
		empty bool
	}{
		{adding, p.add, p.gives() == 0},
		{switching, p.replace, p.switches() == 0},
		{removing, p.remove, p.takes() == 0},
	} {
		if phase.empty {
			continue
		}
		if err := w.settle(phase.phase); err != nil {
			return err
		}
		if err := phase.write(w); err != nil {
			return err
		}
	}
	return p.finish(w)
}

func (p *plan) add(w writer) error {
	steps := []func() error{
		func() error { return w.openSlots(p.slots.put.keys) },
		func() error { return w.putRemoteSets(p.remoteSets.put) },
		func() error { return w.putRemoteSets(p.remoteSets.replace) },
		func() error { return w.publishSets(p.newSets) },
	}
	for i := range p.sets {
		s := &p.sets[i]
		steps = append(steps,
			func() error { return w.putPolicies(s.number, s.policies.put) },
			// The same access by another rule: only what is reported changes.
			func() error { return w.putPolicies(s.number, s.policies.replace) },
			func() error { return w.putCIDRs(s.number, 0, s.cidrs[0].put) },
			func() error { return w.putCIDRs(s.number, 1, s.cidrs[1].put) },
		)
		if s.opens() {
			steps = append(steps, func() error { return w.putFlags(s.number, *s.flags) })
		}
	}
	return inOrder(append(steps,
		func() error { return w.putMembers(p.members.put) },
		func() error { return w.putMembers(p.widened) },
	))
}

func (p *plan) replace(w writer) error {
	var steps []func() error
	for i := range p.sets {
		s := &p.sets[i]
		if s.closes() {
			steps = append(steps, func() error { return w.putFlags(s.number, *s.flags) })
		}
		for d := range s.cidrs {
			steps = append(steps,
				func() error { return w.putCIDRs(s.number, d, s.cidrs[d].replace) },
				func() error { return w.removeCIDRs(s.number, d, s.cidrs[d].remove) },
			)
		}
	}
	return inOrder(append(steps,
		func() error { return w.putNICs(p.nics.replace) },
		func() error { return w.removeNICs(p.nics.remove) },
	))
}

func (p *plan) remove(w writer) error {
	steps := []func() error{
		func() error { return w.putMembers(p.members.replace) },
		func() error { return w.removeMembers(p.members.remove) },
	}
	for i := range p.sets {
		s := &p.sets[i]
		steps = append(steps, func() error { return w.removePolicies(s.number, s.policies.remove) })
	}
	return inOrder(append(steps,
		func() error { return w.withdrawSets(p.goneSets) },
		func() error { return w.closeSlots(p.slots.remove) },
	))
}

// finish ends the change. When it returns, no packet is judged by what was taken.
func (p *plan) finish(w writer) error {
	return inOrder([]func() error{
		func() error { return w.putNICs(p.nics.put) },
		func() error { return w.bumpEpochs(p.narrowed) },
		func() error { return w.settle(done) },
	})
}

func inOrder(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
