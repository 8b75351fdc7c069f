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

// Origins are what policy sets were made of, by the sorted ids of their groups: all
// groups of the view in which the set last fitted. Sets of one Compile share one view.
type Origins map[string]*policy.View

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
}

func (o *overflow) Error() string {
	return fmt.Sprintf("their rules need more than %d %s, which is all that fit", o.room, o.entries)
}

// compileFitting compiles a set of groups from the view or, where that does not fit,
// from what it had before. Nothing is known of that after a start, and of a new set:
// it is closed then, as old rules that are only in the kernel have no names.
func (c *compiler) compileFitting(n namedSet) (*PolicySet, error) {
	set, err := c.compileSet(n, c.origin)
	full := new(overflow)
	if !errors.As(err, &full) {
		c.tables.Origins[n.key] = c.origin
		return set, err
	}
	if before := c.standing.Origins[n.key]; before != nil {
		c.tables.Origins[n.key] = before
		if set, err = c.compileSet(n, before); !errors.As(err, new(*overflow)) {
			c.stale(n, fmt.Sprintf("keep the rules of revision %d", before.Revision), full)
			return set, err
		}
	}
	c.stale(n, "have no network, as what they had is not known", full)
	closed := newPolicySet()
	closed.Flags = EgressClosed
	return closed, nil
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
		return &overflow{s.limits.Policies, "policy entries, old and new together"}
	}
	for direction := range actual.CIDRs {
		if exceedsTogether(actual.CIDRs[direction], s.set.CIDRs[direction], s.limits.CIDRs) {
			return &overflow{s.limits.CIDRs, "networks, old and new together"}
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
