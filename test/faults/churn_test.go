package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
)

// churn changes the victim's rules, in any way that lets the friend in and the others
// not. It remembers what was acknowledged.
type churn struct {
	site *site
	most int64 // changes; 0: until it is stopped

	stop    context.CancelFunc
	ended   chan struct{}
	writers []*writer

	begun   atomic.Int64
	changes atomic.Int64 // that were acknowledged
	refused atomic.Int64 // that were not
}

// writer changes the rules of one group of the victim's, which nobody else changes.
type writer struct {
	churn  *churn
	group  string
	base   []rest.AddRuleRequest // at least one of them is there, always
	random *rand.Rand

	kept   [][]string      // what the rules may be: what was acknowledged last, and what was tried since
	groups []string        // that it made
	took   []time.Duration // from each change to its answer
	errs   []error
}

// every is how often a writer changes something at most.
const every = 5 * time.Millisecond

// startChurn changes rules until it is stopped, or so many times.
func (s *site) startChurn(t *testing.T, most int64) *churn {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("rules change from seed %d", seed)
	c := &churn{site: s, most: most, ended: make(chan struct{})}
	for n, group := range churned {
		w := &writer{churn: c, group: s.groups[group], random: rand.New(rand.NewPCG(seed, uint64(n)))}
		if n == 0 {
			w.base = s.allowing()
		}
		c.writers = append(c.writers, w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	go func() {
		defer close(c.ended)
		var all sync.WaitGroup
		for _, w := range c.writers {
			all.Go(func() { w.run(ctx) })
		}
		all.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-c.ended
	})
	return c
}

// finish ends the churn, and waits until it has.
func (c *churn) finish(t *testing.T) {
	t.Helper()
	c.stop()
	c.wait(t)
}

// wait waits until all changes are made.
func (c *churn) wait(t *testing.T) {
	t.Helper()
	<-c.ended
	for _, w := range c.writers {
		for _, err := range w.errs {
			t.Errorf("a change was refused: %v", err)
		}
		w.errs = nil
	}
}

func (w *writer) run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; w.churn.most == 0 || w.churn.begun.Add(1) <= w.churn.most; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.change(context.WithoutCancel(ctx), n)
	}
}

// groupEvery is how often a change makes a group rather than rules: groups stay, so
// that old writes are looked for, too, and not the newest alone.
const groupEvery = 25

// mostGroups is how many groups a writer makes: an organization may have 1,000, and
// there are four writers.
const mostGroups = 200

// answerWithin bounds a change: one that takes longer may have been made or not.
const answerWithin = 8 * time.Second

func (w *writer) change(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	begun := time.Now()
	err := w.write(ctx, n)
	switch {
	case err == nil:
		w.churn.changes.Add(1)
		w.took = append(w.took, time.Since(begun))
	case gabion.CodeOf(err) == gabion.CodeUnavailable || errors.Is(err, context.DeadlineExceeded):
		w.churn.refused.Add(1)
	default:
		w.errs = append(w.errs, err)
	}
}

func (w *writer) write(ctx context.Context, n int) error {
	if n%groupEvery == 0 && len(w.groups) < mostGroups {
		name := fmt.Sprintf("g%d", w.random.Uint64())
		_, err := w.churn.site.client.CreateGroup(ctx, rest.CreateSecurityGroupRequest{Name: name})
		if err == nil {
			w.groups = append(w.groups, name)
		}
		return err
	}
	rules := w.pick()
	_, err := w.churn.site.client.ReplaceRules(ctx, w.group, rules)
	if err == nil {
		w.kept = nil
	}
	w.kept = append(w.kept, keysOf(rules))
	return err
}

// pick is a set of rules: one of the base or more, and any of the others.
func (w *writer) pick() []rest.AddRuleRequest {
	rules := append([]rest.AddRuleRequest{}, w.base...) // none is no rules, and not nothing said
	w.random.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
	rules = rules[:min(len(rules), 1+w.random.IntN(len(rules)+1))]
	for _, r := range w.churn.site.others() {
		if w.random.IntN(2) == 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// allowing are rules each of which lets the friend reach the service.
func (s *site) allowing() []rest.AddRuleRequest {
	friend := s.friend.Addr4.String()
	return []rest.AddRuleRequest{
		s.fromGroup("udp", servicePort, servicePort, "friends"),
		s.fromGroup("udp", 3000, 5000, "friends"),
		fromNetwork("udp", servicePort, servicePort, friend+"/32"),
		fromNetwork("udp", 1, 8191, friend+"/32"),
		s.fromGroup("udp", servicePort, servicePort+7, "friends"),
	}
}

// others are rules that let nobody reach the service, though they are about the same
// peers, ports and networks; one closes the victim's egress but for its answers' way.
func (s *site) others() []rest.AddRuleRequest {
	stranger := s.stranger.Addr4.String()
	egress := fromNetwork("udp", flowPort, flowPort, s.friend.Addr4.String()+"/32")
	egress.FlowDirection = rest.FlowDirectionEgress
	return []rest.AddRuleRequest{
		egress,
		s.fromGroup("udp", servicePort+1, 5000, "strangers"),
		s.fromGroup("tcp", servicePort, servicePort, "strangers"),
		s.fromGroup("udp", 5000, 9998, "friends"),
		fromNetwork("udp", 1, servicePort-1, "0.0.0.0/0"),
		fromNetwork("udp", servicePort+1, closedPort-1, stranger+"/32"),
		fromNetwork("tcp", 1, webPort-1, "10.77.0.0/24"),
		fromNetwork("udp", servicePort, servicePort, "203.0.113.0/24"),
		fromNetwork("udp", 10000, 65535, "10.0.0.0/8"),
		s.fromGroup("udp", servicePort, servicePort, "extra"),
	}
}

func (s *site) fromGroup(protocol string, start, end int, group string) rest.AddRuleRequest {
	return rest.AddRuleRequest{
		FlowDirection: rest.FlowDirectionIngress, Protocol: rest.Protocol(protocol), StartPort: &start, EndPort: &end,
		SecurityGroup: &rest.PeerGroupRequest{ID: s.groups[group]},
	}
}

func fromNetwork(protocol string, start, end int, network string) rest.AddRuleRequest {
	return rest.AddRuleRequest{
		FlowDirection: rest.FlowDirectionIngress, Protocol: rest.Protocol(protocol), StartPort: &start, EndPort: &end,
		Network: network,
	}
}

// keysOf tells rules apart, in an order of their own.
func keysOf(rules []rest.AddRuleRequest) []string {
	var keys []string
	for _, r := range rules {
		peer := r.Network
		if r.SecurityGroup != nil {
			peer = r.SecurityGroup.ID
		}
		keys = append(keys, fmt.Sprint(r.FlowDirection, r.Protocol, *r.StartPort, "-", *r.EndPort, peer))
	}
	slices.Sort(keys)
	return keys
}

func storedKeys(rules []rest.SecurityGroupRule) []string {
	var keys []string
	for _, r := range rules {
		peer := r.Network
		if r.SecurityGroup != nil {
			peer = r.SecurityGroup.ID
		}
		keys = append(keys, fmt.Sprint(r.FlowDirection, r.Protocol, r.StartPort, "-", r.EndPort, peer))
	}
	slices.Sort(keys)
	return keys
}
