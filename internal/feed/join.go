package feed

import (
	"context"
	"crypto/tls"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
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

// maxFromHost bounds a message of a host: an observation of some thousand instances.
const maxFromHost = 1 << 20

// GRPC is the gRPC server that serves hosts. The TLS configuration verifies
// client certificates but does not require one: a host that joins has none.
func (s *Server) GRPC(config *tls.Config) *grpc.Server {
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: probeAfter, Timeout: probeWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: probeAfter / 2, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(probeAfter),
		grpc.MaxRecvMsgSize(maxFromHost),
		grpc.MaxConcurrentStreams(8),
	)
	feedpb.RegisterFeedServer(g, s)
	return g
}

// hostOf is the host that the caller's verified certificate names.
func hostOf(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", gabion.Forbidden("the caller is not known")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", gabion.Forbidden("a certificate is needed: join first")
	}
	return pki.HostOf(info.State.VerifiedChains[0][0])
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
	host, err := s.store.RedeemJoinToken(ctx, token.Hash(), time.Now())
	if err != nil {
		return nil, toStatus(s.log, err)
	}
	if host != token.Host {
		return nil, toStatus(s.log, gabion.Forbidden("the join token was altered: it is for another host than it says"))
	}
	s.log.Info("host joined", "host", host)
	return &feedpb.JoinReply{Certificate: cert, Ca: s.authority.Raw(), Host: host}, nil
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
	host, err := hostOf(ctx)
	if err != nil {
		return nil, err
	}
	hosts, _, err := s.store.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(hosts, func(h gabion.Host) bool { return h.Name == host }) {
		return nil, errDeleted(host)
	}
	cert, err := s.authority.SignHost(host, m.Csr)
	if err != nil {
		return nil, err
	}
	s.log.Info("host renewed its certificate", "host", host)
	return &feedpb.JoinReply{Certificate: cert, Ca: s.authority.Raw(), Host: host}, nil
}
