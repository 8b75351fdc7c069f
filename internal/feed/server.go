package feed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// Event is what one revision of the store changed. Lost says that history is no
// longer complete: only a snapshot helps.
type Event struct {
	Change    policy.Change
	Statuses  []gabion.HostStatus
	GoneHosts []string
	Lost      bool
}

// Store is what the server's end needs of the store. Errors are *gabion.Error
// where the host can do something about them.
type Store interface {
	// Epoch names the line of history that revisions belong to.
	Epoch(ctx context.Context) (string, error)
	// Snapshot is everything at one revision.
	Snapshot(ctx context.Context) (Event, error)
	// Watch yields one event for each revision after that one, in order. It
	// closes when ctx ends or after an event that says Lost.
	Watch(ctx context.Context, after int64) <-chan Event

	SaveStatus(ctx context.Context, status gabion.HostStatus) error // not found: the host was deleted
	SaveObserved(ctx context.Context, host string, running map[string]bool) error
	// RedeemJoinToken uses the token up, if it is the host's. The host is known by
	// the certificate (SHA-256) from then on, and by no older one.
	RedeemJoinToken(ctx context.Context, host string, hash [32]byte, at time.Time, certificate [32]byte) error
	// AdmitHost tells whether the host is known by the certificate. Not found: it was deleted.
	AdmitHost(ctx context.Context, host string, certificate [32]byte) error
	// RenewHost lets the host that is known by current be known by next, too.
	RenewHost(ctx context.Context, host string, current, next [32]byte) error
	// Deny adds a denial to a log. It bounds what that takes.
	Deny(ctx context.Context, e gabion.AuditEntry) error

	Archive
}

// Authority signs hosts' certificates.
type Authority interface {
	// SignHost makes a certificate out of a request, both DER.
	SignHost(host string, request []byte) ([]byte, error)
	// Raw is the authority's own certificate, DER.
	Raw() []byte
}

// reloadAfter is how long the server waits before it asks a store again that failed.
const reloadAfter = time.Second

// Behind stands for the hosts in what Await returns, as long as the server itself
// has not seen the revision and so can't tell whom it concerns.
const Behind = "(this server has not seen the change yet)"

// Server is the server's end of the stream.
type Server struct {
	feedpb.UnimplementedFeedServer

	store     Store
	authority Authority
	log       *slog.Logger

	admissionCheck time.Duration // between two looks at a stream's certificate

	mu        sync.Mutex
	epoch     string
	world     *policy.World    // nil until the first snapshot of the store
	base      int64            // revision of the last snapshot of the store
	concerned map[string]int64 // by host: newest revision since base that concerns it
	tracker   *tracker
	problems  map[string]string   // by host: what the store knows of what it could not enforce
	sessions  map[string]*session // by host
	changed   chan struct{}       // closed and replaced when world or tracker moved on
	lastAsk   uint64              // id of the newest question to any host
	refreshed time.Time           // when the counters of other servers' hosts were read

	hub           *flow.Hub
	ledger        *flow.Ledger
	disagreements atomic.Uint64

	stopwatch *stopwatch
	receipts  map[string]receipt // by host
	// OnEnforced is told how long each host took to enforce a change. It is set before Run, and must not block.
	OnEnforced func(took time.Duration)
}

// NewServer is the server's end; Run makes it follow the store.
func NewServer(store Store, authority Authority, log *slog.Logger) *Server {
	return &Server{
		store:     store,
		authority: authority,
		log:       log,
		tracker:   newTracker(),
		stopwatch: newStopwatch(),
		receipts:  map[string]receipt{},
		sessions:  map[string]*session{},
		changed:   make(chan struct{}),

		admissionCheck: admissionCheck,
		hub:            flow.NewHub(),
		ledger:         flow.NewLedger(),
	}
}

// Run follows the store until ctx ends. A store that fails is asked again: hosts
// keep what they have.
func (s *Server) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("follow the store", "error", err)
			sleep(ctx, reloadAfter)
		}
	}
	return nil
}

func (s *Server) String() string { return "feed" }

// Ready tells why hosts can't be served; nil if they can.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return errors.New("the policy is not loaded yet")
	}
	return nil
}

