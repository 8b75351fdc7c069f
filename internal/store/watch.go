package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// rewatchAfter is how long a watch that etcd ended stays closed.
const rewatchAfter = 200 * time.Millisecond

// Watch yields what each revision after that one changes: one event each, none
// left out, in order. It survives outages of etcd. The channel closes when ctx
// ends, or after an event that says that history is lost.
func (s *Store) Watch(ctx context.Context, after int64) <-chan Event {
	events := make(chan Event)
	go func() {
		defer close(events)
		for ctx.Err() == nil {
			done := false
			if after, done = s.watch(ctx, after, events); done {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(rewatchAfter):
			}
		}
	}()
	return events
}

// watch forwards events until etcd ends the watch, and returns the revision it
// came to. It is done when there is nothing to come back for.
func (s *Store) watch(ctx context.Context, after int64, events chan<- Event) (reached int64, done bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Without a leader, a member answers from the past for ever: look for another.
	for reply := range s.client.Watch(clientv3.WithRequireLeader(ctx), root,
		clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if err := reply.Err(); err != nil {
			if errors.Is(err, rpctypes.ErrCompacted) {
				send(ctx, events, Event{Lost: true})
				return after, true
			}
			s.log.Warn("watch of the store interrupted", "revision", after, "error", err)
			return after, false
		}
		for _, e := range s.split(reply.Events) {
			if !send(ctx, events, e) {
				return after, true
			}
			after = e.Change.Revision
		}
	}
	return after, false
}

func send(ctx context.Context, events chan<- Event, e Event) bool {
	select {
	case events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// split makes one event of each revision. etcd never splits one over replies.
func (s *Store) split(changed []*clientv3.Event) []Event {
	var events []Event
	for _, c := range changed {
		if n := len(events); n == 0 || events[n-1].Change.Revision != c.Kv.ModRevision {
			var e Event
			e.Change.Revision = c.Kv.ModRevision
			events = append(events, e)
		}
		e := &events[len(events)-1]
		if c.Type == mvccpb.Event_DELETE {
			s.gone(e, c.Kv)
		} else {
			s.put(e, c.Kv)
		}
	}
	return events
}
