package server

import (
	"context"
	"sync"
	"time"
)

const (
	// askAfter is for how long an answer of the store counts: a probe that comes
	// more often costs nothing.
	askAfter = time.Second

	// askTimeout is how long the store may take to answer.
	askTimeout = 2 * time.Second
)

// health knows whether the store answers.
type health struct {
	ask func(context.Context) (string, error)

	mu    sync.Mutex
	asked time.Time
	err   error
}

// check reports why the server can't serve; nil if it can.
func (h *health) check(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.asked) < askAfter {
		return h.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	_, h.err = h.ask(ctx)
	h.asked = time.Now()
	return h.err
}
