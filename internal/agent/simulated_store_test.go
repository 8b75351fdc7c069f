package agent_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

// objects is what policy is made of, at one revision.
type objects struct {
	groups    map[string]*gabion.Group
	rules     map[string]*gabion.Rule
	instances map[string]*gabion.Instance
}

func noObjects() objects {
	return objects{map[string]*gabion.Group{}, map[string]*gabion.Rule{}, map[string]*gabion.Instance{}}
}

func (o objects) clone() objects {
	return objects{maps.Clone(o.groups), maps.Clone(o.rules), maps.Clone(o.instances)}
}

func (o objects) apply(c policy.Change) {
	replace(o.groups, c.Groups, c.GoneGroups, func(g *gabion.Group) string { return g.ID })
	replace(o.rules, c.Rules, c.GoneRules, func(r *gabion.Rule) string { return r.ID })
	replace(o.instances, c.Instances, c.GoneInstances, func(i *gabion.Instance) string { return i.ID })
}

func replace[T any](all map[string]*T, set []*T, gone []string, id func(*T) string) {
	for _, o := range set {
		all[id(o)] = o
	}
	for _, i := range gone {
		delete(all, i)
	}
}

// change makes all of it anew.
func (o objects) change(revision int64) policy.Change {
	return policy.Change{
		Revision:  revision,
		Groups:    slices.Collect(maps.Values(o.groups)),
		Rules:     slices.Collect(maps.Values(o.rules)),
		Instances: slices.Collect(maps.Values(o.instances)),
	}
}

// expectation is what a host has to enforce from a revision on.
type expectation struct {
	revision int64
	policy   string
}

// chapter is one epoch of the history.
type chapter struct {
	name     string
	expected map[string][]expectation // by host
}

// history is the store of a simulated installation, and the yardstick: for each
// revision it knows what each host has to enforce, computed from scratch.
type history struct {
	hosts []string

	mu       sync.Mutex
	chapters []chapter // one for each epoch
	now      objects
	revision int64
	base     int64        // older revisions are compacted away
	events   []feed.Event // of the revisions after base
	statuses map[string]gabion.HostStatus
	grown    chan struct{} // closed and replaced with each revision

	backup struct {
		objects
		statuses map[string]gabion.HostStatus
		revision int64
	}
}

func newHistory(hosts []string) *history {
	h := &history{
		hosts: hosts, now: noObjects(), revision: 1, base: 1,
		statuses: map[string]gabion.HostStatus{}, grown: make(chan struct{}),
	}
	for _, host := range hosts {
		h.statuses[host] = gabion.HostStatus{Host: host} // all have joined
	}
	h.begin()
	return h
}

// begin opens a chapter.
func (h *history) begin() {
	h.chapters = append(h.chapters, chapter{fmt.Sprintf("epoch %d", len(h.chapters)+1), map[string][]expectation{}})
	h.expect()
}

// expect notes what hosts have to enforce from this revision on.
func (h *history) expect() {
	w := policy.NewWorld()
	w.Apply(h.now.change(h.revision))
	expected := h.chapters[len(h.chapters)-1].expected
	for _, host := range h.hosts {
		text := render(w.View(host))
		if was := expected[host]; len(was) == 0 || was[len(was)-1].policy != text {
			expected[host] = append(was, expectation{h.revision, text})
		}
	}
}

// commit makes one revision of the change and tells its number.
func (h *history) commit(c policy.Change) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Revision = h.revision + 1
	h.now.apply(c)
	h.append(feed.Event{Change: c})
	h.expect()
	return c.Revision
}

func (h *history) append(e feed.Event) {
	h.revision = e.Change.Revision
	h.events = append(h.events, e)
	close(h.grown)
	h.grown = make(chan struct{})
}

func (h *history) saveStatus(status gabion.HostStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses[status.Host] = status
	h.append(feed.Event{Change: policy.Change{Revision: h.revision + 1}, Statuses: []gabion.HostStatus{status}})
}

// compact drops all history but the newest revisions.
func (h *history) compact(keep int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.events) - keep; n > 0 {
		h.base, h.events = h.base+int64(n), h.events[n:]
	}
}

func (h *history) backUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.backup.objects, h.backup.statuses, h.backup.revision = h.now.clone(), maps.Clone(h.statuses), h.revision
}

// restore goes back to the backup: another line of history, with older numbers.
func (h *history) restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now, h.statuses, h.revision = h.backup.clone(), maps.Clone(h.backup.statuses), h.backup.revision
	h.base, h.events = h.revision, nil
	h.begin()
	close(h.grown)
	h.grown = make(chan struct{})
}

func (h *history) epoch() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chapters[len(h.chapters)-1].name
}

func (h *history) snapshot() feed.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return feed.Event{Change: h.now.change(h.revision), Statuses: slices.Collect(maps.Values(h.statuses))}
}

// after is what followed the revision in that epoch, and what to wait for if there
// is nothing; lost if that is not known any more.
func (h *history) after(epoch string, revision int64) (events []feed.Event, grown <-chan struct{}, lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch != h.chapters[len(h.chapters)-1].name || revision < h.base {
		return nil, nil, true
	}
	return slices.Clone(h.events[revision-h.base:]), h.grown, false
}

