package faults_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/pki"
)

// Whoever has a server's key may tell agents a policy, and whoever has a host's may tell
// the server what it sees; by frames that nobody can have meant they reach nothing.
func TestFramesDamaged(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	server := s.server.Process()
	frames, refused := s.tellServer(t, times(500, 20_000))
	if ended(server) {
		t.Fatal("the server ended")
	}
	r.say("%s damaged frames of a host ended %s streams, and not the server", count(frames), count(refused))

	s.settled(t)
	must(t, s.server.Kill())
	var agents []*lab.Process
	for _, a := range s.agents {
		agents = append(agents, a.Process())
	}
	liar := s.startLiar(t)
	liar.await(t, uint64(times(20, 500)))
	liar.stop()
	if slices.ContainsFunc(agents, ended) || !ready(s.agents["h1"]) || !ready(s.agents["h2"]) {
		r.Error("an agent ended, or is not ready any more")
	}
	if s.said(t, "refuse message of the server")+s.said(t, "failed to unmarshal") == 0 {
		r.Error("the agent has refused nothing")
	}
	r.say("%s of a server ended %s streams, and no agent", count(liar.sent.Load()), count(liar.refused.Load()))
	must(t, s.server.Start(t.Context()))
	back := s.settled(t)
	r.packets(traffic)
	r.within("in sync with the right server again after", back, 30*time.Second)
	r.converged(s, churn)
}

// tellServer is a host that sends the server so many frames, none of them as it should
// be. It returns how many streams the server ended.
func (s *site) tellServer(t *testing.T, most int) (frames, refused uint64) {
	t.Helper()
	identity, err := s.join(t.Context(), "liar")
	must(t, err)
	server := s.agentsAt()
	random := newRandom(t)
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(identity.TLS())), grpc.WithDefaultCallOptions(grpc.ForceCodec(bare{}))}
	conn, err := grpc.NewClient("passthrough:///"+server, options...)
	must(t, err)
	defer conn.Close()
	for frames < uint64(most) {
		n, was := tellOnce(t, conn, random)
		frames += n
		if was {
			refused++
		}
		for _, method := range []string{"Join", "Renew"} {
			var reply frame
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if err := conn.Invoke(ctx, "/gabion.feed.v1.Feed/"+method, damaged(random, hostFrames), &reply); err == nil {
				t.Errorf("a damaged request of %s is answered", method)
			}
			cancel()
			frames++
		}
		babble(t, random, server, identity.TLS())
	}
	return frames, refused
}

// join makes the test a host.
func (s *site) join(ctx context.Context, name string) (*pki.Identity, error) {
	token, err := s.client.CreateHostToken(ctx, name)
	if err != nil {
		return nil, err
	}
	parsed, err := pki.ParseToken(strings.TrimSpace(token.Token))
	if err != nil {
		return nil, err
	}
	return feed.JoinAny(ctx, []string{s.agentsAt()}, parsed)
}

// streamOf is how the stream is opened.
var streamOf = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// tellOnce opens a stream as hosts do, which the server answers, and then sends damaged
// frames until the server ends the stream or there were enough.
func tellOnce(t *testing.T, conn *grpc.ClientConn, random *rand.Rand) (sent uint64, refused bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, streamOf, "/gabion.feed.v1.Feed/Sync")
	must(t, err)
	must(t, stream.SendMsg(hostFrames[0]))
	var answer frame
	must(t, stream.RecvMsg(&answer))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for stream.RecvMsg(new(frame)) == nil { //nolint:revive // what the server says is not the matter
		}
	}()
	const enough = 50
	for ; sent < enough && stream.SendMsg(damaged(random, hostFrames)) == nil; sent++ {
		select {
		case <-ended:
			return sent, true
		case <-time.After(time.Millisecond): // the server has to have read it before it can refuse it
		}
	}
	return sent, false
}

// babble says something to the server that is no TLS, and something in TLS that is no HTTP.
func babble(t *testing.T, random *rand.Rand, server string, config *tls.Config) {
	t.Helper()
	plain, err := net.Dial("tcp", server)
	must(t, err)
	defer plain.Close()
	plain.Write(noise(random, 4096)) //nolint:errcheck // the server may have hung up
	secured, err := tls.Dial("tcp", server, config)
	must(t, err)
	defer secured.Close()
	secured.Write(noise(random, 4096)) //nolint:errcheck // as above
}

// frame is one message of a stream as it is sent.
type frame []byte

// bare is a codec that leaves frames as they are.
type bare struct{}

// Marshal is what is sent.
func (bare) Marshal(v any) ([]byte, error) {
	if f, is := v.(frame); is {
		return f, nil
	}
	return nil, fmt.Errorf("send %T: it is no frame", v)
}

// Unmarshal takes what came.
func (bare) Unmarshal(data []byte, v any) error {
	*v.(*frame) = slices.Clone(data)
	return nil
}

// Name is that of the codec in whose place this one is.
func (bare) Name() string { return "proto" }

// hostFrames are what hosts send; the first opens a stream.
var hostFrames = framesOf(
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Hello{Hello: &feedpb.Hello{Version: "liar", Incarnation: "1", Tells: true}}},
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Ack{Ack: &feedpb.Ack{Revision: 7, StoreEpoch: "e", PolicyDigest: make([]byte, 32), Error: "none"}}},
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Observation{Observation: &feedpb.Observation{Remedies: []string{"br0=belt"}, UnprotectedPorts: []string{"eth0"}}}},
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Counters{Counters: &feedpb.Counters{Rules: []*feedpb.RuleCounter{{Rule: "r", Life: 1, Packets: 2, Bytes: 3}}}}},
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_FlowEvents{FlowEvents: &feedpb.FlowEvents{Events: []*feedpb.FlowEvent{{Instance: "i", Interface: "tap", Time: 1, Remote: make([]byte, 4)}}}}},
	&feedpb.AgentMessage{Message: &feedpb.AgentMessage_Answer{Answer: &feedpb.Answer{Id: 1, Flows: &feedpb.FlowList{Flows: []*feedpb.Flow{{Interface: "tap"}}}}}},
)

func framesOf[M proto.Message](messages ...M) (frames []frame) {
	for _, m := range messages {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		frames = append(frames, data)
	}
	return frames
}

// damaged is one of the frames cut, with wrong bits, with another inside, or with a
// length that is too large; or nothing but noise.
func damaged(random *rand.Rand, frames []frame) frame {
	one := slices.Clone(frames[random.IntN(len(frames))])
	at := random.IntN(len(one) + 1)
	switch random.IntN(5) {
	case 0:
		return noise(random, 200)
	case 1:
		return one[:at]
	case 2:
		other := frames[random.IntN(len(frames))]
		return slices.Insert(one, at, other[random.IntN(len(other)+1):]...)
	case 3:
		return slices.Insert(one, at, 0xff, 0xff, 0xff, 0xff, 0x7f)
	}
	for range 1 + random.IntN(8) {
		if len(one) > 0 {
			one[random.IntN(len(one))] ^= 1 << random.IntN(8)
		}
	}
	return one
}

// noise is fewer random bytes than most.
func noise(random *rand.Rand, most int) []byte {
	bytes := make([]byte, random.IntN(most))
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}

// newRandom draws from a seed that is told.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("frames are damaged from seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
