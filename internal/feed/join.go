package feed

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
)

// A connection that no longer carries anything is noticed, at either end, after
// a silence of probeAfter and probeWait more.
const (
	probeAfter = 10 * time.Second
	probeWait  = 5 * time.Second
)

// idleAfter is how long a connection may stay that has no call on it: anybody can
// open one, but only a host has a stream to keep it for.
const idleAfter = time.Minute

// maxFromHost bounds a message of a host: an observation of some thousand instances.
const maxFromHost = 1 << 20

// GRPC is the gRPC server that serves hosts. The TLS configuration verifies
// client certificates but does not require one: a host that joins has none.
func (s *Server) GRPC(config *tls.Config) *grpc.Server {
	g := grpc.NewServer(
		grpc.Creds(hearing{credentials.NewTLS(config)}),
		grpc.StreamInterceptor(s.guard),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: probeAfter, Timeout: probeWait, MaxConnectionIdle: idleAfter}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: probeAfter / 2, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(probeAfter),
		grpc.MaxRecvMsgSize(maxFromHost),
		grpc.MaxConcurrentStreams(8),
	)
	feedpb.RegisterFeedServer(g, s)
	grpc_health_v1.RegisterHealthServer(g, health{server: s})
	return g
}

// caller is who a host proved to be.
type caller struct {
	host        string
	certificate [32]byte // SHA-256
	expires     time.Time
}

// callerOf is the host that the verified certificate names.
func callerOf(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, gabion.Forbidden("the caller is not known")
	}
	info, ok := tlsOf(p)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return caller{}, gabion.Forbidden("a certificate is needed: join first")
	}
	cert := info.State.VerifiedChains[0][0]
	host, err := pki.HostOf(cert)
	return caller{host, sha256.Sum256(cert.Raw), cert.NotAfter}, err
}

// admit is the host that calls, if the store knows it by its certificate.
func (s *Server) admit(ctx context.Context) (string, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return "", err
	}
	return c.host, orDeleted(c.host, s.store.AdmitHost(ctx, c.host, c.certificate))
}

// orDeleted is the error of a call to the store, as a host that was deleted has to read it.
func orDeleted(host string, err error) error {
	if gabion.CodeOf(err) == gabion.CodeNotFound {
		return errDeleted(host)
	}
	return err
}

// Join trades a token for a certificate. The certificate is made first, so that
// a request that can't be signed leaves the token unused.
func (s *Server) Join(ctx context.Context, m *feedpb.JoinRequest) (*feedpb.JoinReply, error) {
	token, err := pki.ParseToken(m.Token)
	if err != nil {
		return nil, toStatus(s.log, err)
	}
	cert, err := s.authority.SignHost(token.Host, m.Csr)
	if err != nil {
		return nil, toStatus(s.log, err)
	}
	ctx = gabion.WithActor(ctx, gabion.Actor{Remote: remote(ctx)})
	if err := s.store.RedeemJoinToken(ctx, token.Host, token.Hash(), time.Now(), sha256.Sum256(cert)); err != nil {
		s.deny(ctx, token.Host, err)
		return nil, toStatus(s.log, err)
	}
	s.log.Info("host joined", "host", token.Host)
	return &feedpb.JoinReply{Certificate: cert, Ca: s.authority.Raw(), Host: token.Host}, nil
}

// deny records that a host may not join: with a token that was used already, somebody
// else may have joined in its place.
func (s *Server) deny(ctx context.Context, host string, err error) {
	if gabion.CodeOf(err) != gabion.CodeForbidden {
		return
	}
	e := gabion.AuditEntry{Log: gabion.InstallationLog, Action: "join-host", Subject: host, Message: err.Error()}
	if from := gabion.ActorOf(ctx).Remote; from.IsValid() {
		e.Remote = from.String()
	}
	if err := s.store.Deny(ctx, e); err != nil {
		s.log.Warn("denial not recorded", "host", host, "error", err)
	}
}

// remote is the address that the call came from; not valid if it has none.
func remote(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// Renew trades a request for a new certificate of the host that calls.
func (s *Server) Renew(ctx context.Context, m *feedpb.RenewRequest) (*feedpb.JoinReply, error) {
	reply, err := s.renew(ctx, m)
	if err != nil {
		return nil, toStatus(s.log, err)
	}
	return reply, nil
}

func (s *Server) renew(ctx context.Context, m *feedpb.RenewRequest) (*feedpb.JoinReply, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	cert, err := s.authority.SignHost(c.host, m.Csr)
	if err != nil {
		return nil, err
	}
	ctx = gabion.WithActor(ctx, gabion.Actor{Remote: remote(ctx)})
	if err := s.store.RenewHost(ctx, c.host, c.certificate, sha256.Sum256(cert)); err != nil {
		return nil, orDeleted(c.host, err)
	}
	s.log.Info("host renewed its certificate", "host", c.host)
	return &feedpb.JoinReply{Certificate: cert, Ca: s.authority.Raw(), Host: c.host}, nil
}
