package feed

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// window is how many deltas wait for a host. One that falls further behind is
// sent a snapshot instead, so a slow host costs the server a bounded amount.
const window = 256

// maxDelta is the weight of a delta above which a snapshot, which comes in
// chunks, is sent in its place.
const maxDelta = 10 * chunkWeight

// catchUp is how long a host that knows a newer revision waits for this server
// to see it too, before it is taken for one of another history.
const catchUp = 10 * time.Second

// session is one host's stream. Its fields are guarded by the server's lock.
type session struct {
	host    string
	version string
	cancel  context.CancelCauseFunc
	ready   chan struct{} // holds one element when there is something to send

	stale   bool // the host needs a snapshot; nothing waits
	inSync  bool // the host was told that it has everything
	waiting []*policy.Delta
	sent    int64 // newest revision that the host was sent or came with
	reports *reports
	talk    *talk
}

func newSession(host string, hello *feedpb.Hello, cancel context.CancelCauseFunc, reports *reports) *session {
	s := &session{
		host:    host,
		version: hello.Version,
		cancel:  cancel,
		ready:   make(chan struct{}, 1),
		sent:    hello.Revision,
		reports: reports,
		talk:    newTalk(hello),
	}
	s.signal()
	return s
}

func (s *session) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// offer adds a delta to what waits, and never blocks.
func (s *session) offer(d *policy.Delta) {
	if s.stale {
		return
	}
	if len(s.waiting) == window || weight(d) > maxDelta {
		s.resync()
		return
	}
	s.waiting = append(s.waiting, d)
	s.signal()
}

// resync lets a snapshot take the place of everything that waits.
func (s *session) resync() {
	s.stale, s.waiting = true, nil
	s.signal()
}

func (s *session) end(cause error) { s.cancel(cause) }

func errDeleted(host string) error {
	return gabion.Forbidden("host %q was deleted: to join it again, remove identity.pem from its state directory and start its agent with a new token", host)
}

func errReplaced(host string) error {
	return gabion.Conflict("host %q has opened a newer stream", host)
}

// Sync keeps the policy of one host current.
func (s *Server) Sync(stream grpc.BidiStreamingServer[feedpb.AgentMessage, feedpb.ServerMessage]) error {
	err := s.sync(stream)
	if stream.Context().Err() != nil || errors.Is(err, io.EOF) {
		return nil // the host has gone
	}
	return toStatus(s.log, err)
}

func (s *Server) sync(stream grpc.BidiStreamingServer[feedpb.AgentMessage, feedpb.ServerMessage]) error {
	host, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	hello, err := receiveHello(stream)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	s.catchUp(ctx, hello)
	if err := s.recallCounters(ctx, host); err != nil {
		return err
	}
	session := s.open(newSession(host, hello, cancel, newReports(s, host, hello.Version, seen(ctx))), hello)
	defer s.close(session)
	s.log.Info("host connected", "host", host, "version", hello.Version, "revision", hello.Revision)

	go func() { cancel(session.reports.run(ctx)) }()
	go s.recordCounters(ctx, host)
	go func() { cancel(s.receive(ctx, stream, session)) }()
	err = s.send(ctx, stream, session)
	s.log.Info("host disconnected", "host", host, "error", err)
	return err
}

func receiveHello(stream grpc.BidiStreamingServer[feedpb.AgentMessage, feedpb.ServerMessage]) (*feedpb.Hello, error) {
	m, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	hello := m.GetHello()
	if hello == nil || hello.Revision < 0 {
		return nil, gabion.Invalid("hello", "is not what the stream begins with")
	}
	return hello, nil
}

// catchUp waits until this server knows what the host knows, so that a server
// that lags never sends a host back to an older policy.
func (s *Server) catchUp(ctx context.Context, hello *feedpb.Hello) {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		current, changed := s.current(hello)
		if current {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) current(hello *feedpb.Hello) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return false, s.changed
	}
	return hello.StoreEpoch != s.epoch || s.world.Revision() >= hello.Revision, s.changed
}

// open lets the session take the place of an older one of its host.
func (s *Server) open(session *session, hello *feedpb.Hello) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if older := s.sessions[session.host]; older != nil {
		older.end(errReplaced(session.host))
	}
	s.sessions[session.host] = session
	session.talk.want(s.demand(session.host))
	session.stale = !s.holds(session.host, hello)
	return session
}

