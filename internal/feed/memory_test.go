package feed_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

// memory is a store in memory. Its revisions are made by commit.
type memory struct {
	mu          sync.Mutex
	epoch       string
	revision    int64
	groups      map[string]*gabion.Group
	rules       map[string]*gabion.Rule
	inst        map[string]*gabion.Instance
	statuses    map[string]gabion.HostStatus
	running     map[string]bool
	tokens      map[[32]byte]gabion.JoinToken
	hosts       map[string]gabion.Host
	certs       map[string][][32]byte // by host: those that it is known by
	watches     map[chan feed.Event]bool
	counters    map[string][]byte // by host
	away        error             // what Epoch fails with, if anything
	observes    func() error      // what SaveObserved waits for and fails with, if anything
	renewedFrom netip.Addr        // who renewed a certificate last
}

func newMemory() *memory {
	return &memory{
		epoch: "first", revision: 1,
		groups: map[string]*gabion.Group{}, rules: map[string]*gabion.Rule{}, inst: map[string]*gabion.Instance{},
		statuses: map[string]gabion.HostStatus{}, running: map[string]bool{},
		tokens: map[[32]byte]gabion.JoinToken{}, hosts: map[string]gabion.Host{}, certs: map[string][][32]byte{},
		watches: map[chan feed.Event]bool{},
	}
}

// commit makes one revision of the change and tells its number.
func (m *memory) commit(c policy.Change) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	c.Revision = m.revision
	for _, g := range c.Groups {
		m.groups[g.ID] = g
	}
	for _, r := range c.Rules {
		m.rules[r.ID] = r
	}
	for _, i := range c.Instances {
		m.inst[i.ID] = i
	}
	for _, id := range c.GoneGroups {
		delete(m.groups, id)
	}
	for _, id := range c.GoneRules {
		delete(m.rules, id)
	}
	for _, id := range c.GoneInstances {
		delete(m.inst, id)
	}
	m.tell(feed.Event{Change: c})
	return m.revision
}

func (m *memory) tell(e feed.Event) {
	for w := range m.watches {
		w <- e
	}
}

// lose ends all watches like a compaction does.
func (m *memory) lose(epoch string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = epoch
	m.tell(feed.Event{Lost: true})
	for w := range m.watches {
		close(w)
	}
	clear(m.watches)
}

func (m *memory) deleteHost(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.hosts, name)
	delete(m.statuses, name)
	m.revision++
	m.tell(feed.Event{Change: policy.Change{Revision: m.revision}, GoneHosts: []string{name}})
}

func (m *memory) Epoch(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, m.away
}

// fail makes the store fail like one that can't be reached.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
}

func (m *memory) Deny(context.Context, gabion.AuditEntry) error { return nil }

func (m *memory) Snapshot(context.Context) (feed.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := feed.Event{Change: policy.Change{Revision: m.revision}}
	for _, g := range m.groups {
		e.Change.Groups = append(e.Change.Groups, g)
	}
	for _, r := range m.rules {
		e.Change.Rules = append(e.Change.Rules, r)
	}
	for _, i := range m.inst {
		e.Change.Instances = append(e.Change.Instances, i)
	}
	for _, s := range m.statuses {
		e.Statuses = append(e.Statuses, s)
	}
	return e, nil
}

// Watch begins at once: what was committed since the snapshot is not replayed,
// so tests commit only after the server is ready.
func (m *memory) Watch(ctx context.Context, _ int64) <-chan feed.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := make(chan feed.Event, 10000)
	m.watches[w] = true
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.watches[w] {
			delete(m.watches, w)
			close(w)
		}
	})
	return w
}

// AdmitHost admits any certificate of a host that the test itself has put there.
func (m *memory) AdmitHost(_ context.Context, host string, certificate [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.hosts[host]; !ok {
		return gabion.NotFound("host", host)
	}
	if known := m.certs[host]; known != nil && !slices.Contains(known, certificate) {
		return gabion.Forbidden("it has joined again")
	}
	return nil
}

func (m *memory) RenewHost(ctx context.Context, host string, current, next [32]byte) error {
	if err := m.AdmitHost(ctx, host, current); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.certs[host] = [][32]byte{current, next}
	m.renewedFrom = gabion.ActorOf(ctx).Remote
	return nil
}

func (m *memory) SaveStatus(_ context.Context, s gabion.HostStatus) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.hosts[s.Host]; !ok {
		return gabion.NotFound("host", s.Host)
	}
	m.statuses[s.Host] = s
	m.revision++
	m.tell(feed.Event{Change: policy.Change{Revision: m.revision}, Statuses: []gabion.HostStatus{s}})
	return nil
}

func (m *memory) SaveObserved(_ context.Context, _ string, running map[string]bool) error {
	if m.observes != nil {
		if err := m.observes(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.running, running)
	return nil
}

func (m *memory) RedeemJoinToken(_ context.Context, host string, hash [32]byte, at time.Time, certificate [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	token, ok := m.tokens[hash]
	switch {
	case !ok:
		return gabion.Forbidden("the join token is unknown or used")
	case at.After(token.Expires):
		return gabion.Forbidden("the join token expired")
	case token.Host != host:
		return gabion.Forbidden("the join token was altered")
	}
	delete(m.tokens, hash)
	m.hosts[host] = gabion.Host{Name: host}
	m.certs[host] = [][32]byte{certificate}
	return nil
}

func (m *memory) status(host string) gabion.HostStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.statuses[host]
}

func (m *memory) isRunning(instance string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running[instance]
}

func (m *memory) watched() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.watches) > 0
}

// populated is a store with one instance of group "g" on hv1.
func populated() *memory {
	m := newMemory()
	m.commit(policy.Change{Groups: []*gabion.Group{group("g")}, Instances: []*gabion.Instance{instance("one", "hv1", "10.0.0.1", "g")}})
	return m
}
