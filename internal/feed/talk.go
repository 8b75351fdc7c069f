package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
)

// askTimeout is how long a host may take to answer.
const askTimeout = 2 * time.Second

// talk is what the server and one host have to say to each other beside policy. It
// is guarded by the server's lock.
type talk struct {
	tells   bool // the host understands
	told    bool // what to watch, at least once
	demand  flow.Demand
	asks    []*feedpb.Ask       // to be sent
	waiting map[uint64]question // by id
}

// question is one that somebody waits for an answer to.
type question struct {
	organization string
	answer       chan *feedpb.Answer
}

// maxAsksOfOne is how many questions of one organization a host works on at once: it
// must not keep others from theirs.
const maxAsksOfOne = maxAsks / 2

func newTalk(hello *feedpb.Hello) *talk {
	return &talk{tells: hello.GetTells(), waiting: map[uint64]question{}}
}

// want notes what to watch, and tells whether the host has to hear of it.
func (t *talk) want(d flow.Demand) bool {
	if !t.tells || t.told && t.demand == d {
		return false
	}
	t.demand, t.told = d, false
	return true
}

// take is what is to be sent now.
func (t *talk) take() []message {
	var messages []message
	if t.tells && !t.told {
		t.told = true
		watch := &feedpb.Watch{Events: feedpb.Watch_Events(t.demand)}
		messages = append(messages, func() *feedpb.ServerMessage {
			return &feedpb.ServerMessage{Message: &feedpb.ServerMessage_Watch{Watch: watch}}
		})
	}
	for _, ask := range t.asks {
		messages = append(messages, func() *feedpb.ServerMessage {
			return &feedpb.ServerMessage{Message: &feedpb.ServerMessage_Ask{Ask: ask}}
		})
	}
	t.asks = nil
	return messages
}

// put sends a question to the host, and returns where the answer comes.
func (s *Server) put(host string, ask *feedpb.Ask) (answer chan *feedpb.Answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, organization := s.sessions[host], s.organizationAsking(ask)
	switch {
	case session == nil:
		return nil, fmt.Errorf("host %s has no stream to this server", host)
	case !session.talk.tells:
		return nil, fmt.Errorf("the agent of host %s is too old to be asked; upgrade it", host)
	case !session.talk.hasRoom(organization):
		return nil, fmt.Errorf("host %s is asked too much at once; ask again", host)
	}
	s.lastAsk++
	ask.Id = s.lastAsk
	answer = make(chan *feedpb.Answer, 1)
	session.talk.waiting[ask.Id] = question{organization, answer}
	session.talk.asks = append(session.talk.asks, ask)
	session.signal()
	return answer, nil
}

// hasRoom tells whether the host may be asked one more question of the organization.
func (t *talk) hasRoom(organization string) bool {
	of := 0
	for _, q := range t.waiting {
		if q.organization == organization {
			of++
		}
	}
	return len(t.waiting) < maxAsks && of < maxAsksOfOne
}

// organizationAsking is that of the instance that is asked about. It runs with the lock
// held.
func (s *Server) organizationAsking(ask *feedpb.Ask) string {
	id := ask.GetOpenFlows().GetInstance()
	if q := ask.GetQuestion(); q != nil {
		id = q.Instance
	}
	if s.world != nil && s.world.Instance(id) != nil {
		return s.world.Instance(id).Organization
	}
	return ""
}

// withdraw waits for an answer no longer.
func (s *Server) withdraw(host string, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.sessions[host]; session != nil {
		delete(session.talk.waiting, id)
	}
}

// ask asks a host and waits for its answer.
func (s *Server) ask(ctx context.Context, host string, ask *feedpb.Ask) (*feedpb.Answer, error) {
	answers, err := s.put(host, ask)
	if err != nil {
		return nil, err
	}
	defer s.withdraw(host, ask.Id)
	select {
	case answer := <-answers:
		if answer.GetError() != "" {
			return nil, errors.New(clip(answer.Error))
		}
		return answer, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("host %s did not answer in time", host)
	}
}

// answered hands an answer to who waits for it. One that nobody waits for came late.
func (s *Server) answered(session *session, answer *feedpb.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, waits := session.talk.waiting[answer.GetId()]; waits {
		delete(session.talk.waiting, answer.GetId())
		q.answer <- answer
	}
}

// lookAgain is how long to wait before a host is asked again that was behind.
const lookAgain = 100 * time.Millisecond

// AskLoaded asks the programs at the instance's host. It compares their answer with
// decide's, which is called when the host enforces all that concerns it: a host
// that is about to get a change is no alarm.
func (s *Server) AskLoaded(ctx context.Context, host string, q flow.Question, decide func() gabion.Reason) flow.Loaded {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for {
		answer, err := s.ask(ctx, host, &feedpb.Ask{Ask: &feedpb.Ask_Question{Question: encodeQuestion(q)}})
		if err != nil {
			return flow.Loaded{Unavailable: err.Error()}
		}
		d := answer.GetDecision()
		loaded := flow.Loaded{Answer: flow.Answer{Reason: gabion.Reason(d.GetReason()), Rule: clip(d.GetRule())}}
		reason := decide()
		if s.hasAll(host, answer.GetRevision()) {
			loaded.Agrees = loaded.Reason == reason
			s.alarm(host, q, loaded, reason)
			return loaded
		}
		sleep(ctx, lookAgain)
		if ctx.Err() != nil {
			return flow.Loaded{Unavailable: fmt.Sprintf("host %s does not enforce the newest policy yet", host)}
		}
	}
}

// hasAll tells whether nothing after the revision concerns the host.
func (s *Server) hasAll(host string, revision int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return revision >= max(s.base, s.concerned[host])
}

func (s *Server) alarm(host string, q flow.Question, loaded flow.Loaded, want gabion.Reason) {
	if loaded.Agrees {
		return
	}
	s.disagreements.Add(1)
	s.log.Error("the programs loaded on a host decide otherwise than the policy says", "host", host, "instance", q.Instance,
		"direction", q.Direction, "programs", loaded.Reason, "policy", want)
}

// Disagreements is how often loaded programs decided otherwise than the policy says.
func (s *Server) Disagreements() uint64 { return s.disagreements.Load() }

// OpenFlows are up to limit flows that the instance has open now, as its host tells.
func (s *Server) OpenFlows(ctx context.Context, host, instance string, limit int) (flows []flow.Open, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ask := &feedpb.Ask_OpenFlows{OpenFlows: &feedpb.OpenFlows{Instance: instance, Limit: uint32(limit)}}
	answer, err := s.ask(ctx, host, &feedpb.Ask{Ask: ask})
	if err != nil {
		return nil, false, gabion.Unavailable("%s", err)
	}
	flows, err = eachChecked("flow", answer.GetFlows().GetFlows(), decodeOpen)
	if err != nil {
		return nil, false, fmt.Errorf("read flows of host %s: %w", host, err)
	}
	return flows[:min(len(flows), limit)], answer.GetFlows().GetMore(), nil
}
