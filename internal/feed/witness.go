package feed

import (
	"context"
	"errors"
	"sync"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
)

// Witness answers for the packets of the host. Its methods may be called at the
// same time.
type Witness interface {
	// Watch says which events somebody looks at from now on. It does not block.
	Watch(d flow.Demand)
	// Ask asks the programs that are loaded about a connection, without leaving a trace.
	Ask(q flow.Question) (flow.Answer, error)
	// OpenFlows are up to limit flows that the instance has open, and whether there are more.
	OpenFlows(instance string, limit int) (open []flow.Open, more bool, err error)
}

const (
	// maxEvents is how many events wait for the stream; what comes beyond is counted.
	maxEvents = 1024
	// maxCounters is how many counters one message carries.
	maxCounters = 5000
	// maxAsks is how many questions the host works on at once.
	maxAsks = 8
)

// Count says what the host counts: all its counters, each time, of which those that
// have changed are sent. It never blocks.
// What it is given is not changed any more.
func (c *Client) Count(counts flow.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts.All = true
	c.counts = counts
	if c.stream != nil {
		c.stream.testimony.count(counts)
	}
}

// Tell says what happened to a packet, and how many events of that instance were
// lost before it. It never blocks; without a stream nobody hears it.
func (c *Client) Tell(e flow.Event, lost uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream != nil {
		c.stream.testimony.tell(e, lost)
	}
}

// enforced is the revision that was acknowledged last.
func (c *Client) enforced() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked.Revision
}

// testimony is what the host has to say of packets, bounded. It takes from any goroutine.
type testimony struct {
	signal func()

	mu      sync.Mutex
	asked   bool        // the server knows of this, and wants it
	all     bool        // nothing was counted on this stream yet
	counted flow.Counts // newest
	rules   map[string]flow.RuleCount
	drops   map[dropName]flow.DropCount // what of them the server knows
	demand  flow.Demand
	events  []*feedpb.FlowEvent
	lost    map[string]uint64 // by instance
	answers []*feedpb.Answer
	asks    chan struct{} // holds one element for each question at work
}

type dropName struct {
	instance, iface string
	reason          uint8
}

func newTestimony(signal func()) *testimony {
	return &testimony{
		signal: signal, all: true, rules: map[string]flow.RuleCount{}, drops: map[dropName]flow.DropCount{},
		lost: map[string]uint64{}, asks: make(chan struct{}, maxAsks),
	}
}

func (t *testimony) count(c flow.Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted = c
	t.signal()
}

func (t *testimony) watch(d flow.Demand) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.demand = true, d
	if d == flow.None {
		t.events = nil
		clear(t.lost)
	}
	t.signal()
}

func (t *testimony) tell(e flow.Event, lost uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.demand == flow.None {
		return
	}
	if lost > 0 {
		t.lost[e.Instance.ID] += lost
	}
	if len(t.events) < maxEvents {
		t.events = append(t.events, encodeEvent(&e))
	} else {
		t.lost[e.Instance.ID]++
	}
	t.signal()
}

func (t *testimony) answer(a *feedpb.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers = append(t.answers, a)
	t.signal()
}

// take is what there is to say, answers first: somebody waits for them.
func (t *testimony) take() []*feedpb.AgentMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.asked {
		return nil
	}
	var messages []*feedpb.AgentMessage
	for _, a := range t.answers {
		messages = append(messages, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Answer{Answer: a}})
	}
	t.answers = nil
	if len(t.events)+len(t.lost) > 0 {
		told := &feedpb.FlowEvents{Events: t.events, Lost: t.lost}
		messages = append(messages, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_FlowEvents{FlowEvents: told}})
		t.events, t.lost = nil, map[string]uint64{}
	}
	for _, c := range t.news() {
		messages = append(messages, &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: c}})
	}
	return messages
}

// news is which counters have changed since they were sent on this stream.
func (t *testimony) news() []*feedpb.Counters {
	if !t.counted.All {
		return nil // nothing was counted since
	}
	var all []*feedpb.Counters
	part := func() *feedpb.Counters {
		if n := len(all); n == 0 || len(all[n-1].Rules)+len(all[n-1].Drops) == maxCounters {
			all = append(all, &feedpb.Counters{All: t.all})
		}
		return all[len(all)-1]
	}
	rules, drops := make(map[string]flow.RuleCount, len(t.rules)), make(map[dropName]flow.DropCount, len(t.drops))
	for _, r := range t.counted.Rules {
		rules[r.Rule] = r
		if t.rules[r.Rule] != r {
			c := part()
			c.Rules = append(c.Rules, encodeRuleCount(r))
		}
	}
	for _, d := range t.counted.Drops {
		name := dropName{d.Instance, d.Interface, uint8(d.Reason)}
		drops[name] = d
		if t.drops[name] != d {
			c := part()
			c.Drops = append(c.Drops, encodeDropCount(d))
		}
	}
	t.rules, t.drops, t.counted, t.all = rules, drops, flow.Counts{}, false
	return all
}

// ask has a question answered, beside what else the stream brings.
func (s *stream) ask(ctx context.Context, m *feedpb.Ask) {
	select {
	case s.testimony.asks <- struct{}{}:
	default:
		s.testimony.answer(&feedpb.Answer{Id: m.GetId(), Error: "the host is asked too much at once; ask again"})
		return
	}
	go func() {
		defer func() { <-s.testimony.asks }()
		answer, err := s.answer(m)
		if err != nil {
			answer = &feedpb.Answer{Error: err.Error()}
		}
		answer.Id = m.GetId()
		if ctx.Err() == nil {
			s.testimony.answer(answer)
		}
	}()
}

// answer says as of which revision it is: one that was enforced before it was asked.
func (s *stream) answer(m *feedpb.Ask) (*feedpb.Answer, error) {
	a := &feedpb.Answer{Revision: s.client.enforced()}
	switch m := m.GetAsk().(type) {
	case *feedpb.Ask_Question:
		q, err := decodeQuestion(m.Question)
		if err != nil {
			return nil, err
		}
		answer, err := s.client.config.Witness.Ask(q)
		a.Decision = &feedpb.Decision{Reason: uint32(answer.Reason), Rule: answer.Rule}
		return a, err
	case *feedpb.Ask_OpenFlows:
		open, more, err := s.client.config.Witness.OpenFlows(m.OpenFlows.GetInstance(), int(m.OpenFlows.GetLimit()))
		a.Flows = &feedpb.FlowList{Flows: each(open, encodeOpen), More: more}
		return a, err
	}
	return nil, errors.New("the host does not know that question; let it run a newer agent")
}

// heed takes what the server wants to see.
func (s *stream) heed(m *feedpb.Watch) {
	d := flow.Demand(min(m.GetEvents(), feedpb.Watch_ALL))
	s.testimony.watch(d)
	s.client.config.Witness.Watch(d)
}
