package feed

import "slices"

// tracker knows which revisions each host has still to enforce.
type tracker struct {
	hosts map[string]*progress
}

// progress of one host. A revision concerns the host if it is in concerns, or is
// at most floor; what is at most enforced is done with.
type progress struct {
	enforced int64
	floor    int64   // up to here nobody remembers, so every revision may concern it
	concerns []int64 // ascending, above floor and enforced
}

// maxConcerns is how many revisions are remembered for a host; a host that is
// away for longer has to catch up with all of them before one counts as done.
const maxConcerns = 1024

func newTracker() *tracker { return &tracker{hosts: map[string]*progress{}} }

func (t *tracker) host(name string) *progress {
	p := t.hosts[name]
	if p == nil {
		p = &progress{}
		t.hosts[name] = p
	}
	return p
}

// forgotten says that nobody knows which revisions up to that one concern the host.
func (t *tracker) forgotten(host string, revision int64) {
	p := t.host(host)
	p.floor = max(p.floor, revision)
	p.prune()
}

// concern says that the revision, above all before it, means something to the host.
func (t *tracker) concern(host string, revision int64) {
	p := t.host(host)
	p.concerns = append(p.concerns, revision)
	if len(p.concerns) > maxConcerns {
		p.floor = revision
		p.prune()
	}
}

// enforce says that the host enforces the revision, and tells whether that is news.
func (t *tracker) enforce(host string, revision int64) bool {
	p := t.host(host)
	if revision <= p.enforced {
		return false
	}
	p.enforced = revision
	p.prune()
	return true
}

func (t *tracker) enforced(host string) int64 {
	if p := t.hosts[host]; p != nil {
		return p.enforced
	}
	return 0
}

// due are the revisions up to that one that the host has yet to enforce, as far as
// they are remembered one by one.
func (t *tracker) due(host string, revision int64) []int64 {
	p := t.hosts[host]
	if p == nil {
		return nil
	}
	n, _ := slices.BinarySearch(p.concerns, revision+1)
	return p.concerns[:n]
}

// current tells whether the host enforces all that concerns it.
func (t *tracker) current(host string) bool {
	p := t.hosts[host]
	return p == nil || len(p.concerns) == 0 && p.enforced >= p.floor
}

func (t *tracker) forget(host string) { delete(t.hosts, host) }

// missing are the hosts that the revision concerns and that do not enforce it yet.
func (t *tracker) missing(revision int64) []string {
	var hosts []string
	for name, p := range t.hosts {
		if p.waitsFor(revision) {
			hosts = append(hosts, name)
		}
	}
	slices.Sort(hosts)
	return hosts
}

func (p *progress) waitsFor(revision int64) bool {
	if revision <= p.enforced {
		return false
	}
	_, found := slices.BinarySearch(p.concerns, revision)
	return found || revision <= p.floor
}

// prune drops what enforced and floor say already.
func (p *progress) prune() {
	done := max(p.enforced, p.floor)
	n, _ := slices.BinarySearch(p.concerns, done+1)
	p.concerns = slices.Delete(p.concerns, 0, n)
}
