package feed

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// Position is a point of a store's history.
type Position struct {
	Epoch    string
	Revision int64
}

// Protection is how a host's bridges of instances are protected.
type Protection struct {
	Remedies         []string // BRIDGE=REMEDY: what keeps new interfaces of instances closed until they are filtered
	UnprotectedPorts []string // that nothing filters
	Drifts           int64    // how often something else had changed what is enforced
}

func (p Protection) equal(other Protection) bool {
	return slices.Equal(p.Remedies, other.Remedies) && slices.Equal(p.UnprotectedPorts, other.UnprotectedPorts) && p.Drifts == other.Drifts
}

// Receiver is told what the host's policy is, in order and one call at a time. It
// may block: the server then holds back. What it is given is not changed any more.
type Receiver interface {
	// Replace says that this is the whole view from now on.
	Replace(epoch string, v *policy.View)
	// Change says what is different, maybe nothing but the revision.
	Change(d *policy.Delta)
}

// ClientConfig is what the host's end stands on.
type ClientConfig struct {
	Servers  []string // host:port of each; they serve the same
	Version  string   // of the agent
	Identity *pki.Identity
	// Held is the position of the view that the host starts with; zero if it has none.
	Held     Position
	Receiver Receiver
	Witness  Witness // nil: the host tells nothing of packets
	Programs string  // tags of the programs that are loaded
	// SaveIdentity keeps a renewed identity for the next start.
	SaveIdentity func(*pki.Identity) error
	Log          *slog.Logger

	// Open opens a stream; nil is over mutual TLS, to one of Servers.
	Open func(ctx context.Context) (grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage], error)
	// Jitter draws a delay below most; nil is at random.
	Jitter func(most time.Duration) time.Duration
	looks  time.Duration // between two looks for a better server; 0 is lookEvery
}

// Delays between attempts to reach a server: the first is short, each further one
// up to twice as long, and all are random, so that hosts that lost their server
// together do not come back together.
const (
	firstDelay = 200 * time.Millisecond
	lastDelay  = 10 * time.Second
)

// Client is the host's end of the stream.
type Client struct {
	config      ClientConfig
	incarnation string
	servers     []string // in the order in which the host prefers them

	mu       sync.Mutex
	identity *pki.Identity
	stream   *stream // nil while there is none
	running  map[string]bool
	shield   Protection
	counts   flow.Counts
	acked    Position
	digest   []byte // of the view that the next ack is about

	held Position // of Run's goroutine
	at   int      // which of servers; Run's goroutine writes it while there is no stream
}

// NewClient is the host's end; Run connects it.
func NewClient(c ClientConfig) *Client {
	if c.looks == 0 {
		c.looks = lookEvery
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	return &Client{
		config: c, incarnation: uuid.NewString(), identity: c.Identity, held: c.Held,
		servers: Preferred(c.Identity.Host, c.Servers),
	}
}

func (c *Client) String() string { return "feed" }

// Run keeps a stream to one of the servers until ctx ends. Servers that are away
// are tried for ever: the host enforces what it has.
func (c *Client) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		inSync, err := c.connectOnce(ctx)
		if ctx.Err() != nil {
			break
		}
		if inSync {
			failures = 0
		}
		if better := (moved{}); errors.As(err, &better) {
			c.at = better.to
			continue
		}
		if failures == 0 {
			c.config.Log.Warn("no stream from the server; the policy in force stays", "server", c.server(), "error", err)
		}
		rounds := failures
		if len(c.servers) > 0 {
			rounds, c.at = failures/len(c.servers), (c.at+1)%len(c.servers)
		}
		sleep(ctx, delay(rounds, c.config.Jitter))
		failures++
	}
	return nil
}

// server is the one that the host is at; none if somebody else opens its streams.
func (c *Client) server() string {
	if len(c.servers) == 0 {
		return ""
	}
	return c.servers[c.at]
}

func delay(failures int, jitter func(most time.Duration) time.Duration) time.Duration {
	most := lastDelay
	if failures < 6 {
		most = min(most, firstDelay<<failures)
	}
	return most/2 + jitter(most/2)
}

// connectOnce holds one stream until it ends, and tells whether it ever was in sync.
func (c *Client) connectOnce(ctx context.Context) (inSync bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.config.Open != nil {
		rpc, err := c.config.Open(ctx)
		if err != nil {
			return false, err
		}
		return c.hold(ctx, rpc)
	}
	conn, err := connect(c.server(), c.currentIdentity().TLS())
	if err != nil {
		return false, err
	}
	defer conn.close()
	rpc, err := conn.Sync(ctx)
	if err != nil {
		return false, conn.explain(err)
	}
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		c.look(ctx, conn, cancel)
	}()
	inSync, err = c.hold(ctx, rpc)
	if better := (moved{}); errors.As(context.Cause(ctx), &better) {
		err = better
	}
	cancel(nil)
	<-looking // it reads where the host is
	return inSync, conn.explain(err)
}

// hold is in the stream until it ends.
func (c *Client) hold(ctx context.Context, rpc grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]) (inSync bool, err error) {
	s := newStream(c, rpc)
	defer c.attach(nil)
	if c.config.Witness != nil {
		defer c.config.Witness.Watch(flow.None)
	}
	err = s.run(ctx)
	return s.inSync, err
}

// attach lets the stream be the one that acks and observations go to.
func (c *Client) attach(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = s
	if s != nil {
		s.out.observe(c.running)
		s.testimony.count(c.counts)
		s.out.protect(c.shield)
	}
}

func (c *Client) currentIdentity() *pki.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity
}

// Ack says that the host enforces its policy as of the position, and what of it,
// or of a newer one, it could not enforce. It never blocks; while there is no
// stream it is dropped, since the next one asks anew.
func (c *Client) Ack(at Position, problem error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = at
	if c.stream != nil {
		c.stream.out.acknowledge(at, problem, c.digest, c.config.Programs)
	}
}

// Certify says what the digest of the view is that the next acks are about.
func (c *Client) Certify(digest []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digest = digest
}

// Observe says which of all the host's instances run. The server hears it before
// any later ack. It never blocks. The map is not changed any more.
func (c *Client) Observe(running map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = running
	if c.stream != nil {
		c.stream.out.observe(running)
	}
}

// Protect says how the host's bridges are protected. Like Observe, it never blocks,
// and what it is given is not changed any more.
func (c *Client) Protect(p Protection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shield = p
	if c.stream != nil {
		c.stream.out.protect(p)
	}
}

// Connected tells whether there is a stream that is in sync.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream != nil
}
