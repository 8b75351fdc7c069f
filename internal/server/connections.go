package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what the connections of clients may take of a server, so that slow
// ones and many ones leave room for the others.
type Limits struct {
	Header   time.Duration // for the TLS handshake, and for each request's header
	Request  time.Duration // for a whole request
	Response time.Duration // for the answer, from the end of the header on
	Idle     time.Duration // between requests

	HeaderBytes int // of one request
	Connections int // at the same time, of each of the two listeners
	PerAddress  int // of them; an IPv6 client is known by its /64
}

// DefaultLimits are those that a server has where its configuration has none. Of
// the files that the process may open, a third is for each listener.
func DefaultLimits() Limits {
	l := Limits{
		Header: 10 * time.Second, Request: 30 * time.Second, Response: 60 * time.Second, Idle: 2 * time.Minute,
		HeaderBytes: 32 << 10, Connections: 16384, PerAddress: 512,
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		l.Connections = int(min(uint64(l.Connections), files.Cur/3))
	}
	return l
}

// agentsPerAddress is how many connections one address may have to the agents'
// listener: a whole site may be behind it.
const agentsPerAddress = 4096

// apply makes the limits those of the HTTP server. The handshake's is the
// shortest of the first three: net/http says so.
func (l Limits) apply(s *http.Server) {
	s.ReadHeaderTimeout, s.ReadTimeout = l.Header, l.Request
	s.WriteTimeout, s.IdleTimeout = l.Response, l.Idle
	s.MaxHeaderBytes = l.HeaderBytes
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100, WriteByteTimeout: l.Response}
}

// gate is a listener that lets in so many connections and no more. One too many is
// closed before anything is read from it: clients try again.
type gate struct {
	net.Listener
	total, perSource int

	mu      sync.Mutex
	open    int
	sources map[netip.Prefix]int // of the open ones; none are zero
}

func newGate(l net.Listener, total, perSource int) *gate {
	return &gate{Listener: l, total: total, perSource: perSource, sources: map[netip.Prefix]int{}}
}

// Accept waits for the next connection that may come in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(conn.RemoteAddr())
		if g.enter(source) {
			return &admitted{Conn: conn, leave: sync.OnceFunc(func() { g.leave(source) })}, nil
		}
		_ = conn.Close() // it never was of use
	}
}

func (g *gate) enter(source netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open >= g.total || g.sources[source] >= g.perSource {
		return false
	}
	g.open++
	g.sources[source]++
	return true
}

func (g *gate) leave(source netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if g.sources[source]--; g.sources[source] == 0 {
		delete(g.sources, source)
	}
}

// sourceOf is whom a connection is counted for: an IPv4 address, or the 64 bits of
// an IPv6 address that its owner can't choose.
func sourceOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// admitted is a connection that is counted until it is closed.
type admitted struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (a *admitted) Close() error {
	defer a.leave()
	return a.Conn.Close()
}
