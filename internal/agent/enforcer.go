package agent

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

const (
	// A policy that can't be enforced is tried again after firstRetry, and then
	// after twice as long each time, up to lastRetry.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// Datapath is what enforces policy.
type Datapath interface {
	// Apply enforces the view on the interfaces (index by name), and returns when it is in force.
	Apply(ctx context.Context, v *policy.View, links map[string]int) error
	// Audit says what is not in force any more as Apply left it; Apply repairs it.
	Audit() (drift []string, err error)
}

// Server is told how far the host is.
type Server interface {
	// Ack says what is in force (revision 0: nothing yet), and what of it, or of
	// the newest policy, could not be enforced.
	Ack(at feed.Position, problem error)
	// Certify says what the digest of the policy is that the next acks are about.
	Certify(digest []byte)
	// Observe says which instances run; the server hears it before any later ack.
	Observe(running map[string]bool)
	// Protect says how the bridges of instances are protected.
	Protect(p feed.Protection)
}

// enforcer sees to it that the newest policy is enforced on the interfaces that
// exist. Whatever changes, it goes through the same step; what changes during a
// step waits for the next one, all of it together.
type enforcer struct {
	datapath Datapath
	taps     taps
	bridges  bridges
	server   Server

	protection protection
	alarm      alarm
	states     stateFile
	log        *slog.Logger
	started    func() // called each time that what is known of policy is in force, as far as it can be

	updates chan func() // changes of what is below, made by Run's goroutine
	stopped chan struct{}

	state    *feed.State                // nil: no policy is known, what is in force stays
	links    map[string]hypervisor.Link // nil: not known yet
	foreseen map[string]hypervisor.Link // what the kernel will tell because of what we did
	enforced int64                      // revision of state's epoch that is in force; 0: none
	fresh    bool                       // state is from the server, not from the file
	unsaved  bool                       // state is newer than its file
	digest   []byte                     // of state's view; nil: the server was told, or there is none
	unlisted bool                       // instances came, maybe on interfaces that links lacks
	dirty    bool                       // what is in force may differ from state and links
	owed     bool                       // the server waits for an ack
	retry    time.Duration
	due      time.Time // of the next try; zero: none is needed

	mu      sync.Mutex
	problem error // why the host is not ready; nil if it is
}

func newEnforcer(d Datapath, h Host, states stateFile, state *feed.State, log *slog.Logger) *enforcer {
	return &enforcer{
		datapath: d,
		taps:     taps{host: h, log: log},
		bridges:  bridges{host: h, log: log},

		protection: protection{host: h, log: log},
		alarm:      alarm{log: log, clean: time.Now()},
		states:     states,
		log:        log,
		started:    func() {},
		updates:    make(chan func(), 256),
		stopped:    make(chan struct{}),
		state:      state,
		dirty:      true,
		problem:    errNoPolicy,
	}
}

func (e *enforcer) String() string { return "enforcer" }

// held is the position of the policy that the enforcer starts with.
func (e *enforcer) held() feed.Position {
	if e.state == nil {
		return feed.Position{}
	}
	return feed.Position{Epoch: e.state.Epoch, Revision: e.state.View.Revision}
}

// Replace takes a whole policy from the server.
func (e *enforcer) Replace(epoch string, v *policy.View) {
	e.update(func() {
		if e.state == nil || e.state.Epoch != epoch {
			e.enforced = 0
		}
		e.state = &feed.State{Epoch: epoch, View: v}
		e.fresh, e.unsaved, e.unlisted, e.dirty, e.owed = true, true, true, true, true
	})
}

// Change takes what is different from the server. It may be nothing but the
// revision, which costs nothing to enforce.
func (e *enforcer) Change(d *policy.Delta) {
	e.update(func() {
		e.state.View.Apply(d)
		e.fresh, e.owed = true, true
		if !d.IsEmpty() {
			e.unsaved, e.dirty = true, true
		}
		if len(d.Instances) > 0 {
			e.unlisted = true
		}
	})
}

// Links takes the interfaces that exist.
func (e *enforcer) Links(links map[string]hypervisor.Link) {
	e.update(func() {
		foreseen := e.foreseen != nil && maps.Equal(links, e.foreseen)
		e.foreseen = nil
		if !foreseen {
			e.links, e.dirty = links, true
		}
	})
}

// update hands a change to Run's goroutine. It waits while that has very much to do.
func (e *enforcer) update(change func()) {
	select {
	case e.updates <- change:
	case <-e.stopped:
	}
}

// Run enforces until ctx ends.
func (e *enforcer) Run(ctx context.Context) error {
	defer close(e.stopped)
	if e.state == nil {
		e.started()
	}
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		again := time.NewTimer(time.Until(e.due))
		if e.due.IsZero() {
			again.Stop()
		}
		select {
		case change := <-e.updates:
			change()
			e.gather()
		case <-again.C:
		case <-tick.C:
			if !e.inspect() {
				continue
			}
		case <-ctx.Done():
			return nil
		}
		again.Stop()
		if ctx.Err() == nil && e.state != nil && e.links != nil {
			e.step(ctx)
		}
	}
}

