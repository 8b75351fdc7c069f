package store_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// signed is a context of the n-th request of somebody.
func signed(ctx context.Context, n int) context.Context {
	return gabion.WithActor(ctx, gabion.Actor{
		Key: "EXO1", KeyName: "somebody", Remote: netip.MustParseAddr("192.0.2.7"), Request: fmt.Sprint("request-", n),
		Signature: [32]byte{byte(n), byte(n >> 8), 1}, SignatureExpires: time.Now().Add(time.Minute).Truncate(time.Minute),
	})
}

// contents is all that the store holds.
func (w *world) contents() map[string]string {
	w.t.Helper()
	reply, err := w.raw().Get(w.t.Context(), "gabion/", clientv3.WithPrefix())
	must(w.t, err)
	all := map[string]string{}
	for _, kv := range reply.Kvs {
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}

func TestChangeSentAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	w.host("hv2")
	second := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	web, db := w.group("web"), w.group("db")
	vm, old := w.instance("vm", web), w.instance("old", web)
	rule := w.rule(web, port(22, "0.0.0.0/0"))
	acme, gone := w.organization("acme"), w.organization("gone")
	key := w.key(gabion.Key{Organization: w.org, Name: "k"})
	source := netip.MustParsePrefix("198.51.100.0/24")

	tests := map[string]func(ctx context.Context, s *store.Store) (gabion.Operation, error){
		"create group": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "new"})
		},
		"update group": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.UpdateGroup(ctx, w.org, db, rename("database"))
		},
		"add source": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.AddSource(ctx, w.org, web, source)
		},
		"add rules": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.AddRules(ctx, w.org, web, []gabion.Rule{port(80, "0.0.0.0/0")})
		},
		"delete rule": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.DeleteRule(ctx, w.org, web, rule)
		},
		"replace rules": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.ReplaceRules(ctx, w.org, db, []gabion.Rule{port(5432, web)})
		},
		"create instance": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "new", Host: "hv1"})
		},
		"start instance": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.SetState(ctx, w.org, vm, gabion.Running)
		},
		"attach": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.AttachGroup(ctx, w.org, vm, db, false)
		},
		"delete instance": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.DeleteInstance(ctx, w.org, old)
		},
		"primary group": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.SetPrimaryGroup(ctx, w.org, web)
		},
		"create organization": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.CreateOrganization(ctx, gabion.Organization{Name: "new"})
		},
		"update organization": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.UpdateOrganization(ctx, acme, func(o *gabion.Organization) error { o.Hosts = append(o.Hosts, "hv1"); return nil })
		},
		"delete organization": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.DeleteOrganization(ctx, gone)
		},
		"delete key": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return s.DeleteKey(ctx, w.org, key.ID)
		},
		"delete host": func(ctx context.Context, s *store.Store) (gabion.Operation, error) {
			return gabion.Operation{}, s.DeleteHost(ctx, "hv2")
		},
	}
	n := 100
	for name, do := range tests {
		n++
		ctx := signed(t.Context(), n)
		t.Run(name, func(t *testing.T) {
			first, err := do(ctx, w.Store)
			must(t, err)
			before := w.contents()
			for _, s := range []*store.Store{w.Store, second} {
				again, err := do(ctx, s)
				must(t, err)
				if diff := cmp.Diff(first, again); diff != "" {
					t.Errorf("answered otherwise: %s", diff)
				}
			}
			if diff := cmp.Diff(before, w.contents()); diff != "" {
				t.Errorf("something was changed: %s", diff)
			}
		})
	}
	w.audit()
}

func TestKeyMadeAgainIsTheSame(t *testing.T) {
	t.Parallel()
	w := open(t)
	second := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	ctx := signed(t.Context(), 1)
	ask := gabion.Key{Organization: w.org, Name: "k", Scopes: []gabion.Scope{gabion.ScopeRead}}
	first, err := w.CreateKey(ctx, ask)
	must(t, err)
	again, err := second.CreateKey(ctx, ask)
	must(t, err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	ctx, ends := signed(t.Context(), 2), time.Now().Add(time.Hour)
	next, err := w.RotateKey(ctx, w.org, first.ID, ends)
	must(t, err)
	again, err = second.RotateKey(ctx, w.org, first.ID, ends)
	must(t, err)
	if diff := cmp.Diff(next, again); diff != "" {
		t.Error(diff)
	}
	if keys, err := w.Keys(ctx, w.org); err != nil || len(keys) != 3 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestRequestsAtOnceMakeOneChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	second := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	ctx := signed(t.Context(), 1)
	ops := make([]gabion.Operation, 20)
	for _, err := range together(20, func(i int) (err error) {
		s := w.Store
		if i%2 == 0 {
			s = second
		}
		ops[i], err = s.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "vm"})
		return err
	}) {
		must(t, err)
	}
	for _, op := range ops {
		if op.ID != ops[0].ID {
			t.Errorf("operations %s and %s", op.ID, ops[0].ID)
		}
	}
	if instances, err := w.Instances(ctx, w.org); err != nil || len(instances) != 1 {
		t.Errorf("%d instances, %v", len(instances), err)
	}
}

func TestRefusedChangeMayBeSentAgain(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	ctx := signed(t.Context(), 1)
	create := func() error {
		return only(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "web"}))
	}
	refused(t, create(), gabion.CodeConflict)
	must(t, only(w.DeleteGroup(t.Context(), w.org, web)))
	must(t, create())
}

func TestJoinTokenIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := signed(t.Context(), 1)
	token := gabion.JoinToken{Host: "hv1", Hash: [32]byte{1}, Expires: time.Now().Add(time.Minute)}
	must(t, w.CreateJoinToken(ctx, token))
	token.Hash = [32]byte{2}
	refused(t, w.CreateJoinToken(ctx, token), gabion.CodeConflict, "shown once")
	refused(t, w.RedeemJoinToken(ctx, "hv1", token.Hash, time.Now(), [32]byte{}), gabion.CodeForbidden, "unknown")
}

func TestEndedClaimsAreSwept(t *testing.T) {
	t.Parallel()
	w := open(t)
	end := time.Now().Add(-time.Hour)
	for n := range 50 {
		ctx := gabion.WithActor(t.Context(), gabion.Actor{Signature: [32]byte{byte(n), 9}, SignatureExpires: end.Add(time.Duration(n) * time.Second)})
		must(t, only(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: fmt.Sprint(n)})))
	}
	must(t, only(w.CreateGroup(signed(t.Context(), 1), gabion.Group{Organization: w.org, Name: "a"})))
	must(t, only(w.CreateGroup(signed(t.Context(), 2), gabion.Group{Organization: w.org, Name: "b"})))
	claims := 0
	for key := range w.contents() {
		if strings.Contains(key, "/replay/") {
			claims++
		}
	}
	if claims > 4 {
		t.Errorf("%d claims are left", claims)
	}
	w.audit()
}
