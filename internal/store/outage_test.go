package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/privilege"
	"github.com/gabion/gabion/internal/store"
)

// most is how long a call may take to say that the store is unavailable.
const most = 5 * time.Second

func TestUnavailableIsSaidInTime(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	must(t, w.embedded.Close())
	calls := map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := w.Group(ctx, w.org, web); return err },
		"list": func(ctx context.Context) error { _, err := w.Rules(ctx, w.org); return err },
		"change": func(ctx context.Context) error {
			return only(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "db"}))
		},
		"snapshot": func(ctx context.Context) error { _, err := w.Snapshot(ctx); return err },
		"audit log": func(ctx context.Context) error {
			must(t, w.Deny(ctx, gabion.AuditEntry{Log: w.org, Action: "list-api-keys"}))
			_, err := w.Audit(ctx, w.org, 0, 10)
			return err
		},
		"connect": func(ctx context.Context) error {
			_, err := store.Connect(ctx, store.Config{Endpoints: []string{w.embedded.Endpoint()}, Log: w.log()})
			return err
		},
	}
	names := slices.Sorted(maps.Keys(calls))
	begin := time.Now()
	for i, err := range together(len(names), func(i int) error { return calls[names[i]](t.Context()) }) {
		t.Log(names[i], err)
		refused(t, err, gabion.CodeUnavailable)
	}
	if took := time.Since(begin); took > most {
		t.Errorf("took %s", took)
	}
}

func TestWatchGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := open(t)
	p := newProxy(t, w.embedded.Endpoint())
	far := connect(t, p.endpoint(), t.TempDir(), w.log())
	snapshot, err := far.Snapshot(t.Context())
	must(t, err)
	events := far.Watch(t.Context(), snapshot.Change.Revision)
	until(t, events, mustOp(t)(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "before"})).Revision)

	p.cut()
	op := mustOp(t)(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "meanwhile"}))
	p.mend()
	got := until(t, events, op.Revision)
	if len(got) != 1 || len(got[0].Change.Groups) != 1 || got[0].Change.Groups[0].Name != "meanwhile" {
		t.Errorf("got %+v", got)
	}
}

// TestChangeWhoseAnswerIsLostIsTold loses the answer to a change that was made:
// the caller hears of success, not that it should try again.
func TestChangeWhoseAnswerIsLostIsTold(t *testing.T) {
	t.Parallel()
	w := open(t)
	p := newProxy(t, w.embedded.Endpoint())
	far := connect(t, p.endpoint(), t.TempDir(), w.log())
	p.loseAnswerTo("create-security-group")
	op := mustOp(t)(far.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"}))
	if !p.lost.Load() {
		t.Fatal("no answer was lost")
	}
	stored, err := w.Operation(t.Context(), w.org, op.ID)
	must(t, err)
	if diff := cmp.Diff(op, stored); diff != "" {
		t.Error(diff)
	}
}

func mustOp(t *testing.T) func(gabion.Operation, error) gabion.Operation {
	return func(op gabion.Operation, err error) gabion.Operation {
		t.Helper()
		must(t, err)
		return op
	}
}

func TestWatchSaysThatHistoryIsLost(t *testing.T) {
	t.Parallel()
	w := open(t)
	snapshot, err := w.Snapshot(t.Context())
	must(t, err)
	op := mustOp(t)(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"}))
	_, err = w.raw().Compact(t.Context(), op.Revision)
	must(t, err)

	events := w.Watch(t.Context(), snapshot.Change.Revision-1)
	if e := <-events; !e.Lost {
		t.Errorf("got %+v", e)
	}
	if _, open := <-events; open {
		t.Error("the watch goes on after history was lost")
	}
	fresh, err := w.Snapshot(t.Context())
	must(t, err)
	if got := len(pictureOf(fresh).groups); got != 2 {
		t.Errorf("the snapshot after it has %d groups", got)
	}
}

// member runs an etcd that is not ours, as an external cluster would be.
func member(t *testing.T, configure func(*embed.Config)) string {
	t.Helper()
	dir := t.TempDir()
	c := embed.NewConfig()
	c.Dir, c.LogLevel = filepath.Join(dir, "data"), "panic"
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "c")}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{{Scheme: "unix", Host: "peer"}}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	configure(c)
	e, err := embed.StartEtcd(c)
	must(t, err)
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return c.ListenClientUrls[0].String()
}

func TestFullStoreAcknowledgesNothingAndRecoversByARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *world {
		var err error
		w := &world{t: t}
		w.embedded, err = store.StartEmbeddedWith(dir, store.Care{Every: time.Hour, Quota: 1 << 20}, w.log())
		must(t, err)
		t.Cleanup(func() { must(t, w.embedded.Close()) })
		w.Store = connect(t, w.embedded.Endpoint(), dir, w.log())
		w.org, _, err = w.Bootstrap(t.Context())
		must(t, err)
		return w
	}
	w := start()
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{w.embedded.Endpoint()}, Logger: zap.NewNop()})
	must(t, err)
	for filler := make([]byte, 100<<10); err == nil; { // history of one key
		_, err = raw.Put(t.Context(), "filler", string(filler))
	}
	must(t, raw.Close())
	refused(t, only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"})), gabion.CodeUnavailable, "full")
	must(t, w.Close())
	must(t, w.embedded.Close())

	w = start()
	groups, err := w.Groups(t.Context(), w.org)
	must(t, err)
	if len(groups) != 1 {
		t.Errorf("%d groups", len(groups))
	}
	w.group("web")
}

