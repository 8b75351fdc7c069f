package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"google.golang.org/grpc"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// stream is one stream to a server, at the host's end. It belongs to one
// goroutine but for out.
type stream struct {
	client *Client
	rpc    grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]
	out    *outbox

	testimony *testimony

	inSync   bool
	epoch    string       // of the snapshot that is arriving
	snapshot *policy.View // what has arrived of it; nil if none is arriving
}

func newStream(c *Client, rpc grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]) *stream {
	out := newOutbox()
	out.testimony = newTestimony(out.signal)
	return &stream{client: c, rpc: rpc, out: out, testimony: out.testimony}
}

// run says hello and takes what comes until the stream ends. After a message that
// makes no sense nothing that the host holds is relied on: the next stream begins
// with a snapshot. What is enforced stays.
func (s *stream) run(ctx context.Context) error {
	if err := s.hello(); err != nil {
		return err
	}
	for {
		m, err := s.rpc.Recv()
		if err != nil {
			return err
		}
		if err := s.take(ctx, m); err != nil {
			s.client.held = Position{}
			return fmt.Errorf("refuse message of the server: %w", err)
		}
	}
}

func (s *stream) hello() error {
	held := s.client.held
	return s.rpc.Send(&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Hello{Hello: &feedpb.Hello{
		Version:     s.client.config.Version,
		Incarnation: s.client.incarnation,
		StoreEpoch:  held.Epoch,
		Revision:    held.Revision,
		Tells:       s.client.config.Witness != nil,
	}}})
}

func (s *stream) take(ctx context.Context, m *feedpb.ServerMessage) error {
	switch m := m.GetMessage().(type) {
	case *feedpb.ServerMessage_SnapshotBegin:
		s.epoch, s.snapshot = m.SnapshotBegin.GetStoreEpoch(), policy.NewView()
		return nil
	case *feedpb.ServerMessage_Delta:
		return s.delta(m.Delta)
	case *feedpb.ServerMessage_InSync:
		return s.sync(ctx, m.InSync)
	case *feedpb.ServerMessage_Watch:
		s.heed(m.Watch)
		return nil
	case *feedpb.ServerMessage_Ask:
		s.ask(ctx, m.Ask)
		return nil
	}
	return errors.New("it is of no known kind")
}

func (s *stream) delta(m *feedpb.Delta) error {
	d, err := decodeDelta(s.client.config.Identity.Host, m)
	if err != nil {
		return err
	}
	if s.snapshot != nil {
		s.snapshot.Apply(d)
		return nil
	}
	return s.change(d)
}

// change passes on a delta to what the host holds.
func (s *stream) change(d *policy.Delta) error {
	held := &s.client.held
	if held.Epoch == "" {
		return errors.New("a change of nothing")
	}
	if d.Revision < held.Revision || d.Revision == held.Revision && !d.IsEmpty() {
		return fmt.Errorf("revision %d comes after revision %d", d.Revision, held.Revision)
	}
	held.Revision = d.Revision
	s.out.forget(d)
	s.client.config.Receiver.Change(d)
	return nil
}

// sync ends a snapshot, or says that what the host holds is current.
func (s *stream) sync(ctx context.Context, m *feedpb.InSync) error {
	c := s.client
	switch {
	case m.GetRevision() <= 0 || m.GetStoreEpoch() == "":
		return errors.New("in sync with nothing")
	case s.snapshot != nil && m.StoreEpoch != s.epoch, s.snapshot == nil && m.StoreEpoch != c.held.Epoch:
		return errors.New("in sync with another epoch")
	}
	s.begin(ctx, m.StoreEpoch)
	if s.snapshot == nil {
		return s.change(&policy.Delta{Revision: m.Revision})
	}
	v := s.snapshot
	v.Revision, s.snapshot = m.Revision, nil
	c.held = Position{Epoch: m.StoreEpoch, Revision: m.Revision}
	c.config.Receiver.Replace(m.StoreEpoch, v)
	return nil
}

// begin lets acks and observations through. They wait for the first sync, which
// says what epoch they have to be of.
func (s *stream) begin(ctx context.Context, epoch string) {
	s.out.begin(epoch)
	if s.inSync {
		return
	}
	s.inSync = true
	s.client.config.Log.Info("in sync with the server", "server", s.client.server())
	s.client.attach(s)
	go s.out.run(ctx, s.rpc.Send)
}

// outbox is what the host has to say: the newest of each kind, so that it never
// grows. It takes from any goroutine.
type outbox struct {
	news chan struct{} // holds one element when there is something to say

	testimony *testimony

	mu    sync.Mutex
	epoch string
	ack   *feedpb.Ack
	seen  map[string]bool // newest observation
	said  map[string]bool // what of it the server knows

	shield Protection // newest
	told   Protection // what the server knows; of a new session nothing
}

func newOutbox() *outbox { return &outbox{news: make(chan struct{}, 1)} }

func (o *outbox) begin(epoch string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epoch, o.ack, o.said, o.told = epoch, nil, nil, Protection{}
}

func (o *outbox) acknowledge(at Position, problem error, digest []byte, programs string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at.Epoch != o.epoch {
		return
	}
	o.ack = &feedpb.Ack{Revision: at.Revision, StoreEpoch: at.Epoch, PolicyDigest: digest, ProgramDigest: programs}
	if problem != nil {
		o.ack.Error = problem.Error()
	}
	o.signal()
}

func (o *outbox) observe(running map[string]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = running
	o.signal()
}

func (o *outbox) protect(p Protection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shield = p
	o.signal()
}

// forget makes that what is seen of the delta's instances is said again: one that
// has moved away, and maybe back, is a stranger to the server.
func (o *outbox) forget(d *policy.Delta) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said = maps.Clone(o.said) // it may be what was seen last, too
	for _, i := range d.Instances {
		delete(o.said, i.ID)
	}
	for _, id := range d.GoneInstances {
		delete(o.said, id)
	}
}

func (o *outbox) signal() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// run sends until ctx ends or the stream fails, which its receiving side reports.
func (o *outbox) run(ctx context.Context, send func(*feedpb.AgentMessage) error) {
	for {
		select {
		case <-o.news:
		case <-ctx.Done():
			return
		}
		for _, m := range append(o.take(), o.testimony.take()...) {
			if send(m) != nil {
				return
			}
		}
	}
}

// take is what there is to say, in the order that the server hears it: what was
// observed with a revision comes before its ack.
func (o *outbox) take() []*feedpb.AgentMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	var messages []*feedpb.AgentMessage
	if news := difference(o.said, o.seen); len(news) > 0 || !o.told.equal(o.shield) {
		messages = append(messages, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Observation{
			Observation: &feedpb.Observation{
				Running: news, Remedies: o.shield.Remedies, UnprotectedPorts: o.shield.UnprotectedPorts, Drifts: o.shield.Drifts,
			},
		}})
	}
	o.said, o.told = o.seen, o.shield
	if o.ack != nil {
		messages = append(messages, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Ack{Ack: o.ack}})
		o.ack = nil
	}
	return messages
}

// difference is what is in b and not the same in a.
func difference(a, b map[string]bool) map[string]bool {
	news := map[string]bool{}
	for id, running := range b {
		if was, known := a[id]; !known || was != running {
			news[id] = running
		}
	}
	return news
}
