package faults_test

import (
	"crypto/sha256"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
)

// liar has the key of the site's server and is in its place. It gives each agent the
// policy that it has, and damaged frames behind it.
type liar struct {
	listener net.Listener
	server   *grpc.Server
	config   *tls.Config
	policies map[string]*feedpb.State // by host

	mu     sync.Mutex
	random *rand.Rand

	sent    atomic.Uint64 // damaged frames
	refused atomic.Uint64 // streams that an agent ended because of them
}

// startLiar listens where the server did, which has ended.
func (s *site) startLiar(t *testing.T) *liar {
	t.Helper()
	address := s.agentsAt()
	ca, err := pki.OpenCA(s.server.Dir)
	must(t, err)
	certificate, err := ca.ServerCertificate(t.TempDir(), address)
	must(t, err)
	l := &liar{config: certificate.MutualTLS(), random: newRandom(t), policies: map[string]*feedpb.State{}}
	l.config.NextProtos = []string{"h2"}
	for name, a := range s.agents {
		l.policies[name] = stateIn(t, a.StateDir())
	}
	l.listener, err = net.Listen("tcp", address)
	must(t, err)
	l.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(l.config)), grpc.ForceServerCodec(bare{}), grpc.UnknownServiceHandler(l.serve))
	go l.server.Serve(l) //nolint:errcheck // it ends with its listener
	t.Cleanup(l.stop)
	return l
}

// stateIn is what the agent has written down, as it would be sent.
func stateIn(t *testing.T, dir string) *feedpb.State {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "policy.pb"))
	must(t, err)
	state := new(feedpb.State)
	must(t, proto.Unmarshal(data[len("gabion state 1\n")+sha256.Size:], state))
	return state
}

func (l *liar) stop() { l.server.Stop() }

// await waits until agents have ended so many streams.
func (l *liar) await(t *testing.T, most uint64) {
	t.Helper()
	for seen := uint64(0); seen < most; {
		await(t, "an agent to end another stream", func() bool { return l.refused.Load() > seen })
		seen = l.refused.Load()
	}
}

// Addr and Close are the listener's.
func (l *liar) Addr() net.Addr { return l.listener.Addr() }

// Close ends listening.
func (l *liar) Close() error { return l.listener.Close() }

// Accept takes a connection. Some hear noise, before TLS or in it.
func (l *liar) Accept() (net.Conn, error) {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return nil, err
		}
		switch l.draw(8) {
		case 0:
			go l.babble(conn)
		case 1:
			go l.babble(tls.Server(conn, l.config))
		default:
			return conn, nil
		}
	}
}

func (l *liar) draw(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(most)
}

func (l *liar) babble(conn net.Conn) {
	l.mu.Lock()
	said := noise(l.random, 4096)
	l.mu.Unlock()
	conn.Write(said) //nolint:errcheck // the agent may have hung up
	conn.Close()     //nolint:errcheck // as above
}

// serve is one stream.
func (l *liar) serve(_ any, stream grpc.ServerStream) error {
	state := l.policies[hostOf(stream)]
	if method, _ := grpc.MethodFromServerStream(stream); method != "/gabion.feed.v1.Feed/Sync" || state == nil {
		return status.Error(codes.Unimplemented, method)
	}
	l.tell(stream, state)
	if stream.Context().Err() != nil {
		l.refused.Add(1)
	}
	return nil
}

func hostOf(stream grpc.ServerStream) string {
	p, _ := peer.FromContext(stream.Context())
	info, is := p.AuthInfo.(credentials.TLSInfo)
	if !is || len(info.State.VerifiedChains) == 0 {
		return ""
	}
	host, _ := pki.HostOf(info.State.VerifiedChains[0][0])
	return host
}

// tell tells the policy as it is, and lies until the agent has enough of it. Every
// other time the lies are part of a whole policy that never ends.
func (l *liar) tell(stream grpc.ServerStream, state *feedpb.State) {
	truth := policyFrames(state)
	endless := l.draw(2) == 0
	if endless {
		truth = append(truth, truth[0])
	}
	if stream.RecvMsg(new(frame)) != nil {
		return
	}
	for _, f := range truth {
		if stream.SendMsg(f) != nil {
			return
		}
	}
	for stream.SendMsg(l.lie(state, endless)) == nil {
		l.sent.Add(1)
		select {
		case <-stream.Context().Done():
			return
		case <-time.After(time.Millisecond): // the agent has to have read it before it can refuse it
		}
	}
}

// policyFrames are a whole policy.
func policyFrames(state *feedpb.State) []frame {
	return framesOf(
		&feedpb.ServerMessage{Message: &feedpb.ServerMessage_SnapshotBegin{SnapshotBegin: &feedpb.SnapshotBegin{StoreEpoch: state.StoreEpoch}}},
		&feedpb.ServerMessage{Message: &feedpb.ServerMessage_Delta{Delta: state.View}},
		&feedpb.ServerMessage{Message: &feedpb.ServerMessage_InSync{InSync: &feedpb.InSync{StoreEpoch: state.StoreEpoch, Revision: state.View.Revision}}},
	)
}

// elsewhere is an epoch that no policy is of.
const elsewhere = "elsewhere"

// otherFrames are what else servers send, and an end of a policy that never began.
var otherFrames = framesOf(
	&feedpb.ServerMessage{Message: &feedpb.ServerMessage_InSync{InSync: &feedpb.InSync{StoreEpoch: elsewhere, Revision: 9}}},
	&feedpb.ServerMessage{Message: &feedpb.ServerMessage_Watch{Watch: &feedpb.Watch{Events: feedpb.Watch_DENIED}}},
	&feedpb.ServerMessage{Message: &feedpb.ServerMessage_Ask{Ask: &feedpb.Ask{Id: 1, Ask: &feedpb.Ask_Question{Question: &feedpb.Question{
		Instance: "i", Local: make([]byte, 4), Remote: make([]byte, 4), Protocol: 6, Port: 22,
	}}}}},
	&feedpb.ServerMessage{Message: &feedpb.ServerMessage_Ask{Ask: &feedpb.Ask{Id: 2, Ask: &feedpb.Ask_OpenFlows{OpenFlows: &feedpb.OpenFlows{Instance: "i", Limit: 10}}}}},
)

// lie is a damaged frame that is none that a server could mean: agents have to obey that.
func (l *liar) lie(state *feedpb.State, endless bool) frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := append(policyFrames(state), otherFrames...)
	for {
		if f := damaged(l.random, frames); !mayBeMeant(f, state.View.Revision, endless) {
			return f
		}
	}
}

// mayBeMeant tells whether the frame changes the policy, or ends one that is told.
func mayBeMeant(f frame, revision int64, endless bool) bool {
	m := new(feedpb.ServerMessage)
	if proto.Unmarshal(f, m) != nil {
		return false
	}
	if end := m.GetInSync(); end != nil {
		return end.Revision > 0 && end.StoreEpoch != "" && end.StoreEpoch != elsewhere
	}
	return m.GetDelta() != nil && !endless && m.GetDelta().Revision > revision
}
