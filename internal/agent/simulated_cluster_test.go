package agent_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// cluster is a whole installation in one process, on a simulated clock, network
// and store: the real server core, stream and agents' loop, two servers and some
// hosts. Everything that happens to it comes out of one seed.
type cluster struct {
	seed    uint64
	rng     *rand.Rand // of the script alone
	store   *history
	servers []*controller
	nodes   []*node
	started time.Time
	asked   sync.WaitGroup // whoever waits for an operation

	mu         sync.Mutex
	story      []string
	violations []string
}

// outcome is what a run leaves behind.
type outcome struct {
	story      []string
	violations []string
	revisions  int64
	asked      int // operations that succeeded
}

// runCluster plays a seed, in a bubble of synctest. In a sly one links lose messages
// without a word, which no network does.
func runCluster(dir string, seed uint64, sly bool) outcome {
	c := newCluster(dir, seed)
	p := &script{cluster: c}
	p.build()
	next := time.Now()
	for step := range 120 {
		next = next.Add(time.Duration(c.rng.Int64N(int64(400 * time.Millisecond))))
		time.Sleep(time.Until(next)) // whatever the last act took
		p.act()
		if sly && step%20 == 10 {
			p.node().loseDelta()
		}
	}
	c.heal()
	c.settle()
	c.asked.Wait()
	c.stop()
	_, revision := c.store.newest()
	slices.Sort(c.story) // what happens at one instant has no order
	return outcome{c.story, c.violations, revision, p.succeeded}
}

func newCluster(dir string, seed uint64) *cluster {
	c := &cluster{seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), started: time.Now()}
	names := []string{"hv1", "hv2", "hv3", "hv4"}[:2+c.rng.IntN(3)]
	c.store = newHistory(names)
	for _, name := range []string{"server1", "server2"} {
		s := &controller{c: c, name: name, store: &replica{history: c.store, c: c, name: name}}
		s.start()
		c.servers = append(c.servers, s)
	}
	for _, name := range names {
		state := stateDir(dir, name)
		c.nodes = append(c.nodes, &node{
			c: c, name: name, dir: state, kernel: &kernel{c: c, host: name, dir: state}, host: newHost(),
		})
	}
	return c
}

func stateDir(dir, name string) string {
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		panic(err) // a fresh directory of the test takes it
	}
	return path
}

// draw is a time below most that depends on the seed, the instant and what it is
// for, and on nothing else: not on who comes first in an instant.
func (c *cluster) draw(most time.Duration, about ...string) time.Duration {
	if most <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprint(h, c.seed, time.Since(c.started), about)
	return time.Duration(rand.New(rand.NewPCG(h.Sum64(), c.seed)).Int64N(int64(most)))
}

// pause lasts a drawn time, or until ctx ends.
func (c *cluster) pause(ctx context.Context, most time.Duration, about ...string) {
	timer := time.NewTimer(c.draw(most, about...))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// instant lets everything happen that is due, or ends with ctx.
func (c *cluster) instant(ctx context.Context) {
	timer := time.NewTimer(time.Microsecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// note writes down what happened.
func (c *cluster) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.story = append(c.story, fmt.Sprintf("%12.6f ", time.Since(c.started).Seconds())+fmt.Sprintf(format, args...))
}

// violated writes down that what has to hold does not.
func (c *cluster) violated(format string, args ...any) {
	c.note("VIOLATED: "+format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.violations = append(c.violations, fmt.Sprintf(format, args...))
}

// anyServer is a server that is there, as something before them would choose it.
func (c *cluster) anyServer(about string) *controller {
	up := slices.DeleteFunc(slices.Clone(c.servers), func(s *controller) bool { return s.current() == nil })
	if len(up) == 0 {
		return nil
	}
	return up[c.draw(time.Duration(len(up)), about, "server")]
}

// heal ends all faults, and starts what is down.
func (c *cluster) heal() {
	c.note("everything heals")
	for _, s := range c.servers {
		s.store.setAway(false)
		s.store.setSlow(0)
		if s.current() == nil {
			s.start()
		}
	}
	for _, n := range c.nodes {
		n.freeze(false, false)
		n.setAway(false)
		n.kernel.set(func(k *kernel) { k.failing, k.slow = false, 0 })
		if n.stop == nil {
			n.start()
		}
	}
}

// settle gives everybody a minute, and holds what is enforced against the store.
func (c *cluster) settle() {
	time.Sleep(time.Minute)
	epoch, revision := c.store.newest()
	for _, n := range c.nodes {
		n.kernel.mu.Lock()
		enforced := n.kernel.policy
		n.kernel.mu.Unlock()
		if want := c.store.at(epoch, n.name, revision); enforced != want {
			c.violated("%s did not converge: it enforces\n%s\ninstead of\n%s", n.name, enforced, want)
		}
	}
	for _, s := range c.servers {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if missing := s.current().Await(ctx, revision); len(missing) > 0 {
			c.violated("%s still waits for %v", s.name, missing)
		}
		cancel()
	}
}

func (c *cluster) stop() {
	for _, n := range c.nodes {
		if n.stop != nil {
			n.stop()
		}
	}
	for _, s := range c.servers {
		s.kill()
	}
	synctest.Wait()
}

// playSeed plays a seed in a bubble of its own.
func playSeed(t *testing.T, seed uint64, sly bool) (o outcome) {
	dir := t.TempDir()
	synctest.Test(t, func(*testing.T) { o = runCluster(dir, seed, sly) })
	return o
}