// holds tells whether the host has everything that concerns it up to now.
func (s *Server) holds(host string, hello *feedpb.Hello) bool {
	return s.world != nil && hello.StoreEpoch == s.epoch &&
		hello.Revision >= max(s.base, s.concerned[host]) && hello.Revision <= s.world.Revision()
}

func (s *Server) close(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session.host] == session {
		delete(s.sessions, session.host)
	}
}

// send sends what the session has to say until ctx ends, and returns why.
func (s *Server) send(ctx context.Context, stream grpc.BidiStreamingServer[feedpb.AgentMessage, feedpb.ServerMessage], session *session) error {
	for {
		select {
		case <-session.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, m := range s.take(session) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := stream.Send(m()); err != nil {
				return err
			}
		}
	}
}

// message is encoded when its turn comes: a large snapshot never stands in
// memory twice.
type message func() *feedpb.ServerMessage

// take is what the session has to send now.
func (s *Server) take(session *session) []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(s.takePolicy(session), session.talk.take()...)
}

func (s *Server) takePolicy(session *session) []message {
	switch {
	case s.world == nil:
		return nil
	case session.stale:
		session.stale, session.inSync = false, true
		session.sent = s.world.Revision()
		return snapshotMessages(s.epoch, s.world.View(session.host))
	}
	var messages []message
	for _, d := range session.waiting {
		session.sent = d.Revision
		messages = append(messages, deltaMessage(d))
	}
	session.waiting = nil
	if !session.inSync {
		session.inSync = true
		session.sent = s.world.Revision()
		messages = append(messages, inSyncMessage(s.epoch, session.sent))
	}
	return messages
}

func snapshotMessages(epoch string, v *policy.View) []message {
	messages := []message{func() *feedpb.ServerMessage {
		return &feedpb.ServerMessage{Message: &feedpb.ServerMessage_SnapshotBegin{
			SnapshotBegin: &feedpb.SnapshotBegin{StoreEpoch: epoch},
		}}
	}}
	for _, d := range chunks(v) {
		messages = append(messages, deltaMessage(d))
	}
	return append(messages, inSyncMessage(epoch, v.Revision))
}

func deltaMessage(d *policy.Delta) message {
	return func() *feedpb.ServerMessage {
		return &feedpb.ServerMessage{Message: &feedpb.ServerMessage_Delta{Delta: encodeDelta(d)}}
	}
}

func inSyncMessage(epoch string, revision int64) message {
	return func() *feedpb.ServerMessage {
		return &feedpb.ServerMessage{Message: &feedpb.ServerMessage_InSync{
			InSync: &feedpb.InSync{Revision: revision, StoreEpoch: epoch},
		}}
	}
}

// receive takes what the host says, in its order, until the stream ends, and returns why.
func (s *Server) receive(ctx context.Context, stream grpc.BidiStreamingServer[feedpb.AgentMessage, feedpb.ServerMessage], session *session) error {
	observer, pace := observer{store: s.store, host: session.host, log: s.log}, newPace()
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := pace.wait(ctx, m); err != nil {
			return err
		}
		switch m := m.Message.(type) {
		case *feedpb.AgentMessage_Ack:
			err = s.acknowledge(session, m.Ack)
		case *feedpb.AgentMessage_Observation:
			session.reports.protection(m.Observation)
			err = observer.observe(ctx, m.Observation.GetRunning())
		case *feedpb.AgentMessage_Counters:
			s.count(session, m.Counters)
		case *feedpb.AgentMessage_FlowEvents:
			err = s.publish(session, m.FlowEvents)
		case *feedpb.AgentMessage_Answer:
			s.answered(session, m.Answer)
		default:
			err = gabion.Invalid("message", "is none that the stream knows")
		}
		if err != nil {
			return err
		}
	}
}

// acknowledge takes note of what the host enforces.
func (s *Server) acknowledge(session *session, ack *feedpb.Ack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session.host] != session {
		return errReplaced(session.host)
	}
	if ack.GetStoreEpoch() != s.epoch {
		return nil // it crossed the snapshot of another epoch on its way
	}
	if ack.GetRevision() < 0 || ack.GetRevision() > session.sent {
		return gabion.Invalid("revision", "%d was never sent", ack.GetRevision())
	}
	// Whatever the error is, the rest of the revision is in force: one bad object
	// holds up neither the others nor those who wait for them.
	signed := s.sign(session.host, ack, time.Now())
	news := s.tracker.enforce(session.host, ack.Revision)
	session.reports.status(s.tracker.enforced(session.host), ack.Error, signed)
	if news {
		s.wake()
	}
	return nil
}
