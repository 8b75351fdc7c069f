package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// key makes a key; it may read if nothing else is asked for.
func (w *world) key(k gabion.Key) gabion.Key {
	w.t.Helper()
	if k.Scopes == nil {
		k.Scopes = []gabion.Scope{gabion.ScopeRead}
	}
	k, err := w.CreateKey(w.t.Context(), k)
	must(w.t, err)
	return k
}

func TestKeysComeBackAsMadeAndAreListedWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	acme := w.organization("acme")
	made := []gabion.Key{
		w.key(gabion.Key{Organization: acme, Name: "reader"}),
		w.key(gabion.Key{
			Organization: acme, Name: "all", Operator: true, Expires: time.Now().Add(time.Hour).UTC(),
			Scopes: []gabion.Scope{gabion.ScopeRules, gabion.ScopeInstances},
		}),
	}
	for i := range made {
		got, err := w.Key(ctx, made[i].ID)
		must(t, err)
		if diff := cmp.Diff(made[i], got); diff != "" || got.Secret == "" {
			t.Errorf("secret %q, %s", got.Secret, diff)
		}
		made[i].Secret = ""
	}
	listed, err := w.Keys(ctx, acme)
	must(t, err)
	if diff := cmp.Diff(made, listed); diff != "" {
		t.Error(diff)
	}
	for name, k := range map[string]gabion.Key{
		"scopes":     {Name: "x"},
		"name":       {Scopes: []gabion.Scope{gabion.ScopeRead}},
		"expires-at": {Name: "x", Scopes: []gabion.Scope{gabion.ScopeRead}, Expires: time.Now().Add(-time.Second)},
	} {
		k.Organization = acme
		_, err := w.CreateKey(ctx, k)
		refused(t, err, gabion.CodeInvalid, name)
	}
}

func TestNoSecretIsStoredOpenly(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := signed(t.Context(), 1)
	_, bootstrapped, err := w.Bootstrap(ctx)
	must(t, err)
	created, err := w.CreateKey(ctx, gabion.Key{Organization: w.org, Name: "k", Scopes: []gabion.Scope{gabion.ScopeAdmin}})
	must(t, err)
	rotated, err := w.RotateKey(ctx, w.org, created.ID, time.Now())
	must(t, err)
	reply, err := w.raw().Get(ctx, "", clientv3.WithPrefix())
	must(t, err)
	for _, kv := range reply.Kvs {
		for _, k := range []gabion.Key{bootstrapped, created, rotated} {
			if bytes.Contains(kv.Value, []byte(k.Secret)) || bytes.Contains(kv.Key, []byte(k.Secret)) {
				t.Errorf("%s holds a secret", kv.Key)
			}
		}
	}
}

