package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/internal/console"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/store"
)

const (
	startTimeout    = 90 * time.Second // an etcd with a long log to replay
	shutdownTimeout = 5 * time.Second  // for requests under way
)

// Server is a running control plane.
type Server struct {
	config    Config
	listener  net.Listener    // of the API
	plain     net.Listener    // of the API without TLS; nil if there is none
	given     *pki.Files      // the API's certificate; nil if it is our own
	agents    net.Listener    // of the stream
	etcd      *store.Embedded // nil with an external cluster
	store     *store.Store
	feed      *feed.Server
	health    *health
	condition *condition
	http      *http.Server // of the API
	metrics   *api.Metrics
	stopping  chan struct{} // closed when the API is about to stop
	stream    *grpc.Server
	closers   []func() error // in the order of opening

	filesCheck time.Duration // how often given files are read again
	late       time.Duration // by which the server learns of changes too late; only in tests
}

// Run runs a server until ctx ends or it can't go on.
func Run(ctx context.Context, c Config) error {
	s, err := New(ctx, c)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// New starts everything that a server stands on. Addresses that are taken are
// found out before anything is written.
func New(ctx context.Context, c Config) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	s := &Server{config: c, filesCheck: filesCheck}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, step := range []func(context.Context) error{s.listen, s.openGiven, s.openDir, s.openStore, s.openSurfaces} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// openDir makes the data directory, and its name absolute: that goes into admin.env.
func (s *Server) openDir(context.Context) (err error) {
	if s.config.DataDir, err = filepath.Abs(s.config.DataDir); err != nil {
		return fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(s.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	return nil
}

// openStore connects to etcd, which it starts first if it is ours.
func (s *Server) openStore(ctx context.Context) (err error) {
	endpoints := s.config.EtcdEndpoints
	if len(endpoints) == 0 {
		etcd, err := store.StartEmbedded(s.config.DataDir, s.config.Log)
		if err != nil {
			return err
		}
		s.etcd = etcd
		s.onClose(etcd.Close)
		endpoints = []string{etcd.Endpoint()}
	}
	if s.store, err = s.config.connect(ctx, endpoints); err != nil {
		return err
	}
	s.onClose(s.store.Close)
	s.health = &health{ask: s.store.Epoch}
	s.condition = &condition{store: s.store, log: s.config.Log}
	return nil
}

// openSurfaces makes what clients and agents talk to.
func (s *Server) openSurfaces(ctx context.Context) error {
	if err := s.checkOwner(ctx); err != nil {
		return err
	}
	_, key, err := s.store.Bootstrap(ctx)
	if err != nil {
		return err
	}
	ca, err := s.openAuthority(ctx)
	if err != nil {
		return err
	}
	certificate, err := ca.ServerCertificate(s.config.DataDir, s.config.Listen, s.config.AgentListen)
	if err != nil {
		return err
	}
	s.openFeed(ca, certificate)
	s.openAPI(ca, s.apiTLS(certificate))
	if key.ID == "" {
		s.config.Log.Warn("the operator's key that admin.env was about is gone or has expired; others go on; if there is none: gabion recover-key --data-dir " + s.config.DataDir)
		return nil
	}
	return writeAdminEnv(s.config.DataDir, s.config.Zone, s.listener.Addr(), s.leaf(), key)
}

func (s *Server) openAPI(ca *pki.CA, config *tls.Config) {
	s.stopping, s.metrics = make(chan struct{}), api.NewMetrics()
	s.feed.OnEnforced = s.metrics.Enforced
	s.metrics.Register(s.condition)
	s.http = &http.Server{Handler: beside(tolerateStale(s.handler(ca)), console.Handler()), TLSConfig: config, ErrorLog: connectionLog(s.config.Log)}
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(s.stopping) }))
	s.config.Limits.apply(s.http)
}

func (s *Server) handler(ca *pki.CA) http.Handler {
	return api.New(api.Config{
		Store:       s.store,
		Enforcement: s.feed,
		Inventory:   s.feed,
		Explainer:   s.feed,
		Flows:       s.feed,
		Receipts:    s.feed,
		Telemetry:   s.feed,
		Metrics:     s.metrics,
		Stopping:    s.stopping,
		MintToken: func(host string) (string, [32]byte, error) {
			token, err := ca.MintToken(host)
			if err != nil {
				return "", [32]byte{}, err
			}
			return token.String(), token.Hash(), nil
		},
		Ready:            s.ready,
		Zone:             s.config.Zone,
		LiveGroupChanges: s.config.LiveGroupChanges,
		Version:          s.config.Version,
		RateLimit:        s.config.RateLimit,
		Log:              s.config.Log,
	})
}

// connectionLog takes what the HTTP server has to say of connections: broken
// handshakes and the like, which anybody can cause.
func connectionLog(to *slog.Logger) *log.Logger {
	return slog.NewLogLogger(to.Handler(), slog.LevelDebug)
}

// Addr is where the API listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// PlainAddr is where the API listens without TLS; nil if nowhere.
func (s *Server) PlainAddr() net.Addr {
	if s.plain == nil {
		return nil
	}
	return s.plain.Addr()
}

// AgentAddr is where agents are served.
func (s *Server) AgentAddr() net.Addr { return s.agents.Addr() }

// Run serves until ctx ends or a part fails for good, and closes the server.
func (s *Server) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return s.feed.Run(ctx) })
	tasks.Go(func() error { return s.serveFeed(ctx) })
	tasks.Go(func() error { return s.serveAPI() })
	tasks.Go(func() error { return s.servePlain() })
	tasks.Go(func() error { return s.watchCertificate(ctx) })
	tasks.Go(func() error { return s.watchEtcd(ctx) })
	tasks.Go(func() error { return s.condition.run(ctx) })
	tasks.Go(func() error {
		<-ctx.Done()
		return s.shutdown()
	})
	s.config.Log.Info("serving", "api", s.listener.Addr().String(), "agents", s.agents.Addr().String(), "data_dir", s.config.DataDir)
	return errors.Join(tasks.Wait(), s.close())
}

func (s *Server) serveAPI() error {
	if err := s.http.ServeTLS(s.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve API: %w", err)
	}
	return nil
}

func (s *Server) servePlain() error {
	if s.plain == nil {
		return nil
	}
	if err := s.http.Serve(s.plain); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve API without TLS: %w", err)
	}
	return nil
}

// watchEtcd ends the server when its own etcd has stopped by itself.
func (s *Server) watchEtcd(ctx context.Context) error {
	if s.etcd == nil {
		return nil
	}
	select {
	case err := <-s.etcd.Failed():
		return fmt.Errorf("embedded etcd stopped: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// shutdown lets requests under way end, for a while. Streams have no end, and
// neither has a client that says nothing: they are cut.
func (s *Server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.config.Log.Warn("requests under way were cut", "after", shutdownTimeout)
		err = s.http.Close()
	}
	if err != nil {
		return fmt.Errorf("end requests: %w", err)
	}
	return nil
}

func (s *Server) onClose(f func() error) { s.closers = append(s.closers, f) }

// close undoes what New did, in reverse order.
func (s *Server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}
