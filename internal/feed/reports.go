package feed

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
)

const (
	// pause is between two writes of one host's status: the first ack is stored
	// at once, a stream of them once a pause.
	pause = 200 * time.Millisecond
	// heartbeat is how often the store hears when a host was seen. Who reads it takes
	// a host for offline after three of them: one that is well says something at least
	// every probeAfter.
	heartbeat = 10 * time.Second
	// maxError is how much of a host's error is kept, in bytes.
	maxError = 1024
	// maxPorts is how many unprotected ports of a host are kept.
	maxPorts = 256
)

// reports carries what one host says of itself to the store, the newest of it
// when the store is slow.
type reports struct {
	store Store
	seen  func() time.Time // when the host was heard last
	news  chan struct{}    // holds one element when there is something to save

	mu     sync.Mutex
	latest gabion.HostStatus
}

func newReports(s *Server, host, version string, seen func() time.Time) *reports {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &reports{
		store:  s.store,
		seen:   seen,
		news:   make(chan struct{}, 1),
		latest: gabion.HostStatus{Host: host, Revision: s.tracker.enforced(host), Version: clip(version)},
	}
	s.receipts[host].fill(&r.latest)
	r.signal()
	return r
}

// clip makes of a host's text one that is fit to be stored and shown: a line
// without anything that a terminal would obey.
func clip(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxError)], "")
	text = strings.ReplaceAll(text, "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

func (r *reports) signal() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *reports) status(enforced int64, problem string, signed receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	signed.fill(&r.latest)
	r.latest.Revision, r.latest.Error = enforced, clip(problem)
	r.signal()
}

func (r *reports) protection(o *feedpb.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest.Protection = clip(strings.Join(o.GetRemedies(), ", "))
	r.latest.UnprotectedPorts = nil
	for _, port := range o.GetUnprotectedPorts()[:min(len(o.GetUnprotectedPorts()), maxPorts)] {
		r.latest.UnprotectedPorts = append(r.latest.UnprotectedPorts, clip(port))
	}
	r.latest.Drifts = o.GetDrifts()
	r.signal()
}

func (r *reports) problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest.Error
}

// run saves until ctx ends, or until the store says that the host was deleted.
func (r *reports) run(ctx context.Context) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.news:
		case <-beat.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := r.save(ctx); gabion.CodeOf(err) == gabion.CodeNotFound {
			return errDeleted(r.latest.Host)
		} else if err != nil {
			r.signal() // the store will have it when it is back
		}
		sleep(ctx, pause)
	}
}

func (r *reports) save(ctx context.Context) error {
	r.mu.Lock()
	status := r.latest
	r.mu.Unlock()
	status.LastSeen = r.seen()
	return r.store.SaveStatus(ctx, status)
}
