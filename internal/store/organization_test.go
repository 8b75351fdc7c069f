package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

func TestOrganizationsComeBackAsStoredInOrderOfCreation(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	small := gabion.Quotas{Groups: 1, RulesPerGroup: 2, GroupsPerInstance: 3, Instances: 4, Keys: 5}
	want := []gabion.Organization{
		{Name: "default", Quotas: gabion.DefaultQuotas(), Hosts: []string{gabion.AnyHost}},
		{Name: "zoo/../x", Quotas: gabion.DefaultQuotas()},
		{Name: "ACME", Quotas: small, Hosts: []string{"hv1", "hv2"}},
	}
	for _, o := range want[1:] {
		must(t, only(w.CreateOrganization(ctx, gabion.Organization{Name: o.Name, Quotas: o.Quotas, Hosts: o.Hosts})))
	}
	if want[1].Quotas != gabion.DefaultQuotas() {
		t.Fatal("the test is about default quotas, too")
	}
	got, err := w.Organizations(ctx)
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gabion.Organization{}, "ID", "Created")); diff != "" {
		t.Error(diff)
	}
	for _, o := range got {
		one, err := w.Organization(ctx, o.ID)
		must(t, err)
		if diff := cmp.Diff(o, one); diff != "" || o.Created.IsZero() {
			t.Errorf("%s, created %s", diff, o.Created)
		}
		groups, err := w.Groups(ctx, o.ID)
		must(t, err)
		if primary, err := w.PrimaryGroup(ctx, o.ID); err != nil || len(groups) != 1 || groups[0].Name != gabion.DefaultGroupName || groups[0].ID != primary {
			t.Errorf("organization %s has groups %v, primary %s, %v", o.Name, groups, primary, err)
		}
	}
}

func TestOrganizationsNameIsUnique(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	acme := w.organization("acme")
	refused(t, only(w.CreateOrganization(ctx, gabion.Organization{Name: "acme"})), gabion.CodeConflict, "acme", acme)
	named := func(name string) func(*gabion.Organization) error {
		return func(o *gabion.Organization) error { o.Name = name; return nil }
	}
	refused(t, only(w.UpdateOrganization(ctx, acme, named("default"))), gabion.CodeConflict, "default")
	must(t, only(w.UpdateOrganization(ctx, acme, named("umbrella"))))
	w.organization("acme")
	refused(t, only(w.UpdateOrganization(ctx, "none", named("x"))), gabion.CodeNotFound, "none")
	refused(t, only(w.UpdateOrganization(ctx, acme, named(""))), gabion.CodeInvalid, "name")
	refused(t, only(w.UpdateOrganization(ctx, acme, func(o *gabion.Organization) error { o.Hosts = []string{"../x"}; return nil })),
		gabion.CodeInvalid, "hosts[0]")
	refused(t, only(w.UpdateOrganization(ctx, acme, func(o *gabion.Organization) error { o.Quotas.Groups = 0; return nil })),
		gabion.CodeInvalid, "quotas.security-groups")
}

func TestHostsAreGrantedToOrganizations(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.host("hv1")
	w.host("hv2")
	acme := w.organization("acme", "hv1")
	on := func(host string) error {
		return only(w.CreateInstance(ctx, gabion.Instance{Organization: acme, Name: "vm", Host: host}))
	}
	denied := on("hv2")
	refused(t, denied, gabion.CodeForbidden, "hv2", "operator")
	if got, want := on("hv3").Error(), strings.ReplaceAll(denied.Error(), "hv2", "hv3"); got != want {
		t.Errorf("a host that is not there is told apart from one that is not granted: %q, %q", got, want)
	}
	must(t, on("")) // without a host
	vm := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: acme, Name: "vm", Host: "hv1"}))
	move := func(i *gabion.Instance) error { i.Host = "hv2"; return nil }
	refused(t, only(w.UpdateInstance(ctx, acme, vm, move)), gabion.CodeForbidden, "hv2")
	grant := func(hosts ...string) {
		must(t, only(w.UpdateOrganization(ctx, acme, func(o *gabion.Organization) error { o.Hosts = hosts; return nil })))
	}
	grant("hv1", "hv2")
	must(t, only(w.UpdateInstance(ctx, acme, vm, move)))

	grant() // what is there stays, and gets no more
	plug := func(i *gabion.Instance) error { i.NICs = []gabion.NIC{nic("tap0", macA)}; return nil }
	refused(t, only(w.UpdateInstance(ctx, acme, vm, plug)), gabion.CodeForbidden, "hv2")
	must(t, only(w.UpdateInstance(ctx, acme, vm, func(i *gabion.Instance) error { i.Name = "same"; return nil })))
	grant(gabion.AnyHost)
	must(t, only(w.UpdateInstance(ctx, acme, vm, plug)))
}

func TestOrganizationInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	refused(t, only(w.DeleteOrganization(ctx, w.org)), gabion.CodeConflict, "default")
	acme := w.organization("acme")
	vm := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: acme, Name: "vm"}))
	refused(t, only(w.DeleteOrganization(ctx, acme)), gabion.CodeConflict, "1 instances")
	must(t, only(w.DeleteInstance(ctx, acme, vm)))
	must(t, only(w.DeleteOrganization(ctx, acme)))
	refused(t, only(w.DeleteOrganization(ctx, acme)), gabion.CodeNotFound, acme)
}

