package flow

import (
	"sync"

	"github.com/gabion/gabion"
)

// buffer is how many events wait for one watcher.
const buffer = 256

// Filter is which events a watcher wants: those of one organization, maybe of one
// instance, with one verdict or both.
type Filter struct {
	Organization string
	Instance     string // id; empty means all
	Denied       bool
	Allowed      bool
}

// Demand is what hosts have to tell for the filter. What was dropped always comes.
func (f Filter) Demand() Demand {
	if f.Allowed {
		return All
	}
	return Denied
}

// Covers tells whether events of that instance may pass.
func (f Filter) Covers(organization, instance string) bool {
	return f.Organization == organization && (f.Instance == "" || f.Instance == instance)
}

func (f Filter) passes(e *Event) bool {
	if !f.Covers(e.Organization, e.Instance.ID) {
		return false
	}
	if e.Reason.Verdict() == gabion.Pass {
		return f.Allowed
	}
	return f.Denied
}

// Watcher gets events until it is closed.
type Watcher struct {
	hub    *Hub
	filter Filter
	events chan *Event
	news   chan struct{} // holds one element when events were lost
	lost   uint64        // guarded by the hub's lock
}

// Events yields the events, which others are given, too: they are only read.
func (w *Watcher) Events() <-chan *Event { return w.events }

// Losses yields when events were lost since Lost was called.
func (w *Watcher) Losses() <-chan struct{} { return w.news }

// Lost is how many events could not be told since the last call.
func (w *Watcher) Lost() uint64 {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	n := w.lost
	w.lost = 0
	return n
}

func (w *Watcher) lose(n uint64) {
	w.lost += n
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Hub hands events to those who watch. It is safe for concurrent use.
type Hub struct {
	mu       sync.Mutex
	watchers map[*Watcher]struct{}
	told     uint64
	lost     uint64
}

// NewHub is a hub without watchers.
func NewHub() *Hub { return &Hub{watchers: map[*Watcher]struct{}{}} }

// Watch makes a watcher. It must be closed.
func (h *Hub) Watch(f Filter) *Watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Watcher{hub: h, filter: f, events: make(chan *Event, buffer), news: make(chan struct{}, 1)}
	h.watchers[w] = struct{}{}
	return w
}

// Close ends the watcher's events.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers, w)
}

// Publish hands an event to those who want it, and never waits.
func (h *Hub) Publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if !w.filter.passes(&e) {
			continue
		}
		select {
		case w.events <- &e:
			h.told++
		default:
			h.lost++
			w.lose(1)
		}
	}
}

// Lose tells those who watch the instance that so many events were lost on the way here.
func (h *Hub) Lose(organization, instance string, n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.filter.Covers(organization, instance) {
			h.lost += n
			w.lose(n)
		}
	}
}

// Demand is what a host has to tell, of whose instances runs tells.
func (h *Hub) Demand(runs func(f Filter) bool) Demand {
	h.mu.Lock()
	defer h.mu.Unlock()
	most := None
	for w := range h.watchers {
		if d := w.filter.Demand(); d > most && runs(w.filter) {
			most = d
		}
	}
	return most
}

// HubStats is how much a hub has done.
type HubStats struct {
	Watchers   int
	Told, Lost uint64 // events, each as often as somebody watched for it
}

// Stats is how much the hub has done up to now.
func (h *Hub) Stats() HubStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HubStats{len(h.watchers), h.told, h.lost}
}
