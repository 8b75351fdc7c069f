package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/store"
)

// history is the store as the feed sees it.
type history struct {
	*store.Store
	late *time.Duration // how long each event is held back
}

// Snapshot is everything at one revision.
func (h history) Snapshot(ctx context.Context) (feed.Event, error) {
	e, err := h.Store.Snapshot(ctx)
	return feed.Event(e), err
}

// Watch yields what each revision after that one changes.
func (h history) Watch(ctx context.Context, after int64) <-chan feed.Event {
	events := make(chan feed.Event)
	go func() {
		defer close(events)
		for e := range h.Store.Watch(ctx, after) {
			time.Sleep(*h.late)
			select {
			case events <- feed.Event(e):
			case <-ctx.Done(): // ends the store's watch, too
			}
		}
	}()
	return events
}

func (s *Server) openFeed(ca *pki.CA, certificate *pki.ServerCertificate) {
	s.feed = feed.NewServer(history{s.store, &s.late}, ca, s.config.Log)
	s.stream = s.feed.GRPC(certificate.MutualTLS())
}

// serveFeed serves hosts until ctx ends. Their streams have no end of their own:
// they are cut, and the hosts come back when a server does.
func (s *Server) serveFeed(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.stream.Stop)
	defer stop()
	if err := s.stream.Serve(s.agents); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve agents: %w", err)
	}
	return nil
}

// ready tells why the server can't serve; nil if it can.
func (s *Server) ready(ctx context.Context) error {
	if err := s.feed.Ready(); err != nil {
		return err
	}
	return s.health.check(ctx)
}
