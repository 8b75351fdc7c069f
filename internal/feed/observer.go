package feed

import (
	"context"
	"log/slog"
	"time"
)

// breath is between two writes of what one host sees: its machines may flap as
// they like, the store is for all hosts.
const breath = 50 * time.Millisecond

// observer stores what one host sees of its instances. It is part of receiving:
// while it waits for the store, nothing else that the host says is heard. So an
// ack that comes after an observation counts after it, and whoever was told that
// a change succeeded finds the states of its instances.
type observer struct {
	store Store
	host  string
	log   *slog.Logger
	last  time.Time
}

// observe insists until ctx ends: what is lost here the host never says again.
func (o *observer) observe(ctx context.Context, running map[string]bool) error {
	if len(running) == 0 {
		return nil
	}
	sleep(ctx, time.Until(o.last.Add(breath)))
	for ctx.Err() == nil {
		err := o.store.SaveObserved(ctx, o.host, running)
		if err == nil {
			o.last = time.Now()
			return nil
		}
		o.log.Warn("save what a host sees; trying again", "host", o.host, "error", err)
		sleep(ctx, pause)
	}
	return context.Cause(ctx)
}
