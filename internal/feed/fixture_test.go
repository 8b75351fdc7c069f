package feed_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// patience is how long a test waits for what has to happen.
const patience = 10 * time.Second

func newCA(t testing.TB) *pki.CA {
	t.Helper()
	ca, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func identity(t testing.TB, ca *pki.CA, host string) *pki.Identity {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.Request(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignHost(host, request)
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(key, cert, ca.Raw())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// zone is a server with its store, listening on loopback.
type zone struct {
	*memory
	server *feed.Server
	ca     *pki.CA
	addr   string
	log    *bytes.Buffer
	stop   func() // cuts all connections and listens no longer
}

func newZone(t testing.TB, store *memory, hosts ...string) *zone {
	t.Helper()
	return newZoneOf(t, newCA(t), store, hosts...)
}

func newZoneOf(t testing.TB, ca *pki.CA, store *memory, hosts ...string) *zone {
	t.Helper()
	z := &zone{memory: store, ca: ca, log: &bytes.Buffer{}}
	for _, h := range hosts {
		store.hosts[h] = gabion.Host{Name: h}
	}
	z.server = feed.NewServer(store, z.ca, slog.New(slog.NewTextHandler(lockedWriter(z.log), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- z.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	z.listen(t, "127.0.0.1:0")
	eventually(t, "server is ready", func() bool { return z.server.Ready() == nil && z.watched() })
	return z
}

func (z *zone) listen(t testing.TB, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	z.addr = l.Addr().String()
	cert, err := z.ca.ServerCertificate(t.TempDir(), z.addr)
	if err != nil {
		t.Fatal(err)
	}
	g := z.server.GRPC(cert.MutualTLS())
	z.stop = g.Stop
	t.Cleanup(g.Stop)
	go func() { _ = g.Serve(l) }() // it ends with the test
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func lockedWriter(b *bytes.Buffer) writer {
	var mu sync.Mutex
	return func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}
}

// eventually waits until the condition holds: for what no event tells of.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// receiver keeps the view that it is told and says what happened.
type receiver struct {
	told chan string // "replace" or "change"

	mu   sync.Mutex
	at   feed.Position
	view *policy.View
}

func newReceiver() *receiver { return &receiver{told: make(chan string, 1000)} }

func (r *receiver) Replace(epoch string, v *policy.View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view, r.at = v, feed.Position{Epoch: epoch, Revision: v.Revision}
	r.told <- "replace"
}

func (r *receiver) Change(d *policy.Delta) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view.Apply(d)
	r.at.Revision = d.Revision
	r.told <- "change"
}

func (r *receiver) await(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-r.told:
		if got != want {
			t.Fatalf("the host was told to %s, want %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("waited in vain for a %s", want)
	}
}

func (r *receiver) position() feed.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *receiver) snapshot() policy.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return policy.View{
		Revision: r.view.Revision, Instances: maps.Clone(r.view.Instances),
		Groups: maps.Clone(r.view.Groups), Members: maps.Clone(r.view.Members),
	}
}

// startHost runs a host's end.
func startHost(t testing.TB, z *zone, c feed.ClientConfig) *feed.Client {
	t.Helper()
	if c.Servers == nil {
		c.Servers = []string{z.addr}
	}
	c.Version = "test"
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	client := feed.NewClient(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("host: %v", err)
		}
	})
	return client
}

// rawStream is a stream that the test itself speaks at the host's end.
func rawStream(t testing.TB, z *zone, id *pki.Identity) grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage] {
	t.Helper()
	conn := dial(t, z.addr, id.TLS())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := feedpb.NewFeedClient(conn).Sync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func dial(t testing.TB, addr string, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func hello(epoch string, revision int64) *feedpb.AgentMessage {
	return &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Hello{Hello: &feedpb.Hello{StoreEpoch: epoch, Revision: revision}}}
}

// greet says hello. A server that has ended the stream already says why to who receives.
func greet(t testing.TB, stream grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]) {
	t.Helper()
	if err := stream.Send(hello("", 0)); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func ack(epoch string, revision int64) *feedpb.AgentMessage {
	return &feedpb.AgentMessage{Message: &feedpb.AgentMessage_Ack{Ack: &feedpb.Ack{StoreEpoch: epoch, Revision: revision}}}
}

// Objects of the tests: organization "o", group "g", hosts "hv1" and "hv2".

func group(id string) *gabion.Group { return &gabion.Group{ID: id, Organization: "o", Name: id} }

func instance(id, host, address string, groups ...string) *gabion.Instance {
	a := netip.MustParseAddr(address)
	return &gabion.Instance{
		ID: id, Organization: "o", Name: id, Host: host, Groups: groups,
		NICs: []gabion.NIC{{Interface: "tap-" + id, MAC: gabion.MAC{2, 0, 0, 0, 0, a.As4()[3]}, Addresses: []netip.Addr{a}}},
	}
}

func rule(id, group string, port uint16) *gabion.Rule {
	return &gabion.Rule{
		ID: id, Group: group, Protocol: gabion.TCP, Ports: gabion.PortRange{Start: port, End: port},
		Peer: gabion.Peer{Network: netip.MustParsePrefix("0.0.0.0/0")},
	}
}

// awaitInSync reads the stream up to where the host has everything.
func awaitInSync(t testing.TB, stream grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage]) {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetInSync() != nil {
			return
		}
	}
}

func prefixNumber(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}
