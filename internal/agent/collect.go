package agent

import (
	"context"
	"log/slog"
	"time"
)

// collectEvery is how often expired flows are collected. They pass nothing even
// before that; collecting gives their room back. It walks all tables, and is the
// largest part of what an idle agent takes.
const collectEvery = 20 * time.Second

// collector collects expired flows.
type collector struct {
	flows interface{ CollectExpired() (n int, err error) }
	log   *slog.Logger
}

func (c collector) run(ctx context.Context) error {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if n, err := c.flows.CollectExpired(); err != nil {
			c.log.Warn("collect expired flows", "collected", n, "error", err)
		}
	}
}
