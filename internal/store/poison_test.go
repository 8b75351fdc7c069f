package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

func TestPoisonedValueIsReportedAndConcernsNoOther(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web := w.group("web")
	vm := w.instance("vm", web)
	snapshot, err := w.Snapshot(ctx)
	must(t, err)
	events := w.Watch(ctx, snapshot.Change.Revision)
	raw := w.raw()
	prefix := "gabion/o/" + w.org
	poisons := map[string]string{
		prefix + "/group/bad":          `{"name": 7}`,
		prefix + "/instance/" + vm:     "\x00\xff",
		prefix + "/rule/" + web + "/r": `{"direction":"sideways","protocol":"tcp","network":"0.0.0.0/0"}`,
		prefix + "/rule/" + web + "/s": `{"direction":"ingress","protocol":"tcp","network":"0.0.0.0/0","peer":"` + web + `"}`,
		prefix + "/state/" + vm:        `[]`,
		"gabion/host-status/hv1":       `"fine"`,
	}
	for key, value := range poisons {
		_, err := raw.Put(ctx, key, value)
		must(t, err)
	}
	op, err := w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "after"})
	must(t, err)

	p := pictureOf(snapshot)
	for _, e := range until(t, events, op.Revision) {
		p.apply(e)
	}
	if len(p.groups) != 3 || len(p.rules) != 0 || len(p.instances) != 1 {
		t.Errorf("the watch tells %d groups, %d rules, %d instances", len(p.groups), len(p.rules), len(p.instances))
	}
	if fresh, err := w.Snapshot(ctx); err != nil || len(fresh.Change.Groups) != 3 {
		t.Errorf("the snapshot tells %d groups, %v", len(fresh.Change.Groups), err)
	}
	if groups, err := w.Groups(ctx, w.org); err != nil || len(groups) != 3 {
		t.Errorf("the list tells %d groups, %v", len(groups), err)
	}
	if _, err := w.States(ctx, w.org); err != nil {
		t.Error(err)
	}
	if got := len(w.Poisoned()); got != len(poisons) {
		t.Errorf("%d of %d are reported: %+v", got, len(poisons), w.Poisoned())
	}

	for key := range poisons {
		_, err := raw.Delete(ctx, key)
		must(t, err)
	}
	must(t, only(w.DeleteGroup(ctx, w.org, op.Subject)))
	last, err := w.Snapshot(ctx)
	must(t, err)
	until(t, events, last.Change.Revision)
	if diff := cmp.Diff(0, len(w.Poisoned())); diff != "" {
		t.Errorf("what is gone is still reported: %+v", w.Poisoned())
	}
}

func TestPoisonedInstanceDoesNotKeepTheOthersFromBeingObserved(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	ctx := t.Context()
	good := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "good", Host: "hv1"}))
	bad := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "bad", Host: "hv1"}))
	_, err := w.raw().Put(ctx, "gabion/host-instance/hv1/"+bad, "?")
	must(t, err)
	must(t, w.SaveObserved(ctx, "hv1", map[string]bool{good: true, bad: true}))
	got, err := w.States(ctx, w.org)
	must(t, err)
	if diff := cmp.Diff(map[string]gabion.InstanceState{good: gabion.Running}, got); diff != "" {
		t.Error(diff)
	}
}

// TestNamesOfBeforeStayReadable holds that what new names may not have keeps no
// object from being read that has it already.
func TestNamesOfBeforeStayReadable(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web := w.group("web")
	vm := w.instance("vm", web)
	raw, prefix := w.raw(), "gabion/o/"+w.org
	for key, value := range map[string]string{
		prefix + "/group/old":            `{"name": "old\u202eeman"}`,
		prefix + "/rule/" + web + "/r":   `{"direction":"ingress","protocol":"tcp","network":"0.0.0.0/0","description":"\u2028"}`,
		prefix + "/instance/" + vm:       `{"name":"vm\u2066","groups":["` + web + `"],"labels":{"\u202a":"\u202b"}}`,
		prefix + "/group/unreadable":     `{"name": "\u0007"}`,
		prefix + "/instance/unreadable":  `{"name": "", "groups":["` + web + `"]}`,
		prefix + "/rule/" + web + "/bad": `{"direction":"ingress","protocol":"tcp","description":"no network"}`,
	} {
		_, err := raw.Put(ctx, key, value)
		must(t, err)
	}
	all, err := w.Snapshot(ctx)
	must(t, err)
	if g, r, i := len(all.Change.Groups), len(all.Change.Rules), len(all.Change.Instances); g != 3 || r != 1 || i != 1 {
		t.Errorf("the snapshot has %d groups, %d rules, %d instances", g, r, i)
	}
	if got := len(w.Poisoned()); got != 3 {
		t.Errorf("%d are reported: %+v", got, w.Poisoned())
	}
	must(t, only(w.AttachGroup(ctx, w.org, vm, "old", false)))
	must(t, only(w.DetachGroup(ctx, w.org, vm, "old", false)))
}
