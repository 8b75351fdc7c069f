package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
)

// metrics are the agent's, for whoever may reach the address. They name nothing of a
// tenant's: reasons are all that there are labels of.
type metrics struct {
	address  string // empty: nobody is answered
	verdicts func() ([]datapath.Counter, error)
	rules    func() (map[string]datapath.Hits, error)
	witness  *witness
	enforcer *enforcer
	client   interface{ Connected() bool }
	applies  prometheus.Histogram
	log      *slog.Logger
}

func newApplies() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "gabion_agent_apply_duration_seconds", Help: "How long it took to bring the kernel to a policy.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
}

// timed is a datapath that measures.
type timed struct {
	Datapath
	applies prometheus.Observer
}

func (t timed) Apply(ctx context.Context, v *policy.View, links map[string]int) error {
	begun := time.Now()
	defer func() { t.applies.Observe(time.Since(begun).Seconds()) }()
	return t.Datapath.Apply(ctx, v, links)
}

var (
	readyDesc   = prometheus.NewDesc("gabion_agent_ready", "1 if the newest policy is in force.", nil, nil)
	streamDesc  = prometheus.NewDesc("gabion_agent_connected", "1 if there is a stream from the server.", nil, nil)
	rulesDesc   = prometheus.NewDesc("gabion_agent_rules", "Rules in force.", nil, nil)
	packetsDesc = prometheus.NewDesc("gabion_agent_packets_total", "Packets of instances, by what became of them and why.", []string{"verdict", "reason"}, nil)
	eventsDesc  = prometheus.NewDesc("gabion_agent_flow_events_total", "Flow events that the programs told.", nil, nil)
	unheardDesc = prometheus.NewDesc("gabion_agent_flow_events_lost_total", "Flow events that were too many to be told.", nil, nil)
)

// Describe says nothing: what can't be read is left out.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads everything anew.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	emit(readyDesc, prometheus.GaugeValue, one(m.enforcer.Ready() == nil))
	emit(streamDesc, prometheus.GaugeValue, one(m.client.Connected()))
	emit(eventsDesc, prometheus.CounterValue, float64(m.witness.told.Load()))
	emit(unheardDesc, prometheus.CounterValue, float64(m.witness.lost.Load()))
	if rules, err := m.rules(); err == nil {
		emit(rulesDesc, prometheus.GaugeValue, float64(len(rules)))
	}
	counters, err := m.verdicts()
	if err != nil {
		m.log.Warn("metrics lack packets", "error", err)
		return
	}
	sums := map[gabion.Reason]uint64{}
	for _, c := range counters {
		sums[c.Reason] += c.Packets
	}
	for reason, n := range sums {
		emit(packetsDesc, prometheus.CounterValue, float64(n), reason.Verdict().String(), reason.String())
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (m *metrics) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m, m.applies, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// run serves until ctx ends. An agent that can't be asked filters nonetheless.
func (m *metrics) run(ctx context.Context) error {
	if m.address == "" {
		return nil
	}
	if err := m.serve(ctx); err != nil {
		m.log.Error("metrics are not served", "address", m.address, "error", err)
	}
	return nil
}

func (m *metrics) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	s := &http.Server{Addr: m.address, Handler: mux, ReadHeaderTimeout: time.Second, WriteTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
