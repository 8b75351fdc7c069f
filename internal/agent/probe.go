package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// probeSocket is where the agent on this host can be asked how it is: HTTP over
// a Unix socket in the state directory, /healthz and /readyz.
const probeSocket = "agent.sock"

// probe answers whether the policy is in force.
type probe struct {
	path  string
	ready func() error
	log   *slog.Logger
}

// run serves until ctx ends. An agent that can't be asked filters nonetheless.
func (p probe) run(ctx context.Context) error {
	if err := p.serve(ctx); err != nil {
		p.log.Warn("the agent can't be asked how it is", "socket", p.path, "error", err)
	}
	return nil
}

func (p probe) serve(ctx context.Context) error {
	// What a crash left behind; the lock of the directory says that it is ours.
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old socket: %w", err)
	}
	l, err := net.Listen("unix", p.path)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: p.handler(), ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (p probe) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}
