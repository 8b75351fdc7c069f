package feed

import "time"

// stopwatch measures how long changes take to be enforced, from when this server saw
// the commit to the acknowledgement. It remembers the newest changes only.
type stopwatch struct {
	changes map[int64]*timing
	order   []int64 // their revisions, ascending
}

// timing is how far one change is.
type timing struct {
	committed time.Time
	hosts     int           // that it concerns
	waiting   int           // of them
	took      time.Duration // until the last of them; while hosts wait, of those that don't
}

// maxTimings is how many changes are remembered.
const maxTimings = 2048

func newStopwatch() *stopwatch { return &stopwatch{changes: map[int64]*timing{}} }

// commit begins the change of a revision, which concerns so many hosts.
func (w *stopwatch) commit(revision int64, hosts int, now time.Time) {
	if hosts == 0 {
		return
	}
	if len(w.order) == maxTimings {
		delete(w.changes, w.order[0])
		w.order = append(w.order[:0], w.order[1:]...)
	}
	w.changes[revision] = &timing{committed: now, hosts: hosts, waiting: hosts}
	w.order = append(w.order, revision)
}

// enforce says that a host enforces these revisions now, ascending, and how long
// the newest of them took. It is not known for one that was forgotten.
func (w *stopwatch) enforce(revisions []int64, now time.Time) (took time.Duration, known bool) {
	for _, revision := range revisions {
		t := w.changes[revision]
		if known = t != nil; !known {
			continue
		}
		took = max(now.Sub(t.committed), 0)
		t.waiting--
		t.took = max(t.took, took)
	}
	return took, known
}
