package datapath

import (
	"cmp"
	"slices"
)

// plan is what has to be written to get from the actual tables to the desired
// ones. What is in no field stays as it is.
type plan struct {
	slots      delta[uint32, struct{}]
	remoteSets delta[uint32, RemoteSet]
	newSets    map[uint32]*PolicySet
	goneSets   []uint32
	sets       []setPlan
	members    delta[MemberKey, uint32]
	widened    entries[MemberKey, uint32] // what members have between their old and new value
	nics       delta[uint32, NIC]
	narrowed   []uint32 // slots of NICs that may have lost an access, sorted
}

// setPlan is what changes in a policy set that stays.
type setPlan struct {
	number   uint32
	flags    *uint32 // new value, nil if it stays
	policies delta[PolicyKey, uint32]
	cidrs    [2]delta[CIDRKey, uint32]
}

// delta is what changes in one map.
type delta[K comparable, V any] struct {
	put     entries[K, V] // keys that are not there yet
	replace entries[K, V] // keys that have another value
	remove  []K
}

// entries are keys and their values, in the order in which they are written.
type entries[K comparable, V any] struct {
	keys   []K
	values []V
}

func (e *entries[K, V]) add(k K, v V) {
	e.keys = append(e.keys, k)
	e.values = append(e.values, v)
}

func (e *entries[K, V]) len() int { return len(e.keys) }

func diff[K, V comparable](actual, desired map[K]V) delta[K, V] {
	var d delta[K, V]
	stay := 0
	for k, want := range desired {
		have, there := actual[k]
		if !there {
			d.put.add(k, want)
			continue
		}
		stay++
		if have != want {
			d.replace.add(k, want)
		}
	}
	if stay == len(actual) {
		return d
	}
	for k := range actual {
		if _, stays := desired[k]; !stays {
			d.remove = append(d.remove, k)
		}
	}
	return d
}

// diffCIDRs puts narrow networks before wide ones, and removes wide ones first:
// a narrow one that keeps a wide one from its addresses is there whenever that is.
func diffCIDRs(actual, desired map[CIDRKey]uint32) delta[CIDRKey, uint32] {
	d := diff(actual, desired)
	slices.SortFunc(d.put.keys, func(a, b CIDRKey) int { return cmp.Compare(b.Prefixlen, a.Prefixlen) })
	for i, k := range d.put.keys {
		d.put.values[i] = desired[k]
	}
	slices.SortFunc(d.remove, func(a, b CIDRKey) int { return cmp.Compare(a.Prefixlen, b.Prefixlen) })
	return d
}

// newPlan compares. It asks for the numbers of sets that only stand between old
// and new ones; an error means that these don't fit.
func newPlan(actual, desired *Tables, numbers Numbers) (*plan, error) {
	p := &plan{
		slots:      diff(keysOf(actual.Slots), keysOf(desired.Slots)),
		remoteSets: diff(actual.RemoteSets, desired.RemoteSets),
		newSets:    map[uint32]*PolicySet{},
		members:    diff(actual.Members, desired.Members),
		nics:       diff(actual.NICs, desired.NICs),
	}
	p.comparePolicySets(actual, desired)
	if err := p.widen(actual, desired, numbers); err != nil {
		return nil, err
	}
	p.findNarrowed(actual, desired)
	return p, nil
}

func keysOf[V any](m map[uint32]V) map[uint32]struct{} {
	keys := make(map[uint32]struct{}, len(m))
	for k := range m {
		keys[k] = struct{}{}
	}
	return keys
}

func (p *plan) comparePolicySets(actual, desired *Tables) {
	for number, want := range desired.PolicySets {
		have, there := actual.PolicySets[number]
		if !there {
			p.newSets[number] = want
			continue
		}
		if s := compareSet(number, have, want); !s.isEmpty() {
			p.sets = append(p.sets, s)
		}
	}
	for number := range actual.PolicySets {
		if _, stays := desired.PolicySets[number]; !stays {
			p.goneSets = append(p.goneSets, number)
		}
	}
}

func compareSet(number uint32, actual, desired *PolicySet) setPlan {
	s := setPlan{number: number, policies: diff(actual.Policies, desired.Policies)}
	for direction := range s.cidrs {
		s.cidrs[direction] = diffCIDRs(actual.CIDRs[direction], desired.CIDRs[direction])
	}
	if actual.Flags != desired.Flags {
		s.flags = &desired.Flags
	}
	return s
}

func (s *setPlan) isEmpty() bool {
	return s.gives()+s.switches()+len(s.policies.remove) == 0
}