func (s *Server) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	epoch, err := s.store.Epoch(ctx)
	if err != nil {
		return err
	}
	snapshot, err := s.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	s.load(epoch, snapshot)
	for e := range s.store.Watch(ctx, snapshot.Change.Revision) {
		if e.Lost {
			s.log.Warn("history of the store is lost; every host gets a snapshot")
			return nil
		}
		s.advance(e)
	}
	return ctx.Err()
}

// load begins anew from a snapshot of the store.
func (s *Server) load(epoch string, snapshot Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = epoch
	s.base = snapshot.Change.Revision
	s.world = policy.WorldOf(s.sift(snapshot.Change))
	s.concerned = map[string]int64{}
	s.tracker, s.problems = newTracker(), map[string]string{}
	s.stopwatch, s.receipts = newStopwatch(), map[string]receipt{}
	s.recall(snapshot.Statuses)
	for host := range s.world.Hosts() {
		s.tracker.forgotten(host, s.base)
	}
	// A host that has no instances any more may still enforce those that it had.
	for _, status := range snapshot.Statuses {
		s.tracker.forgotten(status.Host, s.base)
	}
	for host := range s.sessions {
		s.tracker.forgotten(host, s.base)
	}
	for _, session := range s.sessions {
		session.resync()
	}
	s.reviewLocked()
	s.wake()
}

// advance brings world, sessions and tracker to the event's revision.
func (s *Server) advance(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	deltas := s.world.Apply(s.sift(e.Change))
	s.stopwatch.commit(e.Change.Revision, len(deltas), time.Now())
	for host, delta := range deltas {
		s.concerned[host] = e.Change.Revision
		s.tracker.concern(host, e.Change.Revision)
		if session := s.sessions[host]; session != nil {
			session.offer(delta)
		}
	}
	s.recall(e.Statuses)
	for _, host := range e.GoneHosts {
		s.tracker.forget(host)
		s.ledger.Forget(host)
		delete(s.receipts, host)
		delete(s.problems, host)
		if session := s.sessions[host]; session != nil {
			session.end(errDeleted(host))
		}
	}
	if len(e.Change.Instances)+len(e.Change.GoneInstances) > 0 {
		s.reviewLocked()
	}
	s.wake()
}

// recall takes in what hosts had reported to the store.
func (s *Server) recall(statuses []gabion.HostStatus) {
	for _, status := range statuses {
		s.stopwatch.enforce(s.tracker.due(status.Host, status.Revision), time.Now())
		s.tracker.enforce(status.Host, status.Revision)
		s.problems[status.Host] = status.Error
		if s.sessions[status.Host] == nil {
			s.receipts[status.Host] = receiptOf(status)
		}
	}
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// sift leaves out objects that no host could make sense of: what was known of
// them stays, and the others are not held up.
func (s *Server) sift(c policy.Change) policy.Change {
	c.Groups = sound(s.log, c.Groups, checkGroup, func(g *gabion.Group) string { return g.ID })
	c.Rules = sound(s.log, c.Rules, checkRule, func(r *gabion.Rule) string { return r.ID })
	c.Instances = sound(s.log, c.Instances, checkInstance, func(i *gabion.Instance) string { return i.ID })
	return c
}

func sound[T any](log *slog.Logger, objects []T, check func(T) error, id func(T) string) []T {
	var kept []T
	for _, o := range objects {
		if err := check(o); err != nil {
			log.Error("object in the store makes no sense; the others are not affected", "id", id(o), "error", err)
			continue
		}
		kept = append(kept, o)
	}
	return kept
}

// Await returns the hosts that the revision concerns and that do not enforce it
// yet: none as soon as all do, else those missing when ctx ends.
func (s *Server) Await(ctx context.Context, revision int64) (missing []string) {
	for {
		missing, changed := s.missing(revision)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return missing
		}
	}
}

func (s *Server) missing(revision int64) ([]string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil || s.world.Revision() < revision {
		return []string{Behind}, s.changed
	}
	return s.tracker.missing(revision), s.changed
}

// Problem is what the host could not enforce of what it has acknowledged, or of
// what came after; empty if there is nothing.
func (s *Server) Problem(host string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.sessions[host]; session != nil && session.inSync {
		return session.reports.problem()
	}
	return s.problems[host]
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
