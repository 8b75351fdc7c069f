package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// picture is what someone knows who applied events in order.
type picture struct {
	groups    map[string]gabion.Group
	rules     map[string]gabion.Rule
	instances map[string]gabion.Instance
	statuses  map[string]gabion.HostStatus
}

func pictureOf(events ...store.Event) picture {
	p := picture{
		map[string]gabion.Group{}, map[string]gabion.Rule{}, map[string]gabion.Instance{}, map[string]gabion.HostStatus{},
	}
	for _, e := range events {
		p.apply(e)
	}
	return p
}

func (p picture) apply(e store.Event) {
	for _, g := range e.Change.Groups {
		p.groups[g.ID] = *g
	}
	for _, r := range e.Change.Rules {
		p.rules[r.ID] = *r
	}
	for _, i := range e.Change.Instances {
		p.instances[i.ID] = *i
	}
	for _, s := range e.Statuses {
		p.statuses[s.Host] = s
	}
	for _, id := range e.Change.GoneGroups {
		delete(p.groups, id)
	}
	for _, id := range e.Change.GoneRules {
		delete(p.rules, id)
	}
	for _, id := range e.Change.GoneInstances {
		delete(p.instances, id)
	}
	for _, host := range e.GoneHosts {
		delete(p.statuses, host)
	}
}

func (p picture) diff(q picture) string {
	return cmp.Diff(p, q, cmp.AllowUnexported(picture{}), cmp.Comparer(samePrefix), cmp.Comparer(sameAddr))
}

// until reads events up to that revision.
func until(t *testing.T, events <-chan store.Event, revision int64) []store.Event {
	t.Helper()
	var got []store.Event
	for {
		select {
		case e := <-events:
			got = append(got, e)
			if e.Change.Revision >= revision || e.Lost {
				return got
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event of revision %d", revision)
		}
	}
}

// history makes a little of everything.
func (w *world) history() {
	ctx := w.t.Context()
	w.host("hv1")
	web, db := w.group("web"), w.group("db")
	for n := range uint16(5) {
		w.rule(web, port(80+n, "0.0.0.0/0"))
		w.rule(db, port(5432+n, web))
	}
	for n := range 4 {
		w.made(w.CreateInstance(ctx, gabion.Instance{
			Organization: w.org, Name: "vm", Host: "hv1", Groups: []string{web},
			NICs: []gabion.NIC{nic(fmt.Sprint("tap", n), fmt.Sprintf("52:54:00:00:00:%02x", n), fmt.Sprintf("10.0.0.%d", n+1))},
		}))
	}
	instances, err := w.Instances(ctx, w.org)
	must(w.t, err)
	must(w.t, only(w.AttachGroup(ctx, w.org, instances[0].ID, db, false)))
	must(w.t, w.SaveStatus(ctx, gabion.HostStatus{Host: "hv1", Revision: 7}))
	must(w.t, w.SaveObserved(ctx, "hv1", map[string]bool{instances[1].ID: true}))
	for _, i := range instances {
		must(w.t, only(w.DeleteInstance(ctx, w.org, i.ID)))
	}
	must(w.t, w.DeleteHost(ctx, "hv1"))
	must(w.t, only(w.DeleteGroup(ctx, w.org, db)))
	must(w.t, only(w.DeleteGroup(ctx, w.org, web)))
}

func TestWatchFromAnySnapshotLeadsToTheNext(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var snapshots []store.Event
	snap := func() {
		e, err := w.Snapshot(ctx)
		must(t, err)
		snapshots = append(snapshots, e)
	}
	snap()
	done := make(chan struct{})
	go func() { defer close(done); w.history(); w.history(); w.group("last") }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(10 * time.Millisecond):
			snap()
		}
	}
	snap()
	last := snapshots[len(snapshots)-1]
	for _, s := range snapshots[:len(snapshots)-1] {
		p, from := pictureOf(s), s.Change.Revision
		if from == last.Change.Revision {
			continue
		}
		for _, e := range until(t, w.Watch(ctx, from), last.Change.Revision) {
			if e.Change.Revision != from+1 {
				t.Fatalf("revision %d came after %d", e.Change.Revision, from)
			}
			from = e.Change.Revision
			p.apply(e)
		}
		if diff := pictureOf(last).diff(p); diff != "" {
			t.Fatalf("watch from revision %d: %s", s.Change.Revision, diff)
		}
	}
	t.Logf("%d snapshots, %d revisions", len(snapshots), last.Change.Revision)
}

func TestOperationsRevisionIsThatOfItsEvent(t *testing.T) {
	t.Parallel()
	w := open(t)
	before, err := w.Snapshot(t.Context())
	must(t, err)
	events := w.Watch(t.Context(), before.Change.Revision)
	op, err := w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"})
	must(t, err)
	got := until(t, events, op.Revision)
	if len(got) != 1 || len(got[0].Change.Groups) != 1 || got[0].Change.Groups[0].ID != op.Subject {
		t.Fatalf("got %+v", got)
	}
	op.State, op.Message = gabion.OperationSuccess, "done"
	must(t, w.FinishOperation(t.Context(), op))
	stored, err := w.Operation(t.Context(), w.org, op.ID)
	must(t, err)
	if diff := cmp.Diff(op, stored); diff != "" {
		t.Error(diff)
	}
	op.State = gabion.OperationFailure
	must(t, w.FinishOperation(t.Context(), op))
	stored, err = w.Operation(t.Context(), w.org, op.ID)
	must(t, err)
	if stored.State != gabion.OperationSuccess {
		t.Error("a success went back")
	}
}
