package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gabion/gabion/internal/store"
)

const (
	conditionCheck = 15 * time.Second
	// nearlyFull is the share of the store's quota from which on operators are told.
	nearlyFull = 0.8
)

// condition knows how full the store is, tells of what changes, and Prometheus of all.
type condition struct {
	store *store.Store
	log   *slog.Logger

	mu   sync.Mutex
	last store.Condition
}

// run looks until ctx ends. That the store does not answer is told elsewhere.
func (c *condition) run(ctx context.Context) error {
	turn := time.NewTicker(conditionCheck)
	defer turn.Stop()
	for {
		if now, err := c.store.Condition(ctx); err == nil {
			c.take(now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-turn.C:
		}
	}
}

// take logs what is new.
func (c *condition) take(now store.Condition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	c.last = now
	switch {
	case now.Full && !last.Full:
		c.log.Error("the store is full: nothing can be changed until it has room; docs/operating.md says what to do", "bytes", now.Bytes, "quota", now.Quota)
	case last.Full && !now.Full:
		c.log.Info("the store has room again", "bytes", now.Bytes, "quota", now.Quota)
	case share(now) >= nearlyFull && share(last) < nearlyFull:
		c.log.Warn("the store is nearly full", "bytes", now.Bytes, "quota", now.Quota)
	}
}

func share(c store.Condition) float64 {
	if c.Quota == 0 {
		return 0
	}
	return float64(c.Bytes) / float64(c.Quota)
}

var (
	storeBytesDesc = prometheus.NewDesc("gabion_store_bytes", "Size of the store's database.", nil, nil)
	storeQuotaDesc = prometheus.NewDesc("gabion_store_quota_bytes", "How large it may become.", nil, nil)
	storeFullDesc  = prometheus.NewDesc("gabion_store_full", "1 if nothing can be changed for want of room.", nil, nil)
	staleReadsDesc = prometheus.NewDesc("gabion_store_stale_reads_total", "Reads that may have been out of date, since too few members were there.", nil, nil)
)

// Describe tells what there is.
func (c *condition) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect tells what was found last.
func (c *condition) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	full := 0.0
	if last.Full {
		full = 1
	}
	to <- prometheus.MustNewConstMetric(storeBytesDesc, prometheus.GaugeValue, float64(last.Bytes))
	to <- prometheus.MustNewConstMetric(storeQuotaDesc, prometheus.GaugeValue, float64(last.Quota))
	to <- prometheus.MustNewConstMetric(storeFullDesc, prometheus.GaugeValue, full)
	to <- prometheus.MustNewConstMetric(staleReadsDesc, prometheus.CounterValue, float64(c.store.StaleReads()))
}
