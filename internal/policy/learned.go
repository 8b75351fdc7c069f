package policy

import (
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
)

// learned is a link-local address that the instance asked for by duplicate address
// detection.
type learned struct {
	address netip.Addr
	since   uint64 // when it first did, in nanoseconds
}

const (
	maxLearned   = 4
	learnedAfter = 1 // seconds in which nobody has said that the address is theirs
)

// hasLearned tells whether the address was learned that many seconds ago or earlier.
func (w *walk) hasLearned(a netip.Addr, seconds uint64) bool {
	return slices.ContainsFunc(w.learned, func(l learned) bool {
		return l.address == a && w.now>>20-l.since>>20 >= uint64(ticksIn(seconds)) // never wraps
	})
}

// detectDuplicate decides the question whether anybody else has the address.
// Who asks it of a link-local address is about to take it.
func (w *walk) detectDuplicate(target netip.Addr, hasMAC bool) gabion.Reason {
	switch {
	case hasMAC || !w.isHeardByOwnerOf(target):
		return gabion.DropNDInvalid
	case w.isOwn(target), w.hasLearned(target, 0):
		return gabion.PassND
	case w.mayLearn(target):
		w.learn(target)
		return gabion.PassND
	}
	return gabion.DropNDSpoof
}

// isHeardByOwnerOf tells whether the frame reaches who has the address: its
// solicited-node group (RFC 4291, section 2.7.1), and that group's MAC.
func (w *walk) isHeardByOwnerOf(target netip.Addr) bool {
	a := target.As16()
	group := [16]byte{0xff, 0x02, 11: 0x01, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
	return w.packet.destination == netip.AddrFrom16(group) &&
		w.ethernet.destination == gabion.MAC{0x33, 0x33, group[12], group[13], group[14], group[15]}
}

// mayLearn tells whether the address can be one that the instance made up.
func (w *walk) mayLearn(target netip.Addr) bool {
	a := target.As16()
	isEUI64 := a[11] == 0xff && a[12] == 0xfe
	return target.IsLinkLocalUnicast() && !isEUI64 && !slices.Contains(w.config.Routers, target)
}

// learn puts the address in the place of the one learned first, if there is none left.
func (w *walk) learn(target netip.Addr) {
	if len(w.learned) == maxLearned {
		w.learned = slices.Delete(w.learned, 0, 1)
	}
	w.learned = append(w.learned, learned{target, w.now})
}

// withdraw unlearns a link-local address that somebody else has.
func (w *walk) withdraw(target netip.Addr) {
	w.learned = slices.DeleteFunc(w.learned, func(l learned) bool { return l.address == target })
}