// gather takes in whatever else is there already, so that one step serves all.
func (e *enforcer) gather() {
	for {
		select {
		case change := <-e.updates:
			change()
		default:
			return
		}
	}
}

// step enforces the policy and says so. It says first what runs: who was told
// that a revision is enforced knows the states of its instances.
func (e *enforcer) step(ctx context.Context) {
	e.save()
	enforced, problem := true, error(nil)
	if e.dirty {
		enforced, problem = e.enforce(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	if enforced {
		e.enforced = e.state.View.Revision
		e.certify()
	}
	e.server.Observe(running(e.state.View, e.links))
	e.settle(problem)
}

// certify says what the policy in force is.
func (e *enforcer) certify() {
	if e.digest != nil {
		e.server.Certify(e.digest)
		e.digest = nil
	}
}

// save writes the policy down before it is enforced.
func (e *enforcer) save() {
	if !e.unsaved {
		return
	}
	e.unsaved = false
	digest, err := e.states.save(e.state)
	if err != nil {
		e.log.Error("the policy can't be kept for a start without server", "error", err)
	}
	e.digest = digest
}

// enforce puts the policy in force, and tells whether it is. It lets nothing stand
// in the way: an object that can't be enforced is left out and is a problem, and
// keeps nobody else from what is due to him. Where somebody has rules of before, or
// none, because his don't fit, the revision is not in force, though the others have
// theirs.
func (e *enforcer) enforce(ctx context.Context) (enforced bool, problem error) {
	view := e.state.View
	listed := e.list()
	made := e.taps.make(view, &e.links)
	e.bridges.spare(view, e.links)
	applied := e.datapath.Apply(ctx, view, indexes(e.links))
	secured := e.secure()
	partial := new(datapath.PartialError)
	if applied != nil && !errors.As(applied, &partial) {
		return false, errors.Join(listed, made, applied, secured)
	}
	released := e.taps.release(view, e.links)
	var removed error
	if e.fresh {
		removed = e.taps.remove(view, e.links)
	}
	if listed == nil {
		e.started()
	}
	return listed == nil && !partial.Stale, errors.Join(listed, made, applied, secured, released, removed)
}

// secure lets what is filtered pass, and says how the host's bridges are protected.
func (e *enforcer) secure() error {
	before := maps.Clone(e.links)
	err := e.protection.secure(e.state.View, e.links)
	if !maps.Equal(before, e.links) {
		e.foreseen = maps.Clone(e.links)
	}
	report, unknown := e.protection.report(e.state.View, e.links)
	report.Drifts = e.alarm.drifts
	e.server.Protect(report)
	return errors.Join(err, unknown)
}

// list looks which interfaces there are, if the kernel may not have told yet of
// one that an instance is on: that one has to be filtered before we say so.
func (e *enforcer) list() error {
	if !e.unlisted {
		return nil
	}
	links, err := e.bridges.host.Links()
	if err != nil {
		return err
	}
	e.links, e.unlisted = links, false
	return nil
}

// settle draws the consequences of a step: the server is told, once for each
// thing it waits for, and what failed is tried again.
func (e *enforcer) settle(err error) {
	if err == nil {
		e.dirty, e.retry, e.due = false, 0, time.Time{}
	} else {
		e.owed, e.retry = true, min(max(2*e.retry, firstRetry), lastRetry)
		e.due = time.Now().Add(e.retry)
	}
	if was := e.Ready(); err != nil && (was == nil || was.Error() != err.Error()) {
		e.log.Error("the policy is not in force as it should be; trying again", "revision", e.state.View.Revision, "error", err)
	}
	if e.owed {
		e.server.Ack(feed.Position{Epoch: e.state.Epoch, Revision: e.enforced}, errors.Join(err, e.alarm.last))
	}
	e.owed = err != nil // the end of an error is news, too
	e.setProblem(err)
}

func (e *enforcer) setProblem(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem = err
}

// Ready tells why the policy is not in force; nil if it is.
func (e *enforcer) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

var errNoPolicy = errors.New("no policy is known yet")

// running tells of each instance whether one of its interfaces is there and up.
func running(v *policy.View, links map[string]hypervisor.Link) map[string]bool {
	up := make(map[string]bool, len(v.Instances))
	for id, i := range v.Instances {
		up[id] = slices.ContainsFunc(i.NICs, func(n gabion.NIC) bool { return links[n.Interface].Up })
	}
	return up
}
