package datapath

import (
	"encoding/binary"
	"slices"

	"github.com/gabion/gabion/internal/policy"
)

// memberCompiler finds each address's remote set.
type memberCompiler struct {
	*compiler
	sets   map[RemoteSet]uint32    // number
	shared map[MemberKey]RemoteSet // addresses of several members, rare: the groups of all
}

// compileMembers adds what stands behind the named groups.
func (c *compiler) compileMembers() error {
	m := &memberCompiler{compiler: c, sets: map[RemoteSet]uint32{}, shared: map[MemberKey]RemoteSet{}}
	c.tables.Members = make(map[MemberKey]uint32, len(c.view.Members))
	if err := m.each(m.add, m.leaveOut); err != nil {
		return err
	}
	if len(c.tables.Members) > c.limits.Members {
		return exceeds(c.limits.Members, "addresses of group members")
	}
	return m.unite()
}

// each visits the addresses of all members that have a named group, and these
// groups; unfit are the members that have too many.
func (m *memberCompiler) each(visit func(MemberKey, RemoteSet) error, unfit func(*policy.Member)) error {
	for _, member := range m.view.Members {
		net, here := m.nets[member.Organization]
		if !here {
			continue
		}
		groups, fits := m.remoteSet(member)
		if !fits {
			unfit(member)
		}
		if groups == (RemoteSet{}) {
			continue
		}
		for _, a := range member.Addresses {
			if err := visit(MemberKey{Net: net, Address: addressOf(a)}, groups); err != nil {
				return err
			}
		}
	}
	return nil
}

// add gives the address the groups of one member, and notes if it had others.
func (m *memberCompiler) add(key MemberKey, groups RemoteSet) error {
	number, err := m.numberOf(groups)
	if err != nil {
		return err
	}
	known := len(m.tables.Members)
	m.tables.Members[key] = number
	if len(m.tables.Members) == known {
		m.shared[key] = RemoteSet{}
	}
	return nil
}

// unite gives addresses of several members the groups of all of them.
func (m *memberCompiler) unite() error {
	if len(m.shared) == 0 {
		return nil
	}
	err := m.each(func(key MemberKey, groups RemoteSet) error {
		if others, shared := m.shared[key]; shared {
			m.shared[key] = union(groups, others)
		}
		return nil
	}, func(*policy.Member) {})
	if err != nil {
		return err
	}
	for key, groups := range m.shared {
		if m.tables.Members[key], err = m.numberOf(groups); err != nil {
			return err
		}
	}
	return nil
}

func (m *memberCompiler) leaveOut(member *policy.Member) {
	m.refuse("leave member %s out of all groups: it has more than %d that rules here name", member.Instance, groupsPerRemote)
}

// remoteSet is the sorted set of the member's groups that rules here name.
func (m *memberCompiler) remoteSet(member *policy.Member) (set RemoteSet, fits bool) {
	var room [groupsPerRemote]uint32
	numbers := room[:0]
	for _, id := range member.Groups {
		if n, named := m.named[id]; named {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) > groupsPerRemote {
		return RemoteSet{}, false
	}
	return remoteSetOf(numbers), true
}

func remoteSetOf(numbers []uint32) RemoteSet {
	var set RemoteSet
	slices.Sort(numbers)
	copy(set.Groups[:], slices.Compact(numbers))
	return set
}

// union is the groups of both. What does not fit is left out: it allows less.
func union(a, b RemoteSet) RemoteSet {
	numbers := slices.Concat(a.Groups[:], b.Groups[:])
	return remoteSetOf(slices.DeleteFunc(numbers, func(n uint32) bool { return n == 0 }))
}

func (m *memberCompiler) numberOf(groups RemoteSet) (uint32, error) {
	if number, known := m.sets[groups]; known {
		return number, nil
	}
	number, err := m.numbers.Number(KindRemoteSet, groups.digest())
	if err != nil {
		return 0, err
	}
	m.sets[groups] = number
	m.tables.RemoteSets[number] = groups
	return number, nil
}

// digest names the set by the numbers of its groups.
func (s RemoteSet) digest() [16]byte {
	text := make([]byte, 0, 4*groupsPerRemote)
	for _, n := range s.Groups {
		text = binary.BigEndian.AppendUint32(text, n)
	}
	return digest(text)
}
