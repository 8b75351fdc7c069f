package feed

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/gabion/gabion"
)

// admissionCheck is how often a stream's certificate is held against the store.
// A deletion ends the stream at once where this server hears of it; this is for
// what it can't hear: that the host has joined again, maybe at another server, or
// that its own view of the store lags. A quarter of what is promised, 60 s.
const admissionCheck = 15 * time.Second

// guard ends a stream whose host may no longer have one.
func (s *Server) guard(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, serve grpc.StreamHandler) error {
	c, err := callerOf(stream.Context())
	if err != nil {
		return toStatus(s.log, err)
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	go func() {
		if reason := s.watchAdmission(ctx, c); reason != nil {
			cancel(reason)
		}
	}()
	err = serve(srv, guarded{stream, ctx})
	if reason := context.Cause(ctx); reason != nil && stream.Context().Err() == nil {
		return toStatus(s.log, reason)
	}
	return err
}

// guarded is a stream that ends with the guard's context.
type guarded struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is the stream's context.
func (g guarded) Context() context.Context { return g.ctx }

// watchAdmission returns why the caller's stream has to end; nil when ctx has ended.
// A store that does not answer ends no stream: nothing new can come through it.
func (s *Server) watchAdmission(ctx context.Context, c caller) error {
	for {
		sleep(ctx, s.admissionCheck)
		if ctx.Err() != nil {
			return nil
		}
		if !time.Now().Before(c.expires) {
			return errExpired(c.host)
		}
		if err := orDeleted(c.host, s.store.AdmitHost(ctx, c.host, c.certificate)); gabion.CodeOf(err) == gabion.CodeForbidden {
			return err
		}
	}
}

func errExpired(host string) error {
	return gabion.Forbidden("the certificate that host %q opened its stream with has expired: it comes back with the one that it renewed, or has to join again", host)
}