func TestRotatedKeyEndsAndItsSuccessorMayTheSame(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	soon, later := time.Now().Add(time.Hour).UTC(), time.Now().Add(2*time.Hour).UTC()
	tests := []struct {
		name               string
		expires, ends, old time.Time
	}{
		{"endless", time.Time{}, soon, soon},
		{"ends before", soon, later, soon},
		{"ends after", later, soon, soon},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old := w.key(gabion.Key{
				Organization: w.org, Name: tt.name, Expires: tt.expires, Operator: true, Scopes: []gabion.Scope{gabion.ScopeRules},
			})
			next, err := w.RotateKey(ctx, w.org, old.ID, tt.ends)
			must(t, err)
			want := old
			want.ID, want.Secret, want.Created = next.ID, next.Secret, next.Created
			if diff := cmp.Diff(want, next); diff != "" || next.ID == old.ID || next.Secret == old.Secret {
				t.Error(diff)
			}
			old.Expires = tt.old
			got, err := w.Key(ctx, old.ID)
			must(t, err)
			if diff := cmp.Diff(old, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	ended := w.key(gabion.Key{Organization: w.org, Name: "ended"})
	_, err := w.RotateKey(ctx, w.org, ended.ID, time.Now().Add(-time.Second))
	must(t, err)
	_, err = w.RotateKey(ctx, w.org, ended.ID, later)
	refused(t, err, gabion.CodeConflict, "expired")
	_, err = w.RotateKey(ctx, w.organization("another"), ended.ID, later)
	refused(t, err, gabion.CodeNotFound, ended.ID)
}

func TestDeletedKeyIsGoneAtOnceOnAllServers(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	second := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	for n := range 20 {
		k := w.key(gabion.Key{Organization: w.org, Name: fmt.Sprint(n)})
		_, err := second.Key(ctx, k.ID)
		must(t, err)
		must(t, only(w.DeleteKey(ctx, w.org, k.ID)))
		_, err = second.Key(ctx, k.ID)
		refused(t, err, gabion.CodeNotFound, k.ID)
		refused(t, second.TouchKey(ctx, k.ID, time.Now()), gabion.CodeNotFound, k.ID)
	}
	another := w.organization("another")
	k := w.key(gabion.Key{Organization: another, Name: "theirs"})
	refused(t, only(w.DeleteKey(ctx, w.org, k.ID)), gabion.CodeNotFound, k.ID)
}

func TestOneOperatorStays(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	_, first, err := w.Bootstrap(ctx)
	must(t, err)
	refused(t, only(w.DeleteKey(ctx, w.org, first.ID)), gabion.CodeConflict, "operator")

	acme := w.organization("acme")
	ended := w.key(gabion.Key{Organization: w.org, Name: "ended", Operator: true})
	_, err = w.RotateKey(ctx, w.org, ended.ID, time.Now())
	must(t, err)
	keys, err := w.Keys(ctx, w.org)
	must(t, err)
	must(t, only(w.DeleteKey(ctx, w.org, keys[len(keys)-1].ID))) // the successor: what has expired does not count
	refused(t, only(w.DeleteKey(ctx, w.org, first.ID)), gabion.CodeConflict, "operator")
	must(t, only(w.DeleteKey(ctx, w.org, ended.ID)))

	w.key(gabion.Key{Organization: acme, Name: "theirs", Operator: true})
	bootstrapped := func(want gabion.Key) {
		t.Helper()
		org, key, err := w.Bootstrap(ctx)
		must(t, err)
		if diff := cmp.Diff(want, key); diff != "" || org != w.org {
			t.Errorf("got organization %s, %s", org, diff)
		}
	}
	bootstrapped(first)
	next, err := w.RotateKey(ctx, w.org, first.ID, time.Now())
	must(t, err)
	bootstrapped(gabion.Key{}) // what it was born with has expired
	must(t, only(w.DeleteKey(ctx, w.org, first.ID)))
	bootstrapped(gabion.Key{})
	must(t, only(w.DeleteKey(ctx, w.org, next.ID)))
	refused(t, only(w.DeleteOrganization(ctx, acme)), gabion.CodeConflict, "operator")
	w.key(gabion.Key{Organization: w.org, Name: "ours", Operator: true})
	must(t, only(w.DeleteOrganization(ctx, acme)))
}

// TestOneOfTheLastOperatorsStays lets two servers delete the last two at once.
func TestOneOfTheLastOperatorsStays(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	second := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	acme := w.organization("acme")
	_, left, err := w.Bootstrap(ctx)
	must(t, err)
	for range 10 {
		other := gabion.Key{Organization: acme, Name: "other", Operator: true}
		if left.Organization == acme {
			other.Organization = w.org
		}
		both := []gabion.Key{left, w.key(other)}
		servers := []*store.Store{w.Store, second}
		deleted := 0
		for i, err := range together(2, func(i int) error {
			return only(servers[i].DeleteKey(ctx, both[i].Organization, both[i].ID))
		}) {
			if err != nil {
				refused(t, err, gabion.CodeConflict, "operator")
				continue
			}
			deleted++
			left = both[1-i]
		}
		if deleted != 1 {
			t.Fatalf("%d were deleted", deleted)
		}
	}
}

func TestUseOfAKeyIsNotedToTheMinuteAndConcernsNobody(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	k := w.key(gabion.Key{Organization: w.org, Name: "k"})
	at := time.Date(2030, 5, 1, 12, 30, 15, 0, time.UTC)
	before, err := w.Snapshot(ctx)
	must(t, err)
	for n := range 30 {
		must(t, w.TouchKey(ctx, k.ID, at.Add(time.Duration(n)*time.Second)))
	}
	must(t, w.TouchKey(ctx, k.ID, at.Add(-time.Hour))) // clocks of servers differ
	after, err := w.Snapshot(ctx)
	must(t, err)
	if n := after.Change.Revision - before.Change.Revision; n != 1 {
		t.Errorf("a minute of uses made %d revisions", n)
	}
	for _, e := range until(t, w.Watch(ctx, before.Change.Revision), after.Change.Revision) {
		e.Change.Revision = 0
		if text, err := json.Marshal(e); err != nil || pictureOf(e).diff(pictureOf()) != "" {
			t.Errorf("it is told as a change: %s", text)
		}
	}
	must(t, w.TouchKey(ctx, k.ID, at.Add(time.Minute)))
	want := at.Add(time.Minute).Truncate(time.Minute)
	got, err := w.Key(ctx, k.ID)
	must(t, err)
	listed, err := w.Keys(ctx, w.org)
	must(t, err)
	if last := listed[len(listed)-1].LastUsed; !got.LastUsed.Equal(want) || !last.Equal(want) {
		t.Errorf("got %s, listed %s, want %s", got.LastUsed, last, want)
	}
	refused(t, w.TouchKey(ctx, "EXO0", at), gabion.CodeNotFound, "EXO0")
}
