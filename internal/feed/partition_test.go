package feed_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/feed"
)

// noticed is within what time both ends have to notice that a connection carries
// nothing any more, and how long the test waits for it.
const noticed = 20 * time.Second

// hole is a wire between hosts and server that can swallow what it carries.
type hole struct {
	listener net.Listener
	swallows chan struct{} // closed when it does
}

func newHole(t *testing.T, to string) *hole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hole{listener: l, swallows: make(chan struct{})}
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				a.Close()
				continue
			}
			go carry(a, b, h.swallows)
			go carry(b, a, h.swallows)
		}
	}()
	return h
}

// carry copies until the wire swallows: then it takes everything, also the end of
// the connection, and passes nothing on.
func carry(from, to net.Conn, swallows <-chan struct{}) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		select {
		case <-swallows:
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// swallow makes the wire carry nothing any more, and nothing new.
func (h *hole) swallow() {
	h.listener.Close()
	close(h.swallows)
}

func TestBlackHoleIsNoticedByBothEnds(t *testing.T) {
	t.Parallel()
	z := newZone(t, populated(), "hv1", "hv2")
	h := newHole(t, z.addr)
	r, other := newReceiver(), newReceiver()
	host := startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv1"), Receiver: r, Servers: []string{h.listener.Addr().String()}})
	startHost(t, z, feed.ClientConfig{Identity: identity(t, z.ca, "hv2"), Receiver: other})
	r.await(t, "replace")
	other.await(t, "replace")

	h.swallow()
	began := time.Now()
	ends := map[string]func() bool{
		"host":   func() bool { return !host.Connected() },
		"server": func() bool { return !z.server.Has("hv1") },
	}
	for len(ends) > 0 {
		for name, gone := range ends {
			if gone() {
				t.Logf("the %s noticed after %v", name, time.Since(began).Round(time.Millisecond))
				delete(ends, name)
			}
		}
		if time.Since(began) > noticed {
			t.Fatalf("after %v only one end or none has noticed", noticed)
		}
		time.Sleep(time.Millisecond)
	}
	// Nobody saw it meanwhile. Another one that says nothing either is seen all the time.
	const underway = time.Second
	if seen := z.status("hv1").LastSeen; seen.After(began.Add(underway)) {
		t.Errorf("seen %v after the wire swallowed all", seen.Sub(began))
	}
	eventually(t, "a host that is well is seen", func() bool { return z.status("hv2").LastSeen.After(began.Add(underway)) })
}