// TestFullStoreRecoversByItself fills the database, and then has a disk with less
// room than it needs: reads go on, and so do changes once there is room.
func TestFullStoreRecoversByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		care store.Care
		fill func(w *world)
		ease func(w *world)
	}{
		"database": {
			store.Care{Every: 50 * time.Millisecond, Quota: 1 << 20},
			func(w *world) { w.fill() },
			func(*world) {},
		},
		"disk": {
			store.Care{Every: 50 * time.Millisecond, Quota: 1 << 30},
			func(w *world) { w.embedded.SetSpare(1 << 62) },
			func(w *world) { w.embedded.SetSpare(0) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, dir: t.TempDir()}
			var err error
			w.embedded, err = store.StartEmbeddedWith(w.dir, c.care, w.log())
			must(t, err)
			t.Cleanup(func() { must(t, w.embedded.Close()) })
			w.Store = connect(t, w.embedded.Endpoint(), w.dir, w.log())
			w.org, _, err = w.Bootstrap(t.Context())
			must(t, err)
			c.fill(w)
			if name == "disk" {
				w.until(func(err error) bool { return err != nil && strings.Contains(err.Error(), "full") })
				if groups, err := w.Groups(t.Context(), w.org); err != nil || len(groups) == 0 {
					t.Errorf("reads do not go on: %d groups, %v", len(groups), err)
				}
				if found, err := w.Condition(t.Context()); err != nil || !found.Full || found.Bytes == 0 || found.Quota != c.care.Quota {
					t.Errorf("condition %+v, %v", found, err)
				}
			}
			c.ease(w)
			w.until(func(err error) bool { return err == nil })
			if found, err := w.Condition(t.Context()); err != nil || found.Full {
				t.Errorf("condition afterwards %+v, %v", found, err)
			}
		})
	}
}

// TestFullDisk leaves a store no byte, starts it on that again, and gives the disk back.
func TestFullDisk(t *testing.T) {
	privilege.Require(t)
	w := &world{t: t, dir: t.TempDir()}
	must(t, unix.Mount("tmpfs", w.dir, "tmpfs", 0, "size=300m"))
	t.Cleanup(func() { must(t, unix.Unmount(w.dir, unix.MNT_DETACH)) })
	start := func() {
		var err error
		w.embedded, err = store.StartEmbedded(w.dir, w.log())
		must(t, err)
		t.Cleanup(func() { _ = w.embedded.Close() }) // of a test that failed
		w.Store = connect(t, w.embedded.Endpoint(), w.dir, w.log())
		w.org, _, err = w.Bootstrap(t.Context())
		must(t, err)
	}
	stop := func() {
		must(t, w.Close())
		must(t, w.embedded.Close())
	}
	start()
	w.group("web")
	filler, err := os.Create(filepath.Join(w.dir, "filler"))
	must(t, err)
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	for range 2 {
		w.until(func(err error) bool { return err != nil && strings.Contains(err.Error(), "full") })
		if groups, err := w.Groups(t.Context(), w.org); err != nil || len(groups) < 2 {
			t.Errorf("%d groups, %v", len(groups), err)
		}
		stop()
		start()
	}
	must(t, errors.Join(filler.Close(), os.Remove(filler.Name())))
	w.until(func(err error) bool { return err == nil })
	stop()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// fill writes the history of one key until the database has no room.
func (w *world) fill() {
	var err error
	raw := w.raw()
	for filler := make([]byte, 100<<10); err == nil; {
		_, err = raw.Put(w.t.Context(), "filler", string(filler))
	}
}

// until changes a group until the outcome is as it should be.
func (w *world) until(is func(error) bool) {
	w.t.Helper()
	id, err := w.PrimaryGroup(w.t.Context(), w.org)
	must(w.t, err)
	begin := time.Now()
	for n := 0; ; n++ {
		_, err := w.UpdateGroup(w.t.Context(), w.org, id, func(g *gabion.Group) error {
			g.Description = fmt.Sprint(begin.UnixNano(), n)
			return nil
		})
		if is(err) {
			return
		}
		if time.Since(begin) > 20*time.Second {
			w.t.Fatalf("still %v", err)
		}
	}
}

func TestTooLargeAChangeIsRefusedWhole(t *testing.T) {
	t.Parallel()
	endpoint := member(t, func(*embed.Config) {}) // 128 operations a transaction
	w := &world{t: t}
	w.Store = connect(t, endpoint, t.TempDir(), w.log())
	var err error
	w.org, _, err = w.Bootstrap(t.Context())
	must(t, err)
	web := w.group("web")
	var rules []gabion.Rule
	for n := range uint16(200) {
		rules = append(rules, port(n+1, "0.0.0.0/0"))
	}
	refused(t, only(w.AddRules(t.Context(), w.org, web, rules)), gabion.CodeLimit, "smaller")
	stored, err := w.GroupRules(t.Context(), w.org, web)
	must(t, err)
	if len(stored) != 0 {
		t.Errorf("%d rules of a refused change", len(stored))
	}
	must(t, only(w.AddRules(t.Context(), w.org, web, rules[:30])))
}
