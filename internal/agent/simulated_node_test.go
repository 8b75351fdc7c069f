package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// kernel is what enforces on a simulated host. It outlives the agent. How a step
// from one policy to another is made of single writes is proven elsewhere; here a
// step is either made or not.
type kernel struct {
	c    *cluster
	host string
	dir  string // of the agent's state

	mu       sync.Mutex
	epoch    int
	revision int64 // 0: nothing was ever enforced
	policy   string
	failing  bool
	slow     time.Duration
}

var errKernel = errors.New("the kernel refuses")

// Apply takes its time. An agent that dies meanwhile leaves either policy.
func (k *kernel) Apply(ctx context.Context, v *policy.View, _ map[string]int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k.mu.Lock()
	slow, failing := k.slow, k.failing
	k.mu.Unlock()
	text, revision := render(v), v.Revision
	if k.c.pause(ctx, 10*time.Millisecond+slow, k.host, "apply"); ctx.Err() != nil {
		if k.c.draw(2, k.host, "half-way") == 0 {
			k.enforce(revision, text)
		}
		return ctx.Err()
	}
	if failing {
		return errKernel
	}
	k.enforce(revision, text)
	return nil
}

// Audit finds nothing: nobody else touches a simulated kernel.
func (k *kernel) Audit() ([]string, error) { return nil, nil }

// enforce holds the policy against the history: it is the one that the store had at
// that revision, and no older one than was enforced before.
func (k *kernel) enforce(revision int64, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	epoch := k.c.store.chapterOf(k.epochOnDisk())
	if epoch == k.epoch && revision < k.revision && text == k.policy {
		return // the state file is not written anew for a revision that changed nothing
	}
	if epoch < k.epoch || epoch == k.epoch && revision < k.revision {
		k.c.violated("%s goes back from epoch %d revision %d to epoch %d revision %d", k.host, k.epoch+1, k.revision, epoch+1, revision)
		return
	}
	if want := k.c.store.at(epoch, k.host, revision); text != want {
		k.c.violated("%s enforces at revision %d what the store did not have:\n%s\ninstead of:\n%s", k.host, revision, text, want)
	}
	if k.policy != text {
		k.c.note("%s enforces epoch %d revision %d", k.host, epoch+1, revision)
	}
	k.epoch, k.revision, k.policy = epoch, revision, text
}

// epochOnDisk is the epoch of the state file. An agent writes its policy down before
// it enforces it.
func (k *kernel) epochOnDisk() string {
	data, err := os.ReadFile(filepath.Join(k.dir, "policy.pb"))
	if err != nil {
		return ""
	}
	state, err := feed.DecodeState(k.host, data)
	if err != nil {
		return ""
	}
	return state.Epoch
}

// holds tells whether the host enforces the revision of the epoch, or a newer one.
func (k *kernel) holds(epoch int, revision int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epoch > epoch || k.epoch == epoch && k.revision >= revision
}

func (k *kernel) set(change func(*kernel)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

// node is a simulated host: its kernel, and an agent that comes and goes.
type node struct {
	c      *cluster
	name   string
	dir    string // of the agent's state
	kernel *kernel
	host   *host // what the hypervisor tells of interfaces

	mu     sync.Mutex
	line   *line // nil if there is none
	frozen [2]bool
	away   bool // the network refuses at once

	stop func() // nil while there is no agent
}

// relay lets the enforcer tell a client that is made after it.
type relay struct{ *feed.Client }

// start starts an agent on what the last one left.
func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	server := &relay{}
	enforcer, _ := agent.NewEnforcer(n.name, n.dir, n.kernel, n.host, server) // without a state file it begins with nothing
	server.Client = feed.NewClient(feed.ClientConfig{
		Identity: &pki.Identity{Host: n.name},
		Held:     enforcer.Held(),
		Receiver: enforcer,
		Log:      slog.New(slog.DiscardHandler),
		Open:     n.open,
		Jitter:   func(most time.Duration) time.Duration { return n.c.draw(most, n.name, "jitter") },
	})
	var parts sync.WaitGroup
	parts.Go(func() { _ = enforcer.Run(ctx) })
	parts.Go(func() { _ = server.Run(ctx) })
	links, _ := n.host.Links()
	enforcer.Links(links)
	n.stop = func() {
		cancel()
		parts.Wait()
		n.stop = nil
	}
}

// open opens a stream to one of the servers that are there.
func (n *node) open(ctx context.Context) (grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage], error) {
	n.c.pause(ctx, 10*time.Millisecond, n.name, "open")
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.c.anyServer(n.name)
	if n.away || s == nil {
		return nil, errUnreachable
	}
	n.line = s.accept(ctx, n.name)
	if n.line == nil {
		return nil, errUnreachable
	}
	n.line.up.freeze(n.frozen[0])
	n.line.down.freeze(n.frozen[1])
	return hostEnd{line: n.line}, nil
}

// cut ends the line; while the host is away no other comes.
func (n *node) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.line != nil {
		n.line.cut(errUnreachable)
	}
}

func (n *node) setAway(away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = away
}

// loseDelta lets the line lose a message without a word.
func (n *node) loseDelta() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.line != nil {
		n.line.down.loseDelta()
	}
}

// freeze lets the network carry nothing up or down; both ends find out after a
// silence.
func (n *node) freeze(up, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = [2]bool{up, down}
	if n.line == nil {
		return
	}
	n.line.up.freeze(up)
	n.line.down.freeze(down)
	if l := n.line; up || down {
		go func() {
			timer := time.NewTimer(silence)
			defer timer.Stop()
			select {
			case <-timer.C:
				l.cut(errUnreachable)
			case <-l.ctx.Done():
			}
		}()
	}
}

// controller is a simulated server, which comes and goes.
type controller struct {
	c     *cluster
	name  string
	store *replica

	mu    sync.Mutex
	feed  *feed.Server // nil while it is down
	ctx   context.Context
	crash func()
	done  chan struct{}
}

func (s *controller) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.crash = context.WithCancel(context.Background())
	s.feed, s.done = feed.NewServer(s.store, nil, slog.New(slog.DiscardHandler)), make(chan struct{})
	go func(ctx context.Context, f *feed.Server, done chan struct{}) {
		defer close(done)
		_ = f.Run(ctx)
	}(s.ctx, s.feed, s.done)
}

// kill ends it with all its lines.
func (s *controller) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed == nil {
		return
	}
	s.feed = nil
	s.crash()
	<-s.done
}

func (s *controller) current() *feed.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feed
}

// accept serves a new line of the host; nil while the server is down.
func (s *controller) accept(ctx context.Context, host string) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed == nil {
		return nil
	}
	l := newLine(ctx, s.c, host, s.name)
	stop := context.AfterFunc(s.ctx, func() { l.cut(errUnreachable) })
	go func(f *feed.Server) {
		defer stop()
		err := f.Sync(serverEnd{line: l, host: host})
		if err == nil {
			err = errUnreachable
		}
		l.cut(err)
	}(s.feed)
	return l
}
