package agent

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/flow"
)

// countEvery is how often the kernel's counters are read.
const countEvery = 3 * time.Second

// packets is the datapath as the witness sees it.
type packets interface {
	RuleTotals() ([]datapath.RuleTotal, error)
	DropTotals() ([]datapath.DropTotal, error)
	Events(ctx context.Context, handle func(datapath.Event)) error
	TellAllowed(on bool) error
	Ask(q datapath.Question) (datapath.Answer, error)
	PrepareToAsk() error
	OpenFlows(instance string, limit int) (flows []datapath.OpenFlow, more bool, err error)
}

// audience is who the witness talks to.
type audience interface {
	Count(c flow.Counts)
	Tell(e flow.Event, lost uint64)
}

// witness tells the server what happens to packets, as far as somebody watches, and
// the flow log everything.
type witness struct {
	packets  packets
	audience audience // set before it runs
	log      *slog.Logger
	flowLog  *flowLog // nil: there is none

	demand atomic.Uint32 // flow.Demand of who watches at the server
	told   atomic.Uint64 // events
	lost   atomic.Uint64
}

// Watch says which events somebody looks at from now on. The programs tell of what
// is allowed only then, or for the log.
func (w *witness) Watch(d flow.Demand) {
	w.demand.Store(uint32(d))
	if err := w.packets.TellAllowed(d == flow.All || w.flowLog != nil && w.flowLog.all); err != nil {
		w.log.Warn("events of what is allowed can't be switched", "error", err)
	}
}

func (w *witness) Ask(q flow.Question) (flow.Answer, error) {
	answer, err := w.packets.Ask(datapath.Question(q))
	return flow.Answer(answer), err
}

func (w *witness) OpenFlows(instance string, limit int) ([]flow.Open, bool, error) {
	flows, more, err := w.packets.OpenFlows(instance, limit)
	open := make([]flow.Open, len(flows))
	for i, f := range flows {
		open[i] = flow.Open(f)
	}
	return open, more, err
}

// count tells the server what the kernel has counted, until ctx ends.
func (w *witness) count(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		if counts, err := w.counts(); err != nil {
			w.log.Warn("read counters", "error", err)
		} else {
			w.audience.Count(counts)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *witness) counts() (c flow.Counts, err error) {
	rules, err := w.packets.RuleTotals()
	if err != nil {
		return c, err
	}
	drops, err := w.packets.DropTotals()
	if err != nil {
		return c, err
	}
	for _, r := range rules {
		c.Rules = append(c.Rules, flow.RuleCount{Rule: r.Rule, Life: uint64(r.Life), Packets: r.Packets, Bytes: r.Bytes})
	}
	for _, d := range drops {
		c.Drops = append(c.Drops, flow.DropCount{
			Instance: d.Instance, Interface: d.Interface, Reason: d.Reason, Life: uint64(d.Life), Packets: d.Packets,
		})
	}
	return c, nil
}

// prepare makes ready what questions need. Whoever asks before that waits, or is told
// that the host did not answer in time.
func (w *witness) prepare(context.Context) error {
	if err := w.packets.PrepareToAsk(); err != nil {
		w.log.Warn("the loaded programs can't be asked yet", "error", err)
	}
	return nil
}

// retryEvents is how long to wait before events are listened to again that failed.
const retryEvents = time.Second

// listen takes events as they come, until ctx ends. They are always read: what
// waited in the ring would be old when somebody begins to watch.
func (w *witness) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		w.Watch(flow.Demand(w.demand.Load()))
		if err := w.packets.Events(ctx, w.hear); err != nil && ctx.Err() == nil {
			w.log.Warn("listen to events; trying again", "error", err)
			select {
			case <-time.After(retryEvents):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (w *witness) hear(e datapath.Event) {
	w.told.Add(1)
	w.lost.Add(uint64(e.Lost))
	event := flow.Event{
		Time: e.Time, Instance: flow.Named{ID: e.Instance}, Interface: e.Interface, Direction: e.Direction,
		Reason: e.Reason, Protocol: e.Protocol, Local: e.Local, Remote: e.Remote, ICMP: e.ICMP, Rule: e.Rule,
	}
	if w.flowLog != nil {
		w.flowLog.write(&event, e.Lost)
	}
	if flow.Demand(w.demand.Load()) != flow.None {
		w.audience.Tell(event, uint64(e.Lost))
	}
}
