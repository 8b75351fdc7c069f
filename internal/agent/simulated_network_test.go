package agent_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
)

// silence is after how long a line that carries nothing is given up: what probes
// of both ends do on a real one.
const silence = 15 * time.Second

// line is one stream between a host and a server.
type line struct {
	c        *cluster
	ctx      context.Context
	cut      context.CancelCauseFunc
	up, down *cable
}

func newLine(ctx context.Context, c *cluster, host, server string) *line {
	ctx, cut := context.WithCancelCause(ctx)
	l := &line{c: c, ctx: ctx, cut: cut}
	l.up, l.down = newCable(l, host+">"+server), newCable(l, server+">"+host)
	return l
}

// cable is one direction of a line. It carries messages in order, each as long as
// the network takes.
type cable struct {
	line  *line
	name  string
	queue chan parcel

	mu     sync.Mutex
	last   time.Time     // when the newest parcel arrives
	frozen chan struct{} // closed when it carries again; nil while it does
	lose   int           // how many deltas vanish: what no network does
}

type parcel struct {
	at   time.Time
	data []byte
}

func newCable(l *line, name string) *cable {
	return &cable{line: l, name: name, queue: make(chan parcel, 64)}
}

func (w *cable) freeze(frozen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case frozen && w.frozen == nil:
		w.frozen = make(chan struct{})
	case !frozen && w.frozen != nil:
		close(w.frozen)
		w.frozen = nil
	}
}

func (w *cable) send(m proto.Message) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	if w.vanishes(m) {
		return nil
	}
	select {
	case w.queue <- parcel{w.arrival(), data}:
		return nil
	case <-w.line.ctx.Done():
		return io.EOF
	}
}

func (w *cable) loseDelta() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose++
}

func (w *cable) vanishes(m proto.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := m.(*feedpb.ServerMessage); !ok || s.GetDelta() == nil || w.lose == 0 {
		return false
	}
	w.lose--
	return true
}

// arrival is when a parcel that is sent now arrives: after what was sent earlier.
func (w *cable) arrival() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now().Add(w.line.c.draw(5*time.Millisecond, w.name))
	if !at.After(w.last) {
		at = w.last.Add(time.Microsecond)
	}
	w.last = at
	return at
}

func (w *cable) receive(m proto.Message) error {
	select {
	case p := <-w.queue:
		if err := w.travel(p); err != nil {
			return err
		}
		return proto.Unmarshal(p.data, m)
	case <-w.line.ctx.Done():
		return context.Cause(w.line.ctx)
	}
}

// travel waits until the parcel is there.
func (w *cable) travel(p parcel) error {
	wait := time.NewTimer(time.Until(p.at))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-w.line.ctx.Done():
		return context.Cause(w.line.ctx)
	}
	for {
		w.mu.Lock()
		frozen := w.frozen
		w.mu.Unlock()
		if frozen == nil {
			w.line.c.instant(w.line.ctx) // what it causes comes before what follows
			return nil
		}
		select {
		case <-frozen:
		case <-w.line.ctx.Done():
			return context.Cause(w.line.ctx)
		}
	}
}

// hostEnd is a line as the host has it.
type hostEnd struct {
	grpc.ClientStream
	*line
}

func (e hostEnd) Send(m *feedpb.AgentMessage) error { return e.up.send(m) }

func (e hostEnd) Recv() (*feedpb.ServerMessage, error) {
	m := &feedpb.ServerMessage{}
	return m, e.down.receive(m)
}

// serverEnd is a line as the server has it.
type serverEnd struct {
	grpc.ServerStream
	*line
	host string
}

func (e serverEnd) Send(m *feedpb.ServerMessage) error { return e.down.send(m) }

func (e serverEnd) Recv() (*feedpb.AgentMessage, error) {
	m := &feedpb.AgentMessage{}
	return m, e.up.receive(m)
}

// Context says who the host is, like a certificate that TLS has verified.
func (e serverEnd) Context() context.Context {
	cert := &x509.Certificate{Raw: []byte(e.host), Subject: pkix.Name{CommonName: e.host, OrganizationalUnit: []string{"host"}}}
	state := tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	return peer.NewContext(e.ctx, &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})
}

var errUnreachable = gabion.Unavailable("nobody answers there")
