package feed_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
)

// liar accepts connections as the configuration says, and tells of each how many
// bytes it was sent once TLS stood; -1 where it never stood.
func liar(t *testing.T, config *tls.Config) (addr string, heard <-chan int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config.NextProtos = []string{"h2"}
	counts := make(chan int, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { counts <- listenTo(conn, config) }()
		}
	}()
	return l.Addr().String(), counts
}

func listenTo(conn net.Conn, config *tls.Config) int {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(patience)) != nil {
		return -1
	}
	secured := tls.Server(conn, config)
	if secured.Handshake() != nil {
		return -1
	}
	n, _ := secured.Read(make([]byte, 4096))
	return n
}

// A host that joins verifies its server before it says a word: whoever is not of
// the authority that the token names hears nothing.
func TestLyingServerHearsNothing(t *testing.T) {
	dir := t.TempDir()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ca.MintToken("hv1")
	if err != nil {
		t.Fatal(err)
	}
	serving := func(c tls.Certificate, chain ...[]byte) *tls.Config {
		c.Certificate = append([][]byte{c.Certificate[0]}, chain...)
		return &tls.Config{Certificates: []tls.Certificate{c}}
	}
	own, stranger := serverPair(t, ca), newCA(t)
	old := serving(own, ca.Raw())
	old.MaxVersion = tls.VersionTLS12
	for name, config := range map[string]*tls.Config{
		"of another authority":                      serving(serverPair(t, stranger), stranger.Raw()),
		"that shows ours behind its certificate":    serving(serverPair(t, stranger), ca.Raw()),
		"that shows ours behind, and its own first": serving(serverPair(t, stranger), stranger.Raw(), ca.Raw()),
		"that is a host of ours":                    serving(identity(t, ca, "hv2").TLS().Certificates[0], ca.Raw()),
		"that does not name its authority":          serving(own),
		"of TLS 1.2":                                old,
	} {
		t.Run(name, func(t *testing.T) {
			addr, heard := liar(t, config)
			if _, err := feed.Join(context.Background(), addr, token); err == nil {
				t.Fatal("joined")
			}
			if n := <-heard; n != -1 {
				t.Errorf("it heard %d bytes", n)
			}
		})
	}
	t.Run("control: the right one", func(t *testing.T) {
		addr, heard := liar(t, serving(own, ca.Raw()))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { _, _ = feed.Join(ctx, addr, token) }() // it never answers
		if n := <-heard; n <= 0 {
			t.Errorf("it heard %d bytes, want the token", n)
		}
	})
}

func serverPair(t *testing.T, ca *pki.CA) tls.Certificate {
	t.Helper()
	s, err := ca.ServerCertificate(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := s.TLS().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return *pair
}
