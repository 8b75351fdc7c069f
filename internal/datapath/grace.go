package datapath

// grace decides when a packet that is on its way must be waited for. A packet's
// lookups may span writes of one phase; across phases they would let it see what
// neither the old nor the new policy says:
//
//   - a key before it is put and another after it is removed: dropped, though both
//     policies pass it;
//   - a membership before it is removed and a policy after it is put: passed, though
//     both drop it.
//
// What is pending outlives a change: the next one may be what it must not meet.
type grace struct {
	given, taken bool // since the last wait something was
}

// needed tells whether to wait before a phase.
func (g *grace) needed(before phase) bool {
	if before == adding || before == done {
		return g.taken
	}
	return g.given || g.taken
}

// begin notes what the phase is about to write.
func (g *grace) begin(p phase) {
	switch p {
	case adding:
		g.given = true
	case switching, removing:
		g.taken = true
	case done:
	}
}
