package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/server"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// short are limits that a test can wait for.
func short() server.Limits {
	return server.Limits{
		Header: 500 * time.Millisecond, Request: time.Second, Response: time.Second, Idle: 500 * time.Millisecond,
		HeaderBytes: 8 << 10, Connections: 100, PerAddress: 8,
	}
}

// surfaces runs a server with short limits, and returns how to reach its API with
// and without TLS.
func surfaces(t *testing.T) map[string]func(t *testing.T) net.Conn {
	t.Helper()
	c := configure(t)
	c.ListenHTTP, c.Limits = "127.0.0.1:0", short()
	s, end := run(t, c)
	t.Cleanup(end)
	return map[string]func(t *testing.T) net.Conn{
		"https": func(t *testing.T) net.Conn { return secure(t, dial(t, s.Addr(), "127.0.0.1")) },
		"http":  func(t *testing.T) net.Conn { return dial(t, s.PlainAddr(), "127.0.0.1") },
	}
}

// dial connects from that address of this machine.
func dial(t *testing.T, to net.Addr, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func secure(t *testing.T, conn net.Conn) *tls.Conn {
	t.Helper()
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secured
}

// cut reads until the server ends the connection, and fails if it never does.
func cut(t *testing.T, conn net.Conn) (said []byte) {
	t.Helper()
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was not cut")
	}
	return said
}

// drip writes a byte from time to time until it can't.
func drip(conn net.Conn, b byte, stop <-chan struct{}) {
	for {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-stop:
			return
		}
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
	}
}

// answer sends a request as it is and returns the status of its answer.
func answer(t *testing.T, conn net.Conn, request string) int {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

func TestSlowClientsAreCut(t *testing.T) {
	for name, connect := range surfaces(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("that says nothing", func(t *testing.T) {
				t.Parallel()
				cut(t, connect(t))
			})
			t.Run("between requests", func(t *testing.T) {
				t.Parallel()
				conn := connect(t)
				if got := answer(t, conn, health); got != http.StatusOK {
					t.Errorf("healthz: %d", got)
				}
				cut(t, conn)
			})
			t.Run("in the header", func(t *testing.T) {
				t.Parallel()
				conn := connect(t)
				dripping(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
			})
			t.Run("in the body", func(t *testing.T) {
				t.Parallel()
				conn := connect(t)
				dripping(t, conn, "POST /v2/security-group HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
			})
			t.Run("in reading", func(t *testing.T) {
				t.Parallel()
				conn := connect(t)
				gulp(t, conn)
			})
			t.Run("control: the same, at once", func(t *testing.T) {
				t.Parallel()
				if got := answer(t, connect(t), health); got != http.StatusOK {
					t.Errorf("header: %d", got)
				}
				body := "POST /v2/security-group HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
				if got := answer(t, connect(t), body); got != http.StatusForbidden {
					t.Errorf("body: %d, want it whole and without a signature", got)
				}
			})
		})
	}
}

// dripping begins a request and goes on very slowly: the server has to end it.
func dripping(t *testing.T, conn net.Conn, begin string) {
	t.Helper()
	if _, err := io.WriteString(conn, begin); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go drip(conn, 'x', stop)
	if said := cut(t, conn); bytes.HasPrefix(said, []byte("HTTP/1.1 2")) {
		t.Errorf("it was served: %s", said)
	}
}

// gulp asks and asks and reads nothing: the server has to end it once no more
// answers fit between the two.
func gulp(t *testing.T, conn net.Conn) {
	t.Helper()
	many := []byte(strings.Repeat(health, 1000))
	for {
		if _, err := conn.Write(many); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection was not cut")
		} else if err != nil {
			return
		}
	}
}

func TestSlowHandshakeIsCut(t *testing.T) {
	c := configure(t)
	c.Limits = short()
	s, end := run(t, c)
	defer end()
	conn := dial(t, s.Addr(), "127.0.0.1")
	if _, err := conn.Write([]byte{22, 3, 1, 2, 0}); err != nil { // the record that a handshake begins with, of 512 bytes
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go drip(conn, 1, stop)
	cut(t, conn)
}

func TestHugeHeaderIsRefused(t *testing.T) {
	for name, connect := range surfaces(t) {
		t.Run(name, func(t *testing.T) {
			request := func(bytes int) string {
				return "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", bytes) + "\r\n\r\n"
			}
			if got := answer(t, connect(t), request(4<<10)); got != http.StatusOK {
				t.Errorf("4 KiB: %d", got)
			}
			conn := connect(t)
			if _, err := io.WriteString(conn, request(16<<10)); err != nil {
				t.Fatal(err)
			}
			// The answer may be lost: whoever does not read all resets the connection.
			if said := cut(t, conn); len(said) > 0 && !bytes.HasPrefix(said, []byte("HTTP/1.1 431 ")) {
				t.Errorf("16 KiB: %s", said)
			}
		})
	}
}

func TestOneAddressLeavesRoomForOthers(t *testing.T) {
	c := configure(t)
	c.Limits = short()
	c.Limits.Header, c.Limits.Idle = time.Hour, time.Hour // nothing but their number ends them
	s, end := run(t, c)
	defer end()
	var open []net.Conn
	for range c.Limits.PerAddress {
		conn := secure(t, dial(t, s.Addr(), "127.0.0.1"))
		if got := answer(t, conn, health); got != http.StatusOK {
			t.Fatalf("one of those allowed: %d", got)
		}
		open = append(open, conn)
	}
	cut(t, dial(t, s.Addr(), "127.0.0.1"))
	if got := answer(t, secure(t, dial(t, s.Addr(), "127.0.0.2")), health); got != http.StatusOK {
		t.Errorf("another address: %d", got)
	}
	open[0].Close()
	for deadline := time.Now().Add(patience); ; {
		conn := tls.Client(dial(t, s.Addr(), "127.0.0.1"), &tls.Config{InsecureSkipVerify: true})
		if conn.Handshake() == nil { // there is room again
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a connection that ended is not free")
		}
	}
}

// However many addresses come, there is an end; what is open goes on.
func TestAllConnectionsAreBounded(t *testing.T) {
	c := configure(t)
	c.Limits = short()
	c.Limits.Header, c.Limits.Idle, c.Limits.Connections = time.Hour, time.Hour, 3
	s, end := run(t, c)
	defer end()
	var open []net.Conn
	for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		open = append(open, secure(t, dial(t, s.Addr(), from)))
	}
	cut(t, dial(t, s.Addr(), "127.0.0.4"))
	secure(t, dial(t, s.AgentAddr(), "127.0.0.4")).Close() // the agents have room of their own
	for _, conn := range open {
		if got := answer(t, conn, health); got != http.StatusOK {
			t.Errorf("one that was open: %d", got)
		}
	}
}

func TestWhomAConnectionCountsFor(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7/32",
		"::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8::1":      "2001:db8::/64",
		"2001:db8:0:0:9::": "2001:db8::/64",
		"2001:db8:0:1::1":  "2001:db8:0:1::/64",
	} {
		if got := server.SourceOf(&net.TCPAddr{IP: net.ParseIP(address)}).String(); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