func TestDeletedOrganizationTakesAllAlongButItsLog(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	acme := w.organization("acme")
	key := w.key(gabion.Key{Organization: acme, Name: "k"})
	must(t, w.TouchKey(ctx, key.ID, time.Now()))
	session := gabion.Session{Hash: [32]byte{7}, Key: key.ID, Expires: time.Now().Add(time.Hour)}
	must(t, w.CreateSession(ctx, session))
	for n := range 3 {
		g := w.made(w.CreateGroup(ctx, gabion.Group{Organization: acme, Name: fmt.Sprint("g", n)}))
		must(t, only(w.AddRules(ctx, acme, g, []gabion.Rule{port(22, g), port(80, "0.0.0.0/0")})))
	}
	snapshot, err := w.Snapshot(ctx)
	must(t, err)
	events := w.Watch(ctx, snapshot.Change.Revision)
	records := w.records(acme)

	must(t, only(w.DeleteOrganization(ctx, acme)))
	_, err = w.Organization(ctx, acme)
	refused(t, err, gabion.CodeNotFound, acme)
	_, err = w.Key(ctx, key.ID)
	refused(t, err, gabion.CodeNotFound, key.ID)
	_, err = w.Session(ctx, session.Hash)
	refused(t, err, gabion.CodeNotFound, "sign in")
	refused(t, only(w.CreateGroup(ctx, gabion.Group{Organization: acme, Name: "late"})), gabion.CodeNotFound, acme)
	if diff := cmp.Diff(records, w.records(acme)); diff != "" {
		t.Errorf("its audit log: %s", diff)
	}
	w.leftOf(acme)
	w.organization("acme") // the name is free

	last, err := w.Snapshot(ctx)
	must(t, err)
	p := pictureOf(snapshot)
	for _, e := range until(t, events, last.Change.Revision) {
		p.apply(e)
	}
	if diff := pictureOf(last).diff(p); diff != "" {
		t.Errorf("the watch has another picture: %s", diff)
	}
}

// leftOf holds that nothing but the audit log is left of an organization.
func (w *world) leftOf(org string) {
	w.t.Helper()
	reply, err := w.raw().Get(w.t.Context(), "gabion/", clientv3.WithPrefix())
	must(w.t, err)
	for _, kv := range reply.Kvs {
		key := string(kv.Key)
		if strings.HasPrefix(key, "gabion/o/"+gabion.InstallationLog) || strings.HasPrefix(key, "gabion/o/"+w.org) || strings.HasPrefix(key, "gabion/o/"+org+"/audit") {
			continue
		}
		if strings.Contains(key+string(kv.Value), org) {
			w.t.Errorf("left behind: %s %s", key, kv.Value)
		}
	}
}

// TestCutRemovalGoesOn lets a server die right after the transaction that marks an
// organization gone.
func TestCutRemovalGoesOn(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	acme := w.organization("acme")
	key := w.key(gabion.Key{Organization: acme, Name: "k"})
	raw := w.raw()
	at := "gabion/organization/" + acme
	reply, err := raw.Get(ctx, at)
	must(t, err)
	_, err = raw.Put(ctx, at, strings.Replace(string(reply.Kvs[0].Value), "{", `{"gone":true,`, 1))
	must(t, err)
	_, err = raw.Delete(ctx, "gabion/organization-name/acme")
	must(t, err)

	_, err = w.Key(ctx, key.ID)
	refused(t, err, gabion.CodeNotFound)
	groups, err := w.Groups(ctx, acme)
	must(t, err)
	refused(t, only(w.AddRules(ctx, acme, groups[0].ID, []gabion.Rule{port(22, "0.0.0.0/0")})), gabion.CodeNotFound, acme)
	refused(t, only(w.UpdateGroup(ctx, acme, groups[0].ID, rename("x"))), gabion.CodeNotFound, acme)
	refused(t, only(w.DeleteOrganization(ctx, acme)), gabion.CodeNotFound, acme)
	refused(t, w.TouchKey(ctx, key.ID, time.Now()), gabion.CodeNotFound, key.ID)
	if all, err := w.Organizations(ctx); err != nil || len(all) != 1 {
		t.Errorf("listed: %v, %v", all, err)
	}
	_, _, err = w.Bootstrap(ctx)
	must(t, err)
	w.leftOf(acme)
}

func TestDeletingRacesWithUse(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	second := connect(t, w.embedded.Endpoint(), t.TempDir(), w.log())
	for round := range 10 {
		acme := w.organization(fmt.Sprint("acme", round))
		errs := together(4, func(i int) error {
			switch i {
			case 0:
				return only(second.DeleteOrganization(ctx, acme))
			case 1:
				return only(w.CreateInstance(ctx, gabion.Instance{Organization: acme, Name: "vm"}))
			case 2:
				return only(second.CreateGroup(ctx, gabion.Group{Organization: acme, Name: "web"}))
			}
			_, err := w.CreateKey(ctx, gabion.Key{Organization: acme, Name: "k", Scopes: []gabion.Scope{gabion.ScopeRead}})
			return err
		})
		for i, err := range errs[1:] {
			if code := gabion.CodeOf(err); err != nil && code != gabion.CodeNotFound {
				t.Fatalf("worker %d: %v", i+1, err)
			}
		}
		switch {
		case errs[0] == nil && errs[1] == nil:
			t.Fatal("deleted, and an instance in it")
		case errs[0] == nil:
			w.leftOf(acme)
		default:
			refused(t, errs[0], gabion.CodeConflict, "instances")
		}
	}
}