// at is what the host has to enforce as of the revision of an epoch.
func (h *history) at(epoch int, host string, revision int64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := "nothing is known of that revision"
	for _, e := range h.chapters[epoch].expected[host] {
		if e.revision > revision {
			break
		}
		text = e.policy
	}
	return text
}

// newest is the newest epoch and revision.
func (h *history) newest() (epoch int, revision int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.chapters) - 1, h.revision
}

// chapterOf is the place of an epoch in the history, -1 if there is no such epoch.
func (h *history) chapterOf(epoch string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.IndexFunc(h.chapters, func(c chapter) bool { return c.name == epoch })
}

// render says all of a view that decides packets, in one way only.
func render(v *policy.View) string {
	var lines []string
	for _, i := range v.Instances {
		lines = append(lines, fmt.Sprint("instance ", i.ID, i.Organization, sorted(i.Groups), i.NICs))
	}
	for _, g := range v.Groups {
		lines = append(lines, fmt.Sprint("group ", g.ID, g.Organization, sorted(texts(g.Sources))))
		for _, r := range g.Rules {
			lines = append(lines, fmt.Sprint("rule ", g.ID, r.ID, r.Key()))
		}
	}
	for _, m := range v.Members {
		lines = append(lines, fmt.Sprint("member ", m.Instance, m.Organization, sorted(texts(m.Addresses)), sorted(m.Groups)))
	}
	return strings.Join(sorted(lines), "\n")
}

func texts[T fmt.Stringer](list []T) []string {
	all := make([]string, len(list))
	for i, item := range list {
		all[i] = item.String()
	}
	return all
}

func sorted[T cmp.Ordered](list []T) []T { return slices.Sorted(slices.Values(list)) }

// replica is the store as one server reaches it.
type replica struct {
	*history
	c    *cluster
	name string

	mu   sync.Mutex
	away chan struct{} // closed when the store is there again; nil while it is
	slow time.Duration
}

var errAway = gabion.Unavailable("the store does not answer")

// call is the way to the store and back.
func (r *replica) call(ctx context.Context, what string) error {
	r.mu.Lock()
	away, slow := r.away, r.slow
	r.mu.Unlock()
	if away != nil {
		r.c.pause(ctx, time.Second, r.name, what)
		return errAway
	}
	r.c.pause(ctx, 2*time.Millisecond+slow, r.name, what)
	return ctx.Err()
}

func (r *replica) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case away && r.away == nil:
		r.away = make(chan struct{})
	case !away && r.away != nil:
		close(r.away)
		r.away = nil
	}
}

func (r *replica) setSlow(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = d
}

func (r *replica) Epoch(ctx context.Context) (string, error) {
	if err := r.call(ctx, "epoch"); err != nil {
		return "", err
	}
	return r.epoch(), nil
}

func (r *replica) Snapshot(ctx context.Context) (feed.Event, error) {
	if err := r.call(ctx, "snapshot"); err != nil {
		return feed.Event{}, err
	}
	return r.snapshot(), nil
}

// Watch belongs to the epoch that is now.
func (r *replica) Watch(ctx context.Context, after int64) <-chan feed.Event {
	events := make(chan feed.Event)
	go func() {
		defer close(events)
		r.watch(ctx, r.epoch(), after, events)
	}()
	return events
}

func (r *replica) watch(ctx context.Context, epoch string, after int64, events chan<- feed.Event) {
	for {
		r.present(ctx)
		news, grown, lost := r.after(epoch, after)
		if lost {
			news = []feed.Event{{Lost: true}}
		}
		if len(news) == 0 {
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
			continue
		}
		r.c.pause(ctx, 2*time.Millisecond+r.slowness(), r.name, "watch")
		for _, e := range news {
			select {
			case events <- e:
				after = e.Change.Revision
			case <-ctx.Done():
				return
			}
			r.c.instant(ctx) // what it causes comes before the next
		}
		if lost {
			return
		}
	}
}

func (r *replica) slowness() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slow
}

// present waits until the store is there.
func (r *replica) present(ctx context.Context) {
	r.mu.Lock()
	away := r.away
	r.mu.Unlock()
	if away == nil {
		return
	}
	select {
	case <-away:
	case <-ctx.Done():
	}
}

func (r *replica) SaveStatus(ctx context.Context, status gabion.HostStatus) error {
	if err := r.call(ctx, "status "+status.Host); err != nil {
		return err
	}
	r.saveStatus(status)
	return nil
}

func (r *replica) SaveObserved(ctx context.Context, host string, _ map[string]bool) error {
	return r.call(ctx, "observed "+host)
}

func (r *replica) AdmitHost(ctx context.Context, host string, _ [32]byte) error {
	return r.call(ctx, "admit "+host)
}

func (r *replica) RedeemJoinToken(context.Context, string, [32]byte, time.Time, [32]byte) error {
	return gabion.Forbidden("hosts of a simulation have joined")
}

func (r *replica) RenewHost(context.Context, string, [32]byte, [32]byte) error {
	return gabion.Forbidden("certificates of a simulation do not end")
}

// Deny forgets.
func (r *replica) Deny(context.Context, gabion.AuditEntry) error { return nil }

// Counters, HostCounters and SaveCounters are for what nothing here looks at.
func (r *replica) Counters(context.Context) (map[string][]byte, error) { return nil, nil }

func (r *replica) HostCounters(context.Context, string) ([]byte, error) { return nil, nil }

func (r *replica) SaveCounters(context.Context, string, []byte) error { return nil }
