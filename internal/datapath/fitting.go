package datapath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Standing is what is in force, which Compile falls back on for a set of groups that
// does not fit any more. None is known after a start.
type Standing struct {
	Sets    map[uint32]*PolicySet // by number
	Origins Origins
}

// Origins are what policy sets were made of, by the sorted ids of their groups.
type Origins map[string]Origin

// Origin is what one policy set was made of.
type Origin struct {
	fitting *policy.View // all groups when it last fitted, shared by the sets of one Compile; nil: not known
	full    *overflow    // why it is not made of newer ones; nil: there are none
}

// namedSet is a set of groups by its names.
type namedSet struct {
	ids    []string // sorted
	key    string   // of Origins
	number uint32
}

// overflow says that a set of groups does not fit. It is that set's alone: those who
// have it must not keep anybody else from his rules.
type overflow struct {
	room    int
	entries string
	of      *policy.View // whose groups never fit; nil: not beside what is in force
}

func (o *overflow) Error() string {
	return fmt.Sprintf("their rules need more than %d %s, which is all that fit", o.room, o.entries)
}

// compileFitting compiles a set of groups from the view or, where that does not fit,
// from what it had before. Nothing is known of that after a start, and of a new set:
// it is closed then, as old rules that are only in the kernel have no names.
func (c *compiler) compileFitting(n namedSet) (*PolicySet, error) {
	before := c.standing.Origins[n.key]
	set, err := c.compileNow(n, before.full)
	full := new(overflow)
	if !errors.As(err, &full) {
		c.tables.Origins[n.key] = Origin{fitting: c.origin}
		return set, err
	}
	c.tables.Origins[n.key] = Origin{before.fitting, full}
	if before.fitting != nil {
		if set, err = c.compileSet(n, before.fitting); !errors.As(err, new(*overflow)) {
			c.stale(n, fmt.Sprintf("keep the rules of revision %d", before.fitting.Revision), full)
			return set, err
		}
	}
	c.stale(n, "have no network, as what they had is not known", full)
	closed := newPolicySet()
	closed.Flags = EgressClosed
	return closed, nil
}

// compileNow compiles a set from the view unless it is known not to fit: finding that
// out takes as long as the largest set that does, and everybody's changes would wait.
func (c *compiler) compileNow(n namedSet, known *overflow) (*PolicySet, error) {
	if known != nil && known.of != nil && c.isAsIn(known.of, n) {
		return nil, known
	}
	return c.compileSet(n, c.origin)
}

// isAsIn tells whether all that goes into a set is the same in the other view. Nobody
// changes an object in a view: other content is another object.
func (c *compiler) isAsIn(other *policy.View, n namedSet) bool {
	for _, id := range n.ids {
		g := c.origin.Groups[id]
		if g != other.Groups[id] {
			return false
		}
		for i := range g.Rules {
			if p := g.Rules[i].Peer; p.IsGroup() && c.origin.Groups[p.Group] != other.Groups[p.Group] {
				return false
			}
		}
	}
	return true
}

// stale notes what became of a set that does not fit. Whoever may see one of its groups
// may see all: they are of one organization. (A semicolon would part it for the API.)
func (c *compiler) stale(n namedSet, outcome string, full *overflow) {
	c.tables.Stale = append(c.tables.Stale, &gabion.Error{
		Code:    gabion.CodeLimit,
		Message: fmt.Sprintf("instances with exactly the groups %s %s: %s", strings.Join(n.ids, ", "), outcome, full),
	})
}

// adopt takes note of what a set refers to that is to be in force.
func (s *setCompiler) adopt() {
	for _, r := range s.rules {
		s.tables.Rules[r.slot] = r.id
		if r.peer.IsGroup() {
			s.named[r.peer.Group] = s.peers[r.peer.Group]
		}
	}
}

// fitsBeside reports what would not fit while old and new entries are there together.
func (s *setCompiler) fitsBeside(actual *PolicySet) error {
	if actual == nil {
		return nil
	}
	if exceedsTogether(actual.Policies, s.set.Policies, s.limits.Policies) {
		return &overflow{s.limits.Policies, "policy entries, old and new together", nil}
	}
	for direction := range actual.CIDRs {
		if exceedsTogether(actual.CIDRs[direction], s.set.CIDRs[direction], s.limits.CIDRs) {
			return &overflow{s.limits.CIDRs, "networks, old and new together", nil}
		}
	}
	return nil
}

// exceedsTogether counts only where it is close: most sets are small.
func exceedsTogether[K comparable, V any](actual, desired map[K]V, limit int) bool {
	if len(actual)+len(desired) <= limit {
		return false
	}
	n := len(actual)
	for k := range desired {
		if _, there := actual[k]; !there {
			n++
		}
	}
	return n > limit
}
