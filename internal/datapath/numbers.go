package datapath

import (
	"crypto/sha256"
	"fmt"

	"github.com/gabion/gabion"
)

// Kind is what a number stands for. Values are in a pinned map: append, never renumber.
type Kind uint32

// The kinds.
const (
	KindNet       Kind = iota + 1 // an organization
	KindGroup                     // a group that rules of this host name
	KindRule                      // a rule slot
	KindPolicySet                 // a set of groups of NICs of this host
	KindRemoteSet                 // a set of groups of an address
	KindClass                     // a set of networks
	KindNIC                       // a slot: flow table, state and counters of a NIC

	kindCount
)

var kindNames = [kindCount]string{"none", "organization", "group", "rule", "policy set", "remote set", "class", "NIC"}

func (k Kind) String() string {
	if k >= kindCount {
		return "unknown"
	}
	return kindNames[k]
}

// ID is what has a number: a kind, and the digest of the object's id or content.
// It is the key of the pinned map that keeps the numbers.
type ID struct {
	Kind Kind
	Name [16]byte
}

// Numbers gives the things of this host small numbers. Asked again for the same
// thing it gives the same number, also after a restart. Zero is never given.
type Numbers interface {
	Number(k Kind, name [16]byte) (uint32, error)
}

// digest makes a name of whatever identifies a thing.
func digest(text []byte) [16]byte {
	sum := sha256.Sum256(text)
	return [16]byte(sum[:16])
}

// register is the Numbers that the kernel's maps are written by. A number that
// nothing asks for any more is free only after Release.
type register struct {
	numbers map[ID]*numbered
	taken   [kindCount]map[uint32]struct{}
	last    [kindCount]uint32 // given; the search goes on behind it, so a free number rests for long
	limit   [kindCount]uint32 // first number that is too large
	room    int               // for numbers of all kinds
	round   uint64
	fresh   []ID // given in this round
}

type numbered struct {
	number uint32
	round  uint64 // when it was last asked for
}

func newRegister(l Limits) *register {
	r := &register{numbers: map[ID]*numbered{}, room: l.IDs}
	for k := range r.taken {
		r.taken[k] = map[uint32]struct{}{}
		r.limit[k] = PeerClass // groups and classes share 32 bits with a flag
	}
	r.limit[KindRule] = uint32(l.Rules)
	r.limit[KindPolicySet] = uint32(l.PolicySets)
	r.limit[KindRemoteSet] = uint32(l.RemoteSets)
	r.limit[KindNIC] = uint32(l.NICs)
	return r
}

// restore takes over a number that was given before a restart.
func (r *register) restore(id ID, number uint32) {
	r.numbers[id] = &numbered{number: number}
	r.taken[id.Kind][number] = struct{}{}
	r.last[id.Kind] = max(r.last[id.Kind], number)
}

// begin opens a round: what is not asked for until unused is called is unused.
func (r *register) begin() {
	r.round++
	r.fresh = nil
}

func (r *register) Number(k Kind, name [16]byte) (uint32, error) {
	id := ID{Kind: k, Name: name}
	if n, ok := r.numbers[id]; ok {
		n.round = r.round
		return n.number, nil
	}
	return r.give(id, r.round)
}

func (r *register) give(id ID, round uint64) (uint32, error) {
	number, err := r.free(id.Kind)
	if err != nil {
		return 0, err
	}
	r.numbers[id] = &numbered{number: number, round: round}
	r.taken[id.Kind][number] = struct{}{}
	r.last[id.Kind] = number
	r.fresh = append(r.fresh, id)
	return number, nil
}

// borrowed gives numbers for what only stands while a change is written: asking
// does not make them used.
type borrowed struct{ *register }

func (b borrowed) Number(k Kind, name [16]byte) (uint32, error) {
	id := ID{Kind: k, Name: name}
	if n, ok := b.numbers[id]; ok {
		return n.number, nil
	}
	return b.give(id, 0)
}

func (r *register) free(k Kind) (uint32, error) {
	if room := int(r.limit[k]) - 1; len(r.taken[k]) >= room {
		return 0, exceeds(room, k.String()+"s")
	}
	if len(r.numbers) >= r.room {
		return 0, exceeds(r.room, "numbers of groups, rules, classes and sets")
	}
	for n := r.last[k] + 1; ; n++ {
		if n >= r.limit[k] {
			n = 1
		}
		if _, taken := r.taken[k][n]; !taken {
			return n, nil
		}
	}
}

// unused are the things that nothing has asked for in this round.
func (r *register) unused() []ID {
	var ids []ID
	for id, n := range r.numbers {
		if n.round != r.round {
			ids = append(ids, id)
		}
	}
	return ids
}

// release makes the numbers of things free for others. No packet may still be
// judged by what the numbers meant.
func (r *register) release(ids []ID) {
	for _, id := range ids {
		delete(r.taken[id.Kind], r.numbers[id].number)
		delete(r.numbers, id)
	}
}

// cancel forgets what this round gave: nothing was written.
func (r *register) cancel() {
	r.release(r.fresh)
	r.fresh = nil
}

// exceeds reports that a host's policy as a whole does not fit into the maps.
func exceeds(room int, entries string) error {
	return &gabion.Error{
		Code:    gabion.CodeLimit,
		Message: fmt.Sprintf("this host needs more than %d %s, which is all that fit; the policy in force stays", room, entries),
	}
}
