package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/flow"
)

// Telemetry is what the stream to hosts has to count.
type Telemetry interface {
	// Reasons are how many packets hosts have dropped for each reason.
	Reasons() map[gabion.Reason]uint64
	// Watching is who watches events, and how many there were.
	Watching() flow.HubStats
	// Disagreements is how often loaded programs decided otherwise than the policy.
	Disagreements() uint64
	// Connected is how many hosts have a stream to this server.
	Connected() int
}

// Metrics are the server's. Labels are reasons, methods, codes and hosts: never
// anything that a tenant can make more of.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	enforcement prometheus.Histogram
}

// NewMetrics are metrics that nothing was counted in yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gabion_http_requests_total", Help: "Requests to the API that were answered.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gabion_http_request_duration_seconds", Help: "How long answers took; streams don't count.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"method"}),
		enforcement: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gabion_enforcement_duration_seconds", Help: "From the commit of a change to a host's acknowledgement.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.enforcement,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Register adds what somebody else counts.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Enforced counts that a host took so long to enforce a change.
func (m *Metrics) Enforced(took time.Duration) { m.enforcement.Observe(took.Seconds()) }

func (m *Metrics) answered(r *http.Request, status int, took time.Duration) {
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "other" // anybody can make methods up
	}
	m.requests.WithLabelValues(method, strconv.Itoa(status)).Inc()
	if r.URL.Path != Base+"/flow" {
		m.duration.WithLabelValues(method).Observe(took.Seconds())
	}
}

// serveMetrics answers Prometheus, who shows an operator's key and secret.
func (a *api) serveMetrics() http.Handler {
	a.Metrics.registry.MustRegister(&gauges{a})
	handler := promhttp.HandlerFor(a.Metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, err := a.scraper(r); err != nil {
			a.refuseScrape(w, r, key, err)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

func (a *api) refuseScrape(w http.ResponseWriter, r *http.Request, key gabion.Key, err error) {
	switch {
	case a.heldUp(w, r, a.limits.wrong, key, err):
	case errors.Is(err, errScrape):
		w.Header().Set("WWW-Authenticate", `Basic realm="gabion metrics"`)
		problem(w, http.StatusUnauthorized, errScrape)
	default:
		a.refuse(w, r, err)
	}
}

var errScrape = gabion.Forbidden("metrics are the operator's: give an operator's key as user and its secret as password")

// scraper is the operator's key that the request shows. With an error it is the key
// that there is, for the log.
func (a *api) scraper(r *http.Request) (gabion.Key, error) {
	id, secret, _ := r.BasicAuth()
	if !isKeyID(id) {
		return gabion.Key{}, errScrape
	}
	key, shown, err := a.keyShown(r, id, a.limits.wrong, isSecret(secret))
	if err == nil && (!shown || !key.Operator || key.Expired(time.Now())) {
		err = errScrape
	}
	return key, err
}

// gauges are what is read when Prometheus asks.
type gauges struct{ *api }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	hostsDesc         = describe("gabion_hosts", "Hosts by state: waiting, online, offline, failing.", "state")
	behindDesc        = describe("gabion_host_behind", "1 if a change that concerns the host is not enforced there yet.", "host")
	hostRevisionDesc  = describe("gabion_host_revision", "Newest policy revision that the host enforces.", "host")
	seenDesc          = describe("gabion_host_last_seen_timestamp_seconds", "When the host was last heard of.", "host")
	tookDesc          = describe("gabion_host_enforcement_seconds", "How long the host took to enforce the last change.", "host")
	unprotectedDesc   = describe("gabion_host_unprotected_ports", "Ports of bridges of instances that nothing filters.", "host")
	repairsDesc       = describe("gabion_host_repairs_total", "How often the host repaired what something else had changed, since its agent started.", "host")
	revisionDesc      = describe("gabion_policy_revision", "Newest revision that this server has seen.")
	connectedDesc     = describe("gabion_connected_hosts", "Hosts that have their stream to this server.")
	droppedDesc       = describe("gabion_dropped_packets_total", "Packets that hosts have dropped, as far as this server knows of them.", "reason")
	watchersDesc      = describe("gabion_flow_watchers", "Streams of flow events that are open.")
	toldDesc          = describe("gabion_flow_events_total", "Flow events that were handed to watchers.")
	lostDesc          = describe("gabion_flow_events_lost_total", "Flow events that watchers were told to be lost.")
	disagreementsDesc = describe("gabion_explain_disagreements_total", "How often loaded programs decided otherwise than the policy.")
)

// Describe says nothing, which makes the gauges unchecked: hosts come and go.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// scrapeTimeout is how long the store may take.
const scrapeTimeout = 5 * time.Second

// Collect reads everything anew.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(revisionDesc, float64(g.Receipts.Revision()))
	gauge(connectedDesc, float64(g.Telemetry.Connected()))
	counter(disagreementsDesc, float64(g.Telemetry.Disagreements()))
	for reason, n := range g.Telemetry.Reasons() {
		counter(droppedDesc, float64(n), reason.String())
	}
	s := g.Telemetry.Watching()
	gauge(watchersDesc, float64(s.Watchers))
	counter(toldDesc, float64(s.Told))
	counter(lostDesc, float64(s.Lost))
	g.collectHosts(gauge, counter)
}

type emit func(d *prometheus.Desc, v float64, labels ...string)

func (g *gauges) collectHosts(gauge, counter emit) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	hosts, statuses, err := g.Store.Hosts(ctx)
	if err != nil {
		g.Log.Warn("metrics lack hosts", "error", err)
		return
	}
	last := map[string]gabion.HostStatus{}
	for _, s := range statuses {
		last[s.Host] = s
	}
	states := map[string]float64{"waiting": 0, "online": 0, "offline": 0, "failing": 0}
	for _, h := range hosts {
		s := last[h.Name]
		states[string(hostBody(h, s, time.Now()).State)]++
		gauge(behindDesc, one(!g.Receipts.Current(h.Name)), h.Name)
		gauge(hostRevisionDesc, float64(s.Revision), h.Name)
		gauge(unprotectedDesc, float64(len(s.UnprotectedPorts)), h.Name)
		counter(repairsDesc, float64(s.Drifts), h.Name)
		if !s.LastSeen.IsZero() {
			gauge(seenDesc, float64(s.LastSeen.UnixMilli())/1000, h.Name)
		}
		if s.Took != nil {
			gauge(tookDesc, s.Took.Seconds(), h.Name)
		}
	}
	for state, n := range states {
		gauge(hostsDesc, n, state)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