func (s *setPlan) gives() int {
	n := s.policies.put.len() + s.policies.replace.len() + s.cidrs[0].put.len() + s.cidrs[1].put.len()
	if s.opens() {
		n++
	}
	return n
}

func (s *setPlan) switches() int {
	n := s.cidrs[0].replace.len() + s.cidrs[1].replace.len() + len(s.cidrs[0].remove) + len(s.cidrs[1].remove)
	if s.closes() {
		n++
	}
	return n
}

// opens and closes tell whether egress does so.
func (s *setPlan) opens() bool  { return s.flags != nil && *s.flags&EgressClosed == 0 }
func (s *setPlan) closes() bool { return s.flags != nil && *s.flags&EgressClosed != 0 }

// widen finds, for members that change groups, the set that holds old and new
// groups alike. It stands until the NICs' rules have changed, so that a packet
// which both the old and the new policy admit finds its group throughout.
func (p *plan) widen(actual, desired *Tables, numbers Numbers) error {
	putting := map[uint32]bool{}
	for _, key := range p.members.replace.keys {
		before, after := actual.RemoteSets[actual.Members[key]], desired.RemoteSets[desired.Members[key]]
		both := union(before, after)
		switch {
		case both == before:
			continue // only loses groups: nothing to do ahead
		case !both.holds(before) || !both.holds(after):
			both = after // too many for one set
		}
		n, err := numbers.Number(KindRemoteSet, both.digest())
		if err != nil {
			return err
		}
		p.widened.add(key, n)
		if actual.RemoteSets[n] != both && desired.RemoteSets[n] != both && !putting[n] {
			putting[n] = true
			p.remoteSets.put.add(n, both)
		}
	}
	return nil
}

// holds tells whether all groups of the other are in the set.
func (s RemoteSet) holds(other RemoteSet) bool {
	for _, n := range other.Groups {
		if n != 0 && !slices.Contains(s.Groups[:], n) {
			return false
		}
	}
	return true
}

// findNarrowed says whose flows have to be judged again.
func (p *plan) findNarrowed(actual, desired *Tables) {
	sets, nets := p.narrowedSets(), p.narrowedNets(actual, desired)
	for ifindex, nic := range desired.NICs {
		replaced := slices.Contains(p.nics.replace.keys, ifindex)
		if replaced || sets[nic.PolicySet] || nets[nic.Net] {
			p.narrowed = append(p.narrowed, nic.Slot)
		}
	}
	slices.Sort(p.narrowed)
}

func (p *plan) narrowedSets() map[uint32]bool {
	sets := map[uint32]bool{}
	for i := range p.sets {
		s := &p.sets[i]
		sets[s.number] = s.closes() || len(s.policies.remove) > 0 ||
			s.cidrs[0].replace.len()+len(s.cidrs[0].remove)+s.cidrs[1].replace.len()+len(s.cidrs[1].remove) > 0
	}
	return sets
}

// narrowedNets are the organizations in which an address has lost a group.
func (p *plan) narrowedNets(actual, desired *Tables) map[uint32]bool {
	nets := map[uint32]bool{}
	for _, key := range p.members.remove {
		nets[key.Net] = true
	}
	for _, key := range p.members.replace.keys {
		before, after := actual.RemoteSets[actual.Members[key]], desired.RemoteSets[desired.Members[key]]
		if !after.holds(before) {
			nets[key.Net] = true
		}
	}
	return nets
}

// isEmpty tells whether there is nothing to write.
func (p *plan) isEmpty() bool { return p.gives()+p.switches()+p.takes()+p.nics.put.len() == 0 }

// gives, switches and takes count the writes of each phase.
func (p *plan) gives() int {
	n := p.slots.put.len() + p.remoteSets.put.len() + p.remoteSets.replace.len() + len(p.newSets) +
		p.members.put.len() + p.widened.len()
	for i := range p.sets {
		n += p.sets[i].gives()
	}
	return n
}

func (p *plan) switches() int {
	n := p.nics.replace.len() + len(p.nics.remove)
	for i := range p.sets {
		n += p.sets[i].switches()
	}
	return n
}

func (p *plan) takes() int {
	n := p.members.replace.len() + len(p.members.remove) + len(p.goneSets) + len(p.slots.remove)
	for i := range p.sets {
		n += len(p.sets[i].policies.remove)
	}
	return n
}

// check reports what would not fit while old and new entries are there together.
// (Of policy sets Compile sees to that, for each by itself.)
func (p *plan) check(actual *Tables, l Limits) error {
	if n := len(actual.Members) + p.members.put.len(); n > l.Members {
		return exceeds(l.Members, "addresses of group members, old and new together")
	}
	return nil
}
