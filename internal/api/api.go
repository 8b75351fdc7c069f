package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/gabion/gabion/internal/api/openapi"
)

// Base is the path that all routes of the contract are below.
const Base = "/v2"

const metricsPath = "/metrics"

// Config is what the API stands on.
type Config struct {
	Store       Store
	Enforcement Enforcement
	Inventory   Inventory
	Explainer   Explainer
	Flows       Flows
	Receipts    Receipts
	Telemetry   Telemetry
	Metrics     *Metrics
	// Stopping is closed when the server is about to stop: streams end then.
	Stopping <-chan struct{}
	// MintToken makes a join token for a host: its text, and the hash to store.
	MintToken func(host string) (text string, hash [32]byte, err error)
	// Ready tells why the server can't serve; nil if it can.
	Ready func(context.Context) error

	Zone             string // name of the one zone
	LiveGroupChanges bool   // running instances may change their groups
	Version          string // of the server
	// RateLimit is how many requests a key may make in a second, and five times as
	// many at once; wrong signatures and sign-ins are limited beside it. 0: no limit.
	RateLimit int
	Log       *slog.Logger
}

// api implements the contract's operations, one method each.
type api struct {
	Config
	replays     *replays
	limits      *limits
	credentials *credentials
	streams     streams
	routes      chi.Routes
}

var _ openapi.ServerInterface = (*api)(nil)

// New is the handler of the whole surface: the contract's routes below Base, and
// the probes beside it.
func New(c Config) http.Handler {
	router := chi.NewRouter()
	a := &api{Config: c, replays: newReplays(), limits: newLimits(c.RateLimit), credentials: newCredentials(), routes: router}
	router.NotFound(noRoute)
	router.MethodNotAllowed(wrongMethod(router))
	router.Get("/healthz", func(http.ResponseWriter, *http.Request) {})
	router.Get("/readyz", a.readyz)
	router.Method(http.MethodGet, metricsPath, a.serveMetrics())
	router.Route(Base, func(contract chi.Router) {
		contract.Use(a.authenticate, a.replay)
		openapi.HandlerWithOptions(a, openapi.ChiServerOptions{
			BaseRouter:       contract.With(a.allow, onlyIDs),
			ErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) { a.refuse(w, r, parameterError(err)) },
		})
	})
	return a.observe(limitBody(router))
}

func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	if err := a.Ready(r.Context()); err != nil {
		problem(w, http.StatusServiceUnavailable, unavailable(err))
	}
}
