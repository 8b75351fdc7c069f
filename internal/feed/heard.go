package feed

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// A stream that carries nothing any more lasts a while until its end is noticed. So a
// host was seen when something came from it last, be it only what keeps its connection.

// hearing are credentials of connections that note when something came.
type hearing struct {
	credentials.TransportCredentials
}

// ServerHandshake adds to what is known of the other end when it was heard.
func (c hearing) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	ear := &ear{Conn: raw, made: time.Now()}
	conn, info, err := c.TransportCredentials.ServerHandshake(ear)
	if tls, ok := info.(credentials.TLSInfo); ok {
		info = heard{tls, ear}
	}
	return conn, info, err
}

// heard is who is at the other end, and when it was heard.
type heard struct {
	credentials.TLSInfo
	ear *ear
}

// ear is a connection that notes when something came.
type ear struct {
	net.Conn
	made time.Time
	last atomic.Int64 // after made, by the monotonic clock
}

func (e *ear) Read(b []byte) (n int, err error) {
	n, err = e.Conn.Read(b)
	if n > 0 {
		e.last.Store(int64(time.Since(e.made)))
	}
	return n, err
}

// heardAt is when something came last, by the clock as it is now.
func (e *ear) heardAt() time.Time {
	return time.Now().Add(time.Duration(e.last.Load()) - time.Since(e.made))
}

// tlsOf is what TLS says of the caller.
func tlsOf(p *peer.Peer) (credentials.TLSInfo, bool) {
	if h, ok := p.AuthInfo.(heard); ok {
		return h.TLSInfo, true
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return info, ok
}

// seen tells when the caller was heard last. Who came through no connection of ours is
// always here.
func seen(ctx context.Context) func() time.Time {
	if p, ok := peer.FromContext(ctx); ok {
		if h, ok := p.AuthInfo.(heard); ok {
			return h.ear.heardAt
		}
	}
	return time.Now
}
