package store_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

// TestLastChangeIsThatOfWhateverWasChanged holds for each kind of change: whoever
// waits for that revision has seen it.
func TestLastChangeIsThatOfWhateverWasChanged(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	changed := func(op gabion.Operation, err error) string {
		t.Helper()
		must(t, err)
		if last, err := w.LastChange(ctx, w.org); err != nil || last != op.Revision {
			t.Errorf("the last change is of revision %d, %v; want %d", last, err, op.Revision)
		}
		return op.Subject
	}
	web := changed(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "web"}))
	changed(w.UpdateGroup(ctx, w.org, web, func(g *gabion.Group) error { g.Name = "www"; return nil }))
	source := netip.MustParsePrefix("192.0.2.0/24")
	changed(w.AddSource(ctx, w.org, web, source))
	changed(w.RemoveSource(ctx, w.org, web, source))
	changed(w.AddRules(ctx, w.org, web, []gabion.Rule{port(80, "0.0.0.0/0")}))
	changed(w.ReplaceRules(ctx, w.org, web, []gabion.Rule{port(443, "0.0.0.0/0")}))
	rules, err := w.GroupRules(ctx, w.org, web)
	must(t, err)
	changed(w.DeleteRule(ctx, w.org, web, rules[0].ID))
	vm := changed(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "vm"}))
	changed(w.AttachGroup(ctx, w.org, vm, web, false))
	changed(w.DetachGroup(ctx, w.org, vm, web, false))
	changed(w.UpdateInstance(ctx, w.org, vm, func(i *gabion.Instance) error { i.Name = "vm1"; return nil }))
	changed(w.SetState(ctx, w.org, vm, gabion.Running))
	changed(w.SetPrimaryGroup(ctx, w.org, web))
	changed(w.DeleteInstance(ctx, w.org, vm))

	op, err := w.CreateOrganization(ctx, gabion.Organization{Name: "another", Quotas: gabion.DefaultQuotas()})
	must(t, err)
	if last, err := w.LastChange(ctx, op.Subject); err != nil || last < op.Revision {
		t.Errorf("an organization is born at %d, %v; want %d", last, err, op.Revision)
	}
	if last, err := w.LastChange(ctx, "nobody"); err != nil || last != 0 {
		t.Errorf("of an organization that there is not: %d, %v", last, err)
	}
}

// TestStatesOfSomeAreThoseOfAll asks for more than one call of etcd may ask for.
func TestStatesOfSomeAreThoseOfAll(t *testing.T) {
	t.Parallel()
	w := open(t)
	var ids []string
	for n := range 150 {
		id := w.instance(fmt.Sprint("vm", n))
		ids = append(ids, id)
		if n%3 == 0 {
			_, err := w.SetState(t.Context(), w.org, id, gabion.Running)
			must(t, err)
		}
	}
	all, err := w.States(t.Context(), w.org)
	must(t, err)
	some, err := w.StatesOf(t.Context(), w.org, append(ids, "nobody"))
	must(t, err)
	if diff := cmp.Diff(all, some); diff != "" || len(some) != 50 {
		t.Errorf("%d states (-want +got):\n%s", len(some), diff)
	}
	if none, err := w.StatesOf(t.Context(), w.org, nil); err != nil || len(none) > 0 {
		t.Errorf("of nobody: %v, %v", none, err)
	}
}
