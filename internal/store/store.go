package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// patience is how long a call waits for etcd before it says unavailable.
const patience = 4 * time.Second

// leastPatience is what is left of it to a change that has waited long for its turn.
const leastPatience = patience / 8

// Config says which etcd holds the state.
type Config struct {
	Endpoints []string    // of a cluster, or Embedded.Endpoint
	TLS       *tls.Config // nil for the embedded member
	Sealer    *Sealer
	Log       *slog.Logger
}

// Store is the state of Gabion. Its methods may be called at the same time, and
// by several servers on one etcd.
type Store struct {
	client  *clientv3.Client
	sealer  *Sealer
	log     *slog.Logger
	lanes   lanes
	keys    sync.Map // organization of an API key, by its id: that never changes
	touched sync.Map // when this server last noted the use of an API key, by its id
	poison  poisonList
	stale   atomic.Uint64 // reads that may have been out of date

	denials *denials
	stop    context.CancelFunc // of the sweep
	swept   chan struct{}      // closed when the sweep has ended
}

// Connect opens the store. It refuses one that another version of the schema has
// written, and is unavailable if etcd does not answer.
func Connect(ctx context.Context, c Config) (*Store, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints,
		TLS:       c.TLS,
		Logger:    zap.NewNop(), // what fails is returned, or logged by us
		// A connection that no longer carries anything is noticed in 13 s.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		MaxCallSendMsgSize:   maxRequest, // what is too large for a cluster, that says
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	s := &Store{client: client, sealer: c.Sealer, log: c.Log}
	if err := s.checkSchema(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to etcd at %s: %w", strings.Join(c.Endpoints, ", "), err), client.Close())
	}
	s.denials = newDenials(c.Log, s.recordDenials)
	sweeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.swept = stop, make(chan struct{})
	go s.sweep(sweeping)
	return s, nil
}

// Close writes what waits to be written, and ends all calls and watches.
func (s *Store) Close() error {
	s.stop()
	<-s.swept
	s.denials.close()
	return s.client.Close()
}
