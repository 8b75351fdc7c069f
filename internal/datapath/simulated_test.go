package datapath

import (
	"maps"
	"slices"
)

// Simulation writes plans into tables in memory.
type Simulation struct {
	Wrote  func(live *Tables) // called after each element
	Waited func()             // called when no packet is on its way any more

	grace grace
}

// Run writes the plan between two states and returns what it arrives at.
func (s *Simulation) Run(actual, desired *Tables, numbers Numbers) (*Tables, error) {
	p, err := newPlan(actual, desired, numbers)
	if err != nil {
		return nil, err
	}
	live := actual.Clone()
	maps.Copy(live.Rules, desired.Rules)
	return live, p.run(&simulated{Simulation: s, live: live})
}

// Clone copies what a write can change.
func (t *Tables) Clone() *Tables {
	c := &Tables{
		NICs: maps.Clone(t.NICs), Slots: maps.Clone(t.Slots), PolicySets: map[uint32]*PolicySet{},
		Members: maps.Clone(t.Members), RemoteSets: maps.Clone(t.RemoteSets), Rules: maps.Clone(t.Rules),
	}
	for n, s := range t.PolicySets {
		c.PolicySets[n] = s.clone()
	}
	return c
}

// PlanIsEmpty tells whether nothing is to be written between two states.
func PlanIsEmpty(actual, desired *Tables, numbers Numbers) bool {
	p, err := newPlan(actual, desired, numbers)
	return err == nil && p.isEmpty()
}

func (s *PolicySet) clone() *PolicySet {
	c := &PolicySet{Flags: s.Flags, Policies: maps.Clone(s.Policies)}
	for d := range s.CIDRs {
		c.CIDRs[d] = maps.Clone(s.CIDRs[d])
	}
	return c
}

// simulated is the writer of a simulation.
type simulated struct {
	*Simulation
	live *Tables
}

func (s *simulated) after() { s.Wrote(s.live) }

func put[K comparable, V any](s *simulated, m map[K]V, e entries[K, V]) error {
	for i, k := range e.keys {
		m[k] = e.values[i]
		s.after()
	}
	return nil
}

func remove[K comparable, V any](s *simulated, m map[K]V, keys []K) error {
	for _, k := range keys {
		delete(m, k)
		s.after()
	}
	return nil
}

func (s *simulated) settle(before phase) error {
	if s.grace.needed(before) {
		s.Waited()
		s.grace = grace{}
	}
	s.grace.begin(before)
	return nil
}

func (s *simulated) openSlots(slots []uint32) error {
	for _, n := range slots {
		s.live.Slots[n] = Owner{}
	}
	return nil
}

func (s *simulated) closeSlots(slots []uint32) error { return remove(s, s.live.Slots, slots) }

func (s *simulated) putRemoteSets(e entries[uint32, RemoteSet]) error {
	return put(s, s.live.RemoteSets, e)
}

func (s *simulated) publishSets(sets map[uint32]*PolicySet) error {
	for _, n := range slices.Sorted(maps.Keys(sets)) {
		s.live.PolicySets[n] = sets[n].clone()
		s.after()
	}
	return nil
}

func (s *simulated) withdrawSets(numbers []uint32) error {
	return remove(s, s.live.PolicySets, numbers)
}

func (s *simulated) putFlags(set, flags uint32) error {
	s.live.PolicySets[set].Flags = flags
	s.after()
	return nil
}

func (s *simulated) putPolicies(set uint32, e entries[PolicyKey, uint32]) error {
	return put(s, s.live.PolicySets[set].Policies, e)
}

func (s *simulated) removePolicies(set uint32, keys []PolicyKey) error {
	return remove(s, s.live.PolicySets[set].Policies, keys)
}

func (s *simulated) putCIDRs(set uint32, direction int, e entries[CIDRKey, uint32]) error {
	return put(s, s.live.PolicySets[set].CIDRs[direction], e)
}

func (s *simulated) removeCIDRs(set uint32, direction int, keys []CIDRKey) error {
	return remove(s, s.live.PolicySets[set].CIDRs[direction], keys)
}

func (s *simulated) putMembers(e entries[MemberKey, uint32]) error { return put(s, s.live.Members, e) }

func (s *simulated) removeMembers(keys []MemberKey) error {
	return remove(s, s.live.Members, keys)
}
func (s *simulated) putNICs(e entries[uint32, NIC]) error { return put(s, s.live.NICs, e) }
func (s *simulated) removeNICs(ifindexes []uint32) error  { return remove(s, s.live.NICs, ifindexes) }
func (s *simulated) bumpEpochs([]uint32) error            { return nil }
