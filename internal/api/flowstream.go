package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/flow"
)

const (
	// breath is between two comments on a stream, and between two looks whether the
	// caller may still watch.
	breath = 15 * time.Second

	// writePatience is how long a caller may take to read what he is sent.
	writePatience = 30 * time.Second

	// maxStreams is how many streams one organization has open at one server: each is
	// memory, and something to do for every event.
	maxStreams = 100
)

// streams are those that are open, by organization.
type streams struct {
	mu   sync.Mutex
	open map[string]int // none are zero
}

// enter counts a stream until leave is called; not ok if there are too many.
func (s *streams) enter(org string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[org] >= maxStreams {
		return nil, false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[org]++
	return func() { s.leave(org) }, true
}

func (s *streams) leave(org string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[org]--; s.open[org] == 0 {
		delete(s.open, org)
	}
}

// StreamFlows streams events until the caller goes, or may not watch any more.
func (a *api) StreamFlows(w http.ResponseWriter, r *http.Request, params openapi.StreamFlowsParams) {
	filter, err := a.flowFilter(r, params)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	leave, ok := a.streams.enter(filter.Organization)
	if !ok {
		tooFast(w, breath, fmt.Sprintf("the organization has %d streams of flows open at this server, which is all it may; close one", maxStreams))
		return
	}
	defer leave()
	watcher := a.Flows.Watch(filter)
	defer a.Flows.Unwatch(watcher)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps events back
	s := &eventStream{writer: w, control: http.NewResponseController(w)}
	s.comment(greeting(a.Flows.Elsewhere(filter)))
	tick := time.NewTicker(breath)
	defer tick.Stop()
	for s.err == nil {
		select {
		case e := <-watcher.Events():
			s.send("flow", eventBody(*e))
		case <-watcher.Losses():
			s.send("lost", watcher.Lost())
		case <-tick.C:
			if !a.mayStill(r) {
				return
			}
			s.comment("still here")
		case <-r.Context().Done():
			return
		case <-a.Stopping:
			return
		}
	}
}

// mayStill tells whether who opened the stream could open it now: the session has not
// ended, and the key is there and has not expired either. A store that does not answer
// ends no stream.
func (a *api) mayStill(r *http.Request) bool {
	c := callerOf(r.Context())
	if c.session != nil {
		if _, err := a.Store.Session(r.Context(), c.session.Hash); hasEnded(err) || !time.Now().Before(c.session.Expires) {
			return false
		}
	}
	key, err := a.Store.Key(r.Context(), c.ID)
	if err != nil {
		return !hasEnded(err) && !c.Expired(time.Now())
	}
	return !key.Expired(time.Now())
}

// hasEnded tells whether the store says that there is no such thing any more.
func hasEnded(err error) bool {
	code := gabion.CodeOf(err)
	return err != nil && (code == gabion.CodeNotFound || code == gabion.CodeForbidden)
}

// greeting says what can't be seen from here.
func greeting(elsewhere []string) string {
	if len(elsewhere) == 0 {
		return "watching"
	}
	return "watching; not to be seen from this server: hosts " + strings.Join(elsewhere[:min(len(elsewhere), maxNamed)], ", ")
}

func (a *api) flowFilter(r *http.Request, params openapi.StreamFlowsParams) (flow.Filter, error) {
	f := flow.Filter{Organization: callerOf(r.Context()).Organization, Instance: params.Instance}
	switch params.Verdict {
	case "", openapi.StreamFlowsParamsVerdictDenied:
		f.Denied = true
	case openapi.StreamFlowsParamsVerdictAllowed:
		f.Allowed = true
	case openapi.StreamFlowsParamsVerdictAll:
		f.Denied, f.Allowed = true, true
	default:
		return f, gabion.Invalid("verdict", "%q is none; write denied, allowed or all", params.Verdict)
	}
	if f.Instance == "" {
		return f, nil
	}
	_, err := a.Store.Instance(r.Context(), f.Organization, f.Instance)
	return f, err
}

// eventStream writes server-sent events. Its error is the first, and stays.
type eventStream struct {
	writer  http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *eventStream) comment(text string) { s.write(": " + text + "\n\n") }

func (s *eventStream) send(event string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		s.err = fmt.Errorf("encode event: %w", err)
		return
	}
	s.write("event: " + event + "\ndata: " + string(text) + "\n\n")
}

// write sends at once. The server's limit on answers is not meant for streams: here
// each event has its own.
func (s *eventStream) write(text string) {
	if s.err != nil {
		return
	}
	if s.err = s.control.SetWriteDeadline(time.Now().Add(writePatience)); s.err != nil {
		return
	}
	if _, s.err = s.writer.Write([]byte(text)); s.err != nil {
		return
	}
	s.err = s.control.Flush()
}
