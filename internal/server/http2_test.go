package server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// Frames of HTTP/2 (RFC 9113), as no client library would send them.
const (
	frameData, frameHeaders, frameSettings = 0x0, 0x1, 0x4
	endStream, endHeaders                  = 0x1, 0x4
	initialWindow                          = 0x4 // a setting
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

// header is a header block (RFC 7541): the method by its index in the static table
// (2 is GET, 3 is POST), https, the path and an authority.
func header(method byte, path string) []byte {
	block := []byte{0x80 | method, 0x87, 0x04, byte(len(path))}
	return append(append(block, path...), 0x01, 1, 'x')
}

// window is the setting of how much of each answer may come at first.
func window(size uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, initialWindow}, size)
}

// newHTTP2 is a connection that has begun, with a window of that size.
func newHTTP2(t *testing.T, to net.Addr, size uint32) net.Conn {
	t.Helper()
	conn := tls.Client(dial(t, to, "127.0.0.1"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	begin := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, window(size))...)
	if _, err := conn.Write(begin); err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("the server speaks %q", got)
	}
	return conn
}

// answered reads frames up to an answer's header, and returns its block.
func answered(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		if head[3] == frameHeaders {
			return payload
		}
	}
}

// What HTTP/2 adds are new ways of being slow.
func TestSlowHTTP2ClientsAreCut(t *testing.T) {
	c := configure(t)
	c.Limits = short()
	s, end := run(t, c)
	t.Cleanup(end)
	const enough = 1 << 16
	get := func(path string) []byte { return frame(frameHeaders, endStream|endHeaders, 1, header(2, path)) }

	t.Run("between requests", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), enough)
		send(t, conn, get("/healthz"))
		if got := answered(t, conn); !bytes.HasPrefix(got, []byte{0x88}) { // :status 200
			t.Errorf("healthz: %x", got)
		}
		cut(t, conn)
	})
	t.Run("in a header", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), enough)
		send(t, conn, get("/healthz")[:12])
		cut(t, conn)
	})
	t.Run("before a header's end", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), enough)
		send(t, conn, frame(frameHeaders, endStream, 1, header(2, "/healthz"))) // a CONTINUATION has to follow
		cut(t, conn)
	})
	t.Run("in the body", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), enough)
		send(t, conn, frame(frameHeaders, endHeaders, 1, header(3, "/v2/security-group")))
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for range time.Tick(50 * time.Millisecond) {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := conn.Write(frame(frameData, 0, 1, []byte("x"))); err != nil {
					return
				}
			}
		}()
		cut(t, conn)
	})
	t.Run("in reading", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), 0)
		send(t, conn, get("/v2/zone"))
		if said := cut(t, conn); bytes.Contains(said, []byte("ch-gva-2")) {
			t.Error("it was sent what it had no room for")
		}
	})
	t.Run("control: in reading, with room", func(t *testing.T) {
		t.Parallel()
		conn := newHTTP2(t, s.Addr(), enough)
		send(t, conn, get("/v2/zone"))
		if said := cut(t, conn); !bytes.Contains(said, []byte("ch-gva-2")) {
			t.Error("it was not answered")
		}
	})
}

// The listener without TLS may come first: the one with TLS keeps what it promises in
// its handshake, which is what browsers and curl speak. Which is first is chance.
func TestHTTP2BesideAPlainListener(t *testing.T) {
	const plain = "127.0.0.1:0"
	for _, plain := range []string{"", plain, plain, plain, plain} {
		c := configure(t)
		c.ListenHTTP = plain
		s, end := run(t, c)
		awaitReady(t, c.DataDir, s.Addr())
		conn := newHTTP2(t, s.Addr(), 1<<16)
		send(t, conn, frame(frameHeaders, endStream|endHeaders, 1, header(2, "/healthz")))
		if got := answered(t, conn); !bytes.HasPrefix(got, []byte{0x88}) { // :status 200
			t.Errorf("--listen-http %q: got %x", plain, got)
		}
		conn.Close()
		end()
	}
}

func send(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}
