package store_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
)

const (
	macA = "52:54:00:00:00:0a"
	macB = "52:54:00:00:00:0b"
)

func TestInstanceComesBackAsStored(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	web := w.group("web")
	want := gabion.Instance{
		ID: "i-1", Organization: w.org, Name: "vm1", Host: "hv1", Groups: []string{web},
		NICs:   []gabion.NIC{nic("tap0", macA, "10.0.0.1", "2001:db8::1"), nic("tap1", macB)},
		Labels: map[string]string{"tier": "front"},
	}
	must(t, only(w.CreateInstance(t.Context(), want)))
	got, err := w.Instance(t.Context(), w.org, "i-1")
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gabion.Instance{}, "Created"), cmp.Comparer(sameAddr)); diff != "" {
		t.Error(diff)
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func TestInstanceWithoutGroupsGetsThePrimaryOne(t *testing.T) {
	t.Parallel()
	w := open(t)
	primary, err := w.PrimaryGroup(t.Context(), w.org)
	must(t, err)
	i, err := w.Instance(t.Context(), w.org, w.instance("vm"))
	must(t, err)
	if diff := cmp.Diff([]string{primary}, i.Groups); diff != "" {
		t.Error(diff)
	}
	refused(t, only(w.DetachGroup(t.Context(), w.org, i.ID, primary, true)), gabion.CodeConflict, "default", "vm")
}

func TestWhatInstancesHoldIsTheirsAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	w.host("hv2")
	ctx := t.Context()
	id := w.made(w.CreateInstance(ctx, gabion.Instance{
		Organization: w.org, Name: "first", Host: "hv1", NICs: []gabion.NIC{nic("tap0", macA, "10.0.0.1")},
	}))
	tests := []struct {
		name  string
		host  string
		nic   gabion.NIC
		words []string
	}{
		{"interface", "hv1", nic("tap0", macB, "10.0.0.2"), []string{"tap0", "hv1", "first", id}},
		{"MAC", "hv2", nic("tap0", macA, "10.0.0.2"), []string{macA, "first", id}},
		{"address", "hv2", nic("tap0", macB, "10.0.0.1"), []string{"10.0.0.1", "first", id}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			second := gabion.Instance{Organization: w.org, Name: "second", Host: tt.host, NICs: []gabion.NIC{tt.nic}}
			refused(t, only(w.CreateInstance(ctx, second)), gabion.CodeConflict, tt.words...)
		})
	}

	must(t, only(w.UpdateInstance(ctx, w.org, id, func(i *gabion.Instance) error {
		i.Host, i.NICs = "hv2", []gabion.NIC{nic("tap9", macB, "10.0.0.9")}
		return nil
	})))
	refused(t, w.DeleteHost(ctx, "hv2"), gabion.CodeConflict, "first")
	second := gabion.Instance{Organization: w.org, Name: "second", Host: "hv1", NICs: []gabion.NIC{nic("tap0", macA, "10.0.0.1")}}
	secondID := w.made(w.CreateInstance(ctx, second))
	must(t, only(w.DeleteInstance(ctx, w.org, secondID)))
	must(t, only(w.CreateInstance(ctx, second)))
}

func TestInterfaceOfAnotherOrganizationIsTakenWithoutSayingByWhom(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	must(t, only(w.CreateInstance(t.Context(), gabion.Instance{
		Organization: w.org, Name: "theirs", Host: "hv1", NICs: []gabion.NIC{nic("tap0", macA, "10.0.0.1")},
	})))
	another := w.organization("another", "hv1")
	other := w.made(w.CreateGroup(t.Context(), gabion.Group{Organization: another, Name: "g"}))
	err := only(w.CreateInstance(t.Context(), gabion.Instance{
		Organization: another, Name: "mine", Host: "hv1", Groups: []string{other}, NICs: []gabion.NIC{nic("tap0", macA, "10.0.0.1")},
	}))
	refused(t, err, gabion.CodeConflict, "tap0")
	if got, want := err.Error(), "interface tap0 of host hv1 is taken"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web, db := w.group("web"), w.group("db")
	vm := w.instance("vm", web)
	refused(t, only(w.AttachGroup(ctx, w.org, vm, web, true)), gabion.CodeConflict, "web", "vm")
	refused(t, only(w.DetachGroup(ctx, w.org, vm, db, true)), gabion.CodeConflict, "db", "vm")
	refused(t, only(w.AttachGroup(ctx, w.org, vm, "none", true)), gabion.CodeNotFound, "none")
	refused(t, only(w.AttachGroup(ctx, w.org, "none", db, true)), gabion.CodeNotFound, "none")

	must(t, only(w.SetState(ctx, w.org, vm, gabion.Running)))
	refused(t, only(w.AttachGroup(ctx, w.org, vm, db, true)), gabion.CodeConflict, "running", "stop")
	must(t, only(w.AttachGroup(ctx, w.org, vm, db, false)))
	refused(t, only(w.DetachGroup(ctx, w.org, vm, db, true)), gabion.CodeConflict, "running", "stop")
	must(t, only(w.SetState(ctx, w.org, vm, gabion.Stopped)))
	must(t, only(w.DetachGroup(ctx, w.org, vm, db, true)))

	for n := range gabion.MaxGroupsPerInstance - 1 {
		must(t, only(w.AttachGroup(ctx, w.org, vm, w.group(fmt.Sprint("g", n)), true)))
	}
	refused(t, only(w.AttachGroup(ctx, w.org, vm, db, true)), gabion.CodeLimit, "16 of 16")
}

// Nobody knows whether it runs: then it does.
func TestGroupsOfAnUnobservedInstanceStay(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	w.host("hv2")
	ctx := t.Context()
	web := w.group("web")
	vm := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "vm", Host: "hv1"}))
	refused(t, only(w.AttachGroup(ctx, w.org, vm, web, true)), gabion.CodeConflict, "vm", "hv1", "agent")
	must(t, w.SaveObserved(ctx, "hv1", map[string]bool{vm: false}))
	must(t, only(w.AttachGroup(ctx, w.org, vm, web, true)))

	must(t, only(w.UpdateInstance(ctx, w.org, vm, func(i *gabion.Instance) error { i.Host = "hv2"; return nil })))
	refused(t, only(w.DetachGroup(ctx, w.org, vm, web, true)), gabion.CodeConflict, "vm", "hv2")
	must(t, only(w.UpdateInstance(ctx, w.org, vm, func(i *gabion.Instance) error { i.Host = ""; return nil })))
	must(t, only(w.DetachGroup(ctx, w.org, vm, web, true)))
}

func TestObservedStatesAreTheHostsOwn(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	w.host("hv2")
	ctx := t.Context()
	ours := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "ours", Host: "hv1"}))
	theirs := w.made(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "theirs", Host: "hv2"}))
	must(t, w.SaveObserved(ctx, "hv1", map[string]bool{ours: true, theirs: true, "unknown": true}))
	got, err := w.States(ctx, w.org)
	must(t, err)
	if diff := cmp.Diff(map[string]gabion.InstanceState{ours: gabion.Running}, got); diff != "" {
		t.Error(diff)
	}
	must(t, w.SaveObserved(ctx, "hv1", map[string]bool{ours: false}))
	must(t, only(w.AttachGroup(ctx, w.org, ours, w.group("web"), true)))
}
