package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gabion/gabion"
)

// Who is denied something may try a million times. So a log gets, each minute and
// from each server, one record of the first denial of a kind and one of how often it
// happened after that, of so many kinds at most, and one of all others together.

const (
	denialWindow = time.Minute
	// deniedKinds is how many kinds of denials a log tells apart within a window.
	deniedKinds = 20
	// settlePatience is how long a reader of the log waits for what is being written.
	settlePatience = 500 * time.Millisecond
	// otherActions is the action of the record that tells of all others.
	otherActions = "others"
)

// denied is a kind of denial.
type denied struct{ log, key, remote, action string }

// denials are those that are not written yet, and what was written in this window.
type denials struct {
	write func(ctx context.Context, log string, entries []gabion.AuditEntry) error
	log   *slog.Logger

	mu      sync.Mutex
	kinds   map[string]int // by log, that were told apart in the window
	waiting map[denied]*waiting

	wake    chan struct{}
	done    chan struct{} // closed when run has ended
	stop    context.CancelFunc
	writing sync.Mutex // held by whoever writes: a flush waits for the one before
}

// newDenials starts the task that writes denials.
func newDenials(log *slog.Logger, write func(context.Context, string, []gabion.AuditEntry) error) *denials {
	ctx, stop := context.WithCancel(context.Background())
	d := &denials{
		write: write, log: log, kinds: map[string]int{}, waiting: map[denied]*waiting{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), stop: stop,
	}
	go d.run(ctx)
	return d
}

// close writes what is left.
func (d *denials) close() {
	d.stop()
	<-d.done
}

// waiting is what is to be written of one kind.
type waiting struct {
	entry gabion.AuditEntry // the last of them; its Count is how many
	ripe  bool              // to be written at once and not at the end of the window
}

// Deny adds a denial to a log. It returns at once: the record is written soon, or
// when the store closes. A server that is killed loses those of the last minute.
func (s *Store) Deny(_ context.Context, e gabion.AuditEntry) error {
	if !isID(e.Log) {
		return gabion.NotFound("audit log", e.Log)
	}
	e.Denied, e.Time, e.Before, e.After = true, now(), nil, nil
	e.Key, e.Remote, e.Action, e.Message = shortened(e.Key), shortened(e.Remote), shortened(e.Action), shortened(e.Message)
	s.denials.add(e)
	return nil
}

func (d *denials) add(e gabion.AuditEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind := kindOf(e)
	w, known := d.waiting[kind]
	if !known && d.kinds[e.Log] >= deniedKinds {
		e = gabion.AuditEntry{Log: e.Log, Time: e.Time, Action: otherActions, Denied: true, Message: "more kinds of denials than are told apart"}
		kind = kindOf(e)
		w, known = d.waiting[kind]
	}
	if !known {
		d.kinds[e.Log]++
		w = &waiting{ripe: true}
		d.waiting[kind] = w
	}
	count := w.entry.Count + 1
	w.entry = e
	w.entry.Count = count
	if w.ripe {
		d.poke()
	}
}

func (d *denials) poke() {
	select {
	case d.wake <- struct{}{}:
	default: // it is awake
	}
}

// run writes denials until ctx ends, and then what is left of them.
func (d *denials) run(ctx context.Context) {
	defer close(d.done)
	window := time.NewTicker(denialWindow)
	defer window.Stop()
	for {
		select {
		case <-d.wake:
			d.flush(ctx)
		case <-window.C:
			d.turn(ctx)
		case <-ctx.Done():
			d.turn(ctx)
			return
		}
	}
}

// turn writes all, and begins a new window.
func (d *denials) turn(ctx context.Context) {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	taken := map[string][]gabion.AuditEntry{}
	for kind, w := range d.waiting {
		if w.entry.Count > 0 {
			taken[kind.log] = append(taken[kind.log], w.entry)
		}
	}
	clear(d.waiting)
	clear(d.kinds)
	d.mu.Unlock()
	d.writeAll(ctx, taken)
}

// settle waits until the first denial of each kind is written that there was until
// now, but not for long: an outage is told by the call that asks for it.
func (d *denials) settle(ctx context.Context) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		d.flush(ctx)
	}()
	select {
	case <-written:
	case <-ctx.Done():
	case <-time.After(settlePatience):
	}
}

// flush writes the first denial of each kind.
func (d *denials) flush(ctx context.Context) {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	taken := map[string][]gabion.AuditEntry{}
	for kind, w := range d.waiting {
		if w.ripe {
			taken[kind.log] = append(taken[kind.log], w.entry)
			w.ripe, w.entry = false, gabion.AuditEntry{}
		}
	}
	d.mu.Unlock()
	d.writeAll(ctx, taken)
}

// writeAll writes what was taken. What can't be written now is kept until the
// window ends, or lost if the store closes.
func (d *denials) writeAll(ctx context.Context, taken map[string][]gabion.AuditEntry) {
	for _, log := range slices.Sorted(maps.Keys(taken)) {
		entries := taken[log]
		slices.SortFunc(entries, func(a, b gabion.AuditEntry) int { return a.Time.Compare(b.Time) })
		// What was begun is ended, also when the store closes: who writes it once more
		// would tell of too many.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if err := d.write(ctx, log, entries); err != nil {
			d.log.Error("denials can't be recorded in the audit log now", "log", log, "records", len(entries), "error", err)
			d.keep(entries)
		}
		cancel()
	}
}

// keep takes entries back that could not be written: no more kinds than were told apart.
func (d *denials) keep(entries []gabion.AuditEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range entries {
		kind := kindOf(e)
		w := d.waiting[kind]
		if w == nil {
			w = &waiting{}
			d.waiting[kind] = w
			d.kinds[e.Log]++
		}
		e.Count += w.entry.Count
		w.entry = e
	}
}

// kindOf tells denials apart. Those that are told of together have no action of
// their own.
func kindOf(e gabion.AuditEntry) denied {
	if e.Action == otherActions {
		return denied{log: e.Log}
	}
	return denied{e.Log, e.Key, e.Remote, e.Action}
}

// recordDenials appends to a log what was denied.
func (s *Store) recordDenials(ctx context.Context, log string, entries []gabion.AuditEntry) error {
	leave, err := s.lanes.enter(ctx, log)
	if err != nil {
		return err
	}
	defer leave()
	_, err = s.transact(ctx, "record denials", func(t *txn) error { return t.record(log, entries...) })
	return err
}
