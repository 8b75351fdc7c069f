package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/etcdcluster"
	"github.com/gabion/gabion/internal/store"
)

func TestWritesResumeWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := etcdcluster.Start(t)
	w := &world{t: t}
	w.Store = connectTo(t, c.Endpoints, t.TempDir(), w.log())
	var err error
	w.org, _, err = w.Bootstrap(t.Context())
	must(t, err)
	snapshot, err := w.Snapshot(t.Context())
	must(t, err)
	events := w.Watch(t.Context(), snapshot.Change.Revision)

	var last gabion.Operation
	for round := range 2 {
		dead := c.Leader()
		c.Kill(dead)
		begin := time.Now()
		last = w.persist(fmt.Sprint("round", round))
		took := time.Since(begin)
		t.Logf("writes resumed after %s", took)
		if took > most {
			t.Errorf("that is more than %s", most)
		}
		c.Revive(dead)()
	}
	p := pictureOf(snapshot)
	for _, e := range until(t, events, last.Revision) {
		p.apply(e)
	}
	fresh, err := w.Snapshot(t.Context())
	must(t, err)
	if diff := pictureOf(fresh).diff(p); diff != "" {
		t.Error(diff)
	}
}

// persist creates a group, however often it is told to try again.
func (w *world) persist(name string) gabion.Operation {
	w.t.Helper()
	for n := 0; ; n++ {
		op, err := w.CreateGroup(w.t.Context(), gabion.Group{Organization: w.org, Name: fmt.Sprint(name, n)})
		if err == nil {
			return op
		}
		refused(w.t, err, gabion.CodeUnavailable)
	}
}

func TestLostQuorumIsSaid(t *testing.T) {
	t.Parallel()
	c := etcdcluster.Start(t)
	w := &world{t: t}
	w.Store = connectTo(t, c.Endpoints, t.TempDir(), w.log())
	org, key, err := w.Bootstrap(t.Context())
	must(t, err)
	w.org = org
	web := w.group("web")
	// The member that will be left has to know it: two others are enough to make it.
	_, err = connectTo(t, c.Endpoints[2:], t.TempDir(), w.log()).Group(t.Context(), org, web)
	must(t, err)
	c.Kill(0)
	c.Kill(1)
	begin := time.Now()
	refused(t, only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "db"})), gabion.CodeUnavailable)
	if took := time.Since(begin); took > most {
		t.Errorf("that took %s", took)
	}
	w.readsStale(web, key.ID)
	c.Revive(0)
	w.persist("db")
	ctx, s := store.TolerateStale(t.Context())
	if _, err := w.Group(ctx, w.org, web); err != nil || s.Stale() {
		t.Errorf("a read after the outage: stale %t, %v", s.Stale(), err)
	}
}

// readsStale reads with too few members: in time and marked where that is tolerated,
// and not at all elsewhere.
func (w *world) readsStale(group, key string) {
	t := w.t
	t.Helper()
	begin := time.Now()
	ctx, s := store.TolerateStale(t.Context())
	for name, read := range map[string]func(context.Context) error{
		"key":   func(ctx context.Context) error { _, err := w.Key(ctx, key); return err },
		"group": func(ctx context.Context) error { _, err := w.Group(ctx, w.org, group); return err },
		"rules": func(ctx context.Context) error { _, err := w.Rules(ctx, w.org); return err },
		"usage": func(ctx context.Context) error { _, err := w.Usage(ctx, w.org); return err },
		"audit": func(ctx context.Context) error { _, err := w.Audit(ctx, w.org, 1000, 10); return err },
	} {
		if err := read(ctx); err != nil || !s.Stale() {
			t.Errorf("%s: stale %t, %v", name, s.Stale(), err)
		}
	}
	if took := time.Since(begin); took > most || w.StaleReads() == 0 {
		t.Errorf("%d reads took %s", w.StaleReads(), took)
	}
	_, err := w.Group(t.Context(), w.org, group)
	refused(t, err, gabion.CodeUnavailable)
	refused(t, only(w.DeleteGroup(ctx, w.org, group)), gabion.CodeUnavailable)
}
