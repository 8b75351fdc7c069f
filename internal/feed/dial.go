package feed

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion/internal/feed/feedpb"
)

// dialPatience is how long a server may take to accept a connection.
const dialPatience = 10 * time.Second

// maxFromServer bounds a message of the server: far more than a chunk, since one
// group may have many rules.
const maxFromServer = 64 << 20

// connection is one connection to a server. It does TLS itself, below gRPC,
// because gRPC turns the reason of a failed handshake into text.
type connection struct {
	feedpb.FeedClient

	server string
	conn   *grpc.ClientConn
	tls    *tls.Config

	mu  sync.Mutex
	err error // of the last attempt
}

func connect(server string, config *tls.Config) (*connection, error) {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	c := &connection{server: server, tls: config}
	// "passthrough" leaves names to the dialer, so that they are looked up anew each time.
	conn, err := grpc.NewClient("passthrough:///"+server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(c.dial),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: probeAfter, Timeout: probeWait}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxFromServer)),
	)
	if err != nil {
		return nil, fmt.Errorf("reach server %s: %w", server, err)
	}
	c.conn, c.FeedClient = conn, feedpb.NewFeedClient(conn)
	return c, nil
}

func (c *connection) dial(ctx context.Context, server string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialPatience}, Config: c.tls}
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		err = fmt.Errorf("reach server %s: %w", server, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return conn, err
}

// explain is why a call failed, and what to do about it if nothing but that helps.
func (c *connection) explain(err error) error {
	if err = c.reason(err); err != nil && c.expired(time.Now()) {
		return fmt.Errorf("%w: %w", errRejoin(c.tls.Certificates[0].Leaf), err)
	}
	return err
}

// expired tells whether the host's own certificate is past its end.
func (c *connection) expired(now time.Time) bool {
	return len(c.tls.Certificates) > 0 && now.After(c.tls.Certificates[0].Leaf.NotAfter)
}

// reason is the connection's own where there is one.
func (c *connection) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("reach server %s: it is not for agents; name the HOST:PORT that the server has for them, which is not that of its API", c.server)
	}
	return fromStatus(err)
}

func (c *connection) close() { _ = c.conn.Close() }
