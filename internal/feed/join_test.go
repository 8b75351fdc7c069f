package feed_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
)

// mint makes a token that the store knows until it expires.
func (z *zone) mint(t *testing.T, host string, life time.Duration) pki.JoinToken {
	t.Helper()
	token, err := z.ca.MintToken(host)
	if err != nil {
		t.Fatal(err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.tokens[token.Hash()] = gabion.JoinToken{Host: host, Hash: token.Hash(), Expires: time.Now().Add(life)}
	return token
}

func TestJoin(t *testing.T) {
	z := newZone(t, populated())
	token := z.mint(t, "hv1", time.Minute)
	id, err := feed.Join(context.Background(), z.addr, token)
	if err != nil {
		t.Fatal(err)
	}
	if id.Host != "hv1" {
		t.Errorf("joined as %q, want hv1", id.Host)
	}
	r := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: id, Receiver: r})
	r.await(t, "replace")

	if _, err := feed.Join(context.Background(), z.addr, token); gabion.CodeOf(err) != gabion.CodeForbidden {
		t.Errorf("the second use of a token: got %v, want it forbidden", err)
	}
}

func TestJoinRefused(t *testing.T) {
	z := newZone(t, populated())
	unused := z.mint(t, "hv1", time.Minute)
	for name, tt := range map[string]struct {
		token func() pki.JoinToken
		says  string
	}{
		"expired": {func() pki.JoinToken { return z.mint(t, "hv1", -time.Minute) }, "expired"},
		"unknown": {func() pki.JoinToken {
			token, err := z.ca.MintToken("hv1")
			if err != nil {
				t.Fatal(err)
			}
			return token
		}, "unknown or used"},
		"altered secret": {func() pki.JoinToken {
			token := unused
			token.Secret[0] ^= 1
			return token
		}, "unknown or used"},
		"altered host": {func() pki.JoinToken {
			token := z.mint(t, "hv1", time.Minute)
			token.Host = "hv2"
			return token
		}, "altered"},
		"of another authority": {func() pki.JoinToken {
			token := unused
			token.CA[0] ^= 1
			return token
		}, pki.ErrWrongCA.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := feed.Join(context.Background(), z.addr, tt.token())
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line that says %q", err, tt.says)
			}
		})
	}
	if _, err := feed.Join(context.Background(), z.addr, unused); err != nil {
		t.Errorf("a token that was altered on the way is used up: %v", err)
	}
}

func TestSecretIsNotSaidToAStranger(t *testing.T) {
	z := newZone(t, populated())
	token := z.mint(t, "hv1", time.Minute)
	stranger := newZone(t, populated())
	if _, err := feed.Join(context.Background(), stranger.addr, token); !errors.Is(err, pki.ErrWrongCA) {
		t.Errorf("got %v, want ErrWrongCA", err)
	}
	if _, err := feed.Join(context.Background(), z.addr, token); err != nil {
		t.Errorf("the token was used up: %v", err)
	}
}

func TestJoinWithABadRequestKeepsTheToken(t *testing.T) {
	z := newZone(t, populated())
	token := z.mint(t, "hv1", time.Minute)
	client := feedpb.NewFeedClient(dial(t, z.addr, token.TLS()))
	_, err := client.Join(context.Background(), &feedpb.JoinRequest{Token: token.String(), Csr: []byte("garbage")})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want it invalid", err)
	}
	if _, err := feed.Join(context.Background(), z.addr, token); err != nil {
		t.Errorf("the token was used up: %v", err)
	}
}

func TestJoinWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	token, err := newCA(t).MintToken("hv1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = feed.Join(context.Background(), l.Addr().String(), token)
	if err == nil || !strings.Contains(err.Error(), "reach server "+l.Addr().String()) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want it to say which server could not be reached and why", err)
	}
}

func TestJoinAtThePortOfTheAPI(t *testing.T) {
	ca := newCA(t)
	cert, err := ca.ServerCertificate(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewUnstartedServer(http.NotFoundHandler())
	api.TLS, api.EnableHTTP2 = cert.TLS(), true
	api.StartTLS()
	defer api.Close()
	token, err := ca.MintToken("hv1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = feed.Join(context.Background(), api.Listener.Addr().String(), token)
	if err == nil || !strings.Contains(err.Error(), "it is not for agents") {
		t.Errorf("got %v, want it to say that this is the wrong port", err)
	}
}

func TestCertificateIsNeeded(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	withoutCertificate := &tls.Config{RootCAs: z.ca.Pool(), ServerName: pki.ServerName}
	client := feedpb.NewFeedClient(dial(t, z.addr, withoutCertificate))
	if _, err := client.Renew(context.Background(), &feedpb.RenewRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("renew: got %v, want it forbidden", err)
	}
	stream, err := client.Sync(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("sync: got %v, want it forbidden", err)
	}
}

func TestRenew(t *testing.T) {
	z := newZone(t, populated(), "hv1")
	id := identity(t, z.ca, "hv1")
	renewed, err := feed.RenewIdentity(context.Background(), z.addr, id)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Host != "hv1" || renewed.Certificate().Equal(id.Certificate()) {
		t.Errorf("got the certificate of %q, want a new one of hv1", renewed.Host)
	}
	if z.renewedFrom != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the renewal is recorded from %q, want the host's address", z.renewedFrom)
	}
	z.deleteHost("hv1")
	if _, err := feed.RenewIdentity(context.Background(), z.addr, id); gabion.CodeOf(err) != gabion.CodeForbidden {
		t.Errorf("a deleted host: got %v, want it forbidden", err)
	}
}

// Whoever has stolen a certificate has to steal the next one, too.
func TestCertificateOfAnEarlierJoinOpensNothing(t *testing.T) {
	z := newZone(t, populated())
	join := func() *pki.Identity {
		id, err := feed.Join(context.Background(), z.addr, z.mint(t, "hv1", time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	stolen := join()
	z.deleteHost("hv1")
	own := join()

	stream := rawStream(t, z, stolen)
	greet(t, stream)
	if m, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("sync: got %v, %v; want it forbidden", m, err)
	}
	if _, err := feed.RenewIdentity(context.Background(), z.addr, stolen); gabion.CodeOf(err) != gabion.CodeForbidden {
		t.Errorf("renew: got %v, want it forbidden", err)
	}
	renewed, err := feed.RenewIdentity(context.Background(), z.addr, own)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: renewed, Receiver: r})
	r.await(t, "replace")
}
