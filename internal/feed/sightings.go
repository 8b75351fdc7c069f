package feed

import (
	"context"
	"slices"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
)

// recordEvery is how often the totals of a host are stored.
const recordEvery = time.Minute

// Archive keeps the counters of hosts, one record for each.
type Archive interface {
	SaveCounters(ctx context.Context, host string, record []byte) error // not found: the host was deleted
	HostCounters(ctx context.Context, host string) ([]byte, error)      // nil: there are none
	Counters(ctx context.Context) (map[string][]byte, error)            // by host
}

// Watch makes a watcher of events, for which hosts tell them from now on. It must
// be closed with Unwatch.
func (s *Server) Watch(f flow.Filter) *flow.Watcher {
	w := s.hub.Watch(f)
	s.review()
	return w
}

// Unwatch closes a watcher. Hosts stop telling what nobody watches.
func (s *Server) Unwatch(w *flow.Watcher) {
	w.Close()
	s.review()
}

// Elsewhere are the hosts of the organization's instances, or of one instance, that
// have no stream to this server: their events don't come here.
func (s *Server) Elsewhere(f flow.Filter) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return nil
	}
	var hosts []string
	for host := range s.world.Hosts() {
		if s.sessions[host] == nil && s.world.Runs(host, f.Organization, f.Instance) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// review tells hosts what is watched now.
func (s *Server) review() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviewLocked()
}

// reviewLocked is review with the lock held.
func (s *Server) reviewLocked() {
	for _, session := range s.sessions {
		if session.talk.want(s.demand(session.host)) {
			session.signal()
		}
	}
}

func (s *Server) demand(host string) flow.Demand {
	if s.world == nil {
		return flow.None
	}
	return s.hub.Demand(func(f flow.Filter) bool { return s.world.Runs(host, f.Organization, f.Instance) })
}

// publish hands on what happened to packets of the host's own instances.
func (s *Server) publish(session *session, m *feedpb.FlowEvents) error {
	events, err := eachChecked("event", m.GetEvents(), decodeEvent)
	if err != nil {
		return gabion.Invalid("flow-events", "%s", err)
	}
	for _, e := range events {
		if s.name(session.host, &e) {
			s.hub.Publish(e)
		}
	}
	for id, n := range m.GetLost() {
		if org := s.organizationOf(session.host, id); org != "" {
			s.hub.Lose(org, id, n)
		}
	}
	return nil
}

// has tells whether the instance runs on the host and has an interface of that name.
func (s *Server) has(host, instance, iface string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasLocked(host, instance, iface)
}

// hasLocked is has with the lock held.
func (s *Server) hasLocked(host, instance, iface string) bool {
	if s.world == nil {
		return false
	}
	i := s.world.Instance(instance)
	return i != nil && i.Host == host && slices.ContainsFunc(i.NICs, func(n gabion.NIC) bool { return n.Interface == iface })
}

func (s *Server) organizationOf(host, instance string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return ""
	}
	if i := s.world.Instance(instance); i != nil && i.Host == host {
		return i.Organization
	}
	return ""
}

// name fills in what the ids of an event stand for, and tells whether the event is
// one that the host may tell of. Names of other organizations are nobody's business.
func (s *Server) name(host string, e *flow.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasLocked(host, e.Instance.ID, e.Interface) {
		return false
	}
	i := s.world.Instance(e.Instance.ID)
	e.Host, e.Organization, e.Instance.Name = host, i.Organization, i.Name
	if owners := s.world.Owners(i.Organization, e.Remote.Addr()); len(owners) > 0 {
		e.RemoteOwner = flow.Named{ID: owners[0].ID, Name: owners[0].Name}
	}
	g := s.groupOfRule(host, e.Rule)
	if g == nil || g.Organization != i.Organization {
		e.Rule = ""
		return true
	}
	e.Group = flow.Named{ID: g.ID, Name: g.Name}
	return true
}

// groupOfRule is the group of a rule that the host enforces; nil if it enforces none such.
func (s *Server) groupOfRule(host, rule string) *gabion.Group {
	r := s.world.Rule(rule)
	if r == nil || !s.world.Enforces(host, rule) {
		return nil
	}
	return s.world.Group(r.Group)
}

// count takes in what the host counts of its own rules and instances.
func (s *Server) count(session *session, m *feedpb.Counters) {
	c := flow.Counts{All: m.GetAll()}
	s.mu.Lock()
	for _, r := range m.GetRules() {
		if s.world != nil && s.world.Enforces(session.host, r.GetRule()) {
			c.Rules = append(c.Rules, flow.RuleCount{Rule: r.Rule, Life: r.Life, Packets: r.Packets, Bytes: r.Bytes})
		}
	}
	s.mu.Unlock()
	for _, d := range m.GetDrops() {
		reason := gabion.Reason(d.GetReason() & 0xff)
		if s.has(session.host, d.GetInstance(), d.GetInterface()) && reason.String() != "unknown" {
			c.Drops = append(c.Drops, flow.DropCount{
				Instance: d.Instance, Interface: d.Interface, Reason: reason, Life: d.Life, Packets: d.Packets,
			})
		}
	}
	s.ledger.Count(session.host, c, time.Now())
}

// recallCounters takes over what the store knows of a host that is about to count here.
func (s *Server) recallCounters(ctx context.Context, host string) error {
	record, err := s.store.HostCounters(ctx, host)
	if err != nil || record == nil {
		return err
	}
	s.restore(host, record)
	return nil
}

func (s *Server) restore(host string, record []byte) {
	if err := s.ledger.Restore(host, record); err != nil {
		s.log.Error("counters are lost", "host", host, "error", err)
	}
}

// recordCounters stores the host's totals until ctx ends, and once more then.
func (s *Server) recordCounters(ctx context.Context, host string) {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.record(ctx, host)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
			defer cancel()
			s.record(last, host)
			return
		}
	}
}

func (s *Server) record(ctx context.Context, host string) {
	s.prune(host)
	data, err := s.ledger.Record(host, time.Now())
	if err == nil && data != nil {
		err = s.store.SaveCounters(ctx, host, data)
	}
	if err != nil && gabion.CodeOf(err) != gabion.CodeNotFound {
		s.log.Warn("store counters", "host", host, "error", err)
	}
}

// prune forgets the counters of what is not there any more.
func (s *Server) prune(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return
	}
	s.ledger.Prune(host,
		func(rule string) bool { return s.world.Rule(rule) != nil },
		func(instance string) bool { i := s.world.Instance(instance); return i != nil && i.Host == host })
}

// freshFor is how long the records of other servers' hosts are good for.
const freshFor = 5 * time.Second

// refresh reads what other servers have stored, unless it was read just now.
func (s *Server) refresh(ctx context.Context) error {
	s.mu.Lock()
	due := time.Since(s.refreshed) > freshFor
	if due {
		s.refreshed = time.Now()
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	records, err := s.store.Counters(ctx)
	if err != nil {
		return err
	}
	for host, record := range records {
		if !s.isHere(host) {
			s.restore(host, record)
		}
	}
	return nil
}

func (s *Server) isHere(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[host] != nil
}

// Hits is what passed because of the rules, over all hosts, by rule id. Of hosts whose
// stream is to another server it is a minute old at most.
func (s *Server) Hits(ctx context.Context, rules []string) (map[string]flow.Hits, error) {
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s.ledger.Hits(time.Now(), rules), nil
}

// Drops is what was dropped at the instance's interfaces.
func (s *Server) Drops(ctx context.Context, instance string) ([]flow.Drop, error) {
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s.ledger.Drops(instance), nil
}
