package store_test

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and its etcd, and fails as told.
type proxy struct {
	t      *testing.T
	path   string
	target string
	lose   atomic.Pointer[[]byte]
	lost   atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	p := &proxy{t: t, path: filepath.Join(t.TempDir(), "p"), target: strings.TrimPrefix(target, "unix://")}
	p.mend()
	t.Cleanup(p.cut)
	return p
}

func (p *proxy) endpoint() string { return "unix://" + p.path }

// mend lets clients through.
func (p *proxy) mend() {
	l, err := net.Listen("unix", p.path)
	must(p.t, err)
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			p.forward(near)
		}
	}()
}

// cut ends all connections and lets none through.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// loseAnswerTo ends the connection, once, when the answer to a request comes
// that has the text in it.
func (p *proxy) loseAnswerTo(text string) {
	b := []byte(text)
	p.lose.Store(&b)
}

func (p *proxy) forward(near net.Conn) {
	far, err := net.Dial("unix", p.target)
	if err != nil {
		_ = near.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, near, far)
	p.mu.Unlock()
	var seen atomic.Bool
	go p.copy(far, near, func(b []byte) bool {
		if text := p.lose.Load(); text != nil && bytes.Contains(b, *text) {
			seen.Store(true)
		}
		return true
	})
	go p.copy(near, far, func(b []byte) bool {
		if !seen.Load() || !hasData(b) {
			return true
		}
		p.lose.Store(nil)
		p.lost.Store(true)
		return false
	})
}

// copy passes on what pass lets through; otherwise it ends the connection.
func (p *proxy) copy(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !pass(buffer[:n]) {
			return
		}
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

// hasData tells whether there is a DATA frame of HTTP/2 among the frames in b:
// an answer, and not the protocol's own business.
func hasData(b []byte) bool {
	const header, data = 9, 0
	for len(b) >= header {
		if b[3] == data {
			return true
		}
		size := header + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
		b = b[min(size, len(b)):]
	}
	return false
}
