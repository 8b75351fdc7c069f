package datapath

import (
	"encoding/binary"
	"slices"

	"github.com/gabion/gabion/internal/policy"
)

// memberCompiler finds each address's remote set. Until all are known, a set has
// an index instead of a number: only sets that an address ends up with get one.
type memberCompiler struct {
	*compiler
	index map[RemoteSet]uint32 // into sets
	sets  []RemoteSet
}

// compileMembers adds what stands behind the named groups.
func (c *compiler) compileMembers() error {
	m := &memberCompiler{compiler: c, index: map[RemoteSet]uint32{}}
	c.tables.Members = make(map[MemberKey]uint32, len(c.view.Members))
	for _, member := range c.view.Members {
		net, here := c.nets[member.Organization]
		if !here {
			continue
		}
		if groups := m.remoteSet(member); groups != (RemoteSet{}) {
			m.add(member, net, groups)
		}
	}
	if len(c.tables.Members) > c.limits.Members {
		return exceeds("this host", c.limits.Members, "addresses of group members")
	}
	return m.number()
}

// remoteSet is the sorted set of the member's groups that rules here name.
func (m *memberCompiler) remoteSet(member *policy.Member) RemoteSet {
	var room [groupsPerRemote]uint32
	numbers := room[:0]
	for _, id := range member.Groups {
		if n, named := m.named[id]; named {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) > groupsPerRemote {
		m.refuse("leave member %s out of all groups: it has more than %d that rules here name", member.Instance, groupsPerRemote)
		return RemoteSet{}
	}
	return remoteSetOf(numbers)
}

func remoteSetOf(numbers []uint32) RemoteSet {
	var set RemoteSet
	slices.Sort(numbers)
	copy(set.Groups[:], slices.Compact(numbers))
	return set
}

func (m *memberCompiler) add(member *policy.Member, net uint32, groups RemoteSet) {
	at := m.indexOf(groups)
	for _, a := range member.Addresses {
		key := MemberKey{Net: net, Address: addressOf(a)}
		if other, shared := m.tables.Members[key]; shared && other != at {
			// An address of two members has the groups of both.
			m.tables.Members[key] = m.indexOf(union(groups, m.sets[other]))
			continue
		}
		m.tables.Members[key] = at
	}
}

// union is the groups of both. What does not fit is left out: it allows less.
func union(a, b RemoteSet) RemoteSet {
	numbers := slices.Concat(a.Groups[:], b.Groups[:])
	return remoteSetOf(slices.DeleteFunc(numbers, func(n uint32) bool { return n == 0 }))
}

func (m *memberCompiler) indexOf(groups RemoteSet) uint32 {
	at, known := m.index[groups]
	if !known {
		at = uint32(len(m.sets))
		m.index[groups] = at
		m.sets = append(m.sets, groups)
	}
	return at
}

// number puts numbers in the places of indexes.
func (m *memberCompiler) number() error {
	numbers := make([]uint32, len(m.sets))
	for key, at := range m.tables.Members {
		if numbers[at] == 0 {
			n, err := m.numbers.Number(KindRemoteSet, m.sets[at].digest())
			if err != nil {
				return err
			}
			numbers[at] = n
			m.tables.RemoteSets[n] = m.sets[at]
		}
		m.tables.Members[key] = numbers[at]
	}
	return nil
}

// digest names the set by the numbers of its groups.
func (s RemoteSet) digest() [16]byte {
	text := make([]byte, 0, 4*groupsPerRemote)
	for _, n := range s.Groups {
		text = binary.BigEndian.AppendUint32(text, n)
	}
	return digest(text)
}
