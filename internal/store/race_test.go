package store_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gabion/gabion"
)

// together calls f n times at once, and returns the errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

func TestOneOfManyWins(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	web := w.group("web")
	tests := []struct {
		name string
		do   func(i int) error
	}{
		{"group of one name", func(int) error {
			return only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "same"}))
		}},
		{"equal rule", func(int) error {
			return only(w.AddRules(t.Context(), w.org, web, []gabion.Rule{port(22, "0.0.0.0/0")}))
		}},
		{"address", func(i int) error {
			n := nic(fmt.Sprint("tap", i), fmt.Sprintf("52:54:00:00:01:%02x", i), "10.0.0.1")
			return only(w.CreateInstance(t.Context(), gabion.Instance{Organization: w.org, Name: "vm", Host: "hv1", NICs: []gabion.NIC{n}}))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			won := 0
			for _, err := range together(200, tt.do) {
				if err == nil {
					won++
					continue
				}
				refused(t, err, gabion.CodeConflict)
			}
			if won != 1 {
				t.Errorf("%d won", won)
			}
		})
	}
	w.audit()
}

func TestContendersAllComeThrough(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	for _, err := range together(60, func(i int) error {
		return only(w.AddSource(t.Context(), w.org, web, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)))
	}) {
		must(t, err)
	}
	g, err := w.Group(t.Context(), w.org, web)
	must(t, err)
	if len(g.Sources) != 60 {
		t.Errorf("%d sources are left of 60", len(g.Sources))
	}
}

// TestNothingNamesAGroupThatIsGone lets groups be deleted while others attach
// them, name them in rules and make them primary.
func TestNothingNamesAGroupThatIsGone(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	home := w.group("home")
	vms := []string{w.instance("vm0", home), w.instance("vm1", home), w.instance("vm2", home)}
	var deleted atomic.Int32
	for round := range 40 {
		target := w.group(fmt.Sprint("target", round))
		errs := together(8, func(i int) error {
			switch i {
			case 0, 1, 2:
				return only(w.AttachGroup(ctx, w.org, vms[i], target, true))
			case 3:
				return only(w.AddRules(ctx, w.org, home, []gabion.Rule{port(22, target)}))
			case 4:
				return only(w.AddRules(ctx, w.org, target, []gabion.Rule{port(22, home), port(23, target)}))
			case 5:
				return only(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "new", Groups: []string{target}}))
			}
			err := only(w.DeleteGroup(ctx, w.org, target))
			if err == nil {
				deleted.Add(1)
			}
			return err
		})
		for i, err := range errs {
			if code := gabion.CodeOf(err); err != nil && code != gabion.CodeConflict && code != gabion.CodeNotFound {
				t.Fatalf("worker %d: %v", i, err)
			}
		}
	}
	w.audit()
	t.Logf("%d of 40 groups were deleted", deleted.Load())
}

// TestRandomWorkersLeaveAConsistentStore is the same without a plan.
func TestRandomWorkersLeaveAConsistentStore(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv0")
	w.host("hv1")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var done [2]atomic.Int32
	for _, err := range together(8, func(worker int) error {
		r := rand.New(rand.NewPCG(seed, uint64(worker)))
		for range 60 {
			switch err := w.step(r); gabion.CodeOf(err) {
			case gabion.CodeConflict, gabion.CodeNotFound, gabion.CodeInvalid:
				done[1].Add(1)
			default:
				if err != nil {
					return err
				}
				done[0].Add(1)
			}
		}
		return nil
	}) {
		must(t, err)
	}
	w.audit()
	t.Logf("%d changes made, %d refused", done[0].Load(), done[1].Load())
}

// step makes one random change among few objects, so that they meet.
func (w *world) step(r *rand.Rand) error {
	ctx := w.t.Context()
	group, other, vm := fmt.Sprint("g", r.IntN(5)), fmt.Sprint("g", r.IntN(5)), fmt.Sprint("i", r.IntN(5))
	switch r.IntN(10) {
	case 0:
		return only(w.CreateGroup(ctx, gabion.Group{ID: group, Organization: w.org, Name: fmt.Sprint("name", r.IntN(7))}))
	case 1:
		return only(w.DeleteGroup(ctx, w.org, group))
	case 2:
		return only(w.UpdateGroup(ctx, w.org, group, rename(fmt.Sprint("name", r.IntN(7)))))
	case 3:
		rule := port(uint16(1+r.IntN(3)), other)
		rule.ID = fmt.Sprint("r", r.IntN(5))
		return only(w.AddRules(ctx, w.org, group, []gabion.Rule{rule}))
	case 4:
		return only(w.DeleteRule(ctx, w.org, group, fmt.Sprint("r", r.IntN(5))))
	case 5:
		return only(w.CreateInstance(ctx, gabion.Instance{ID: vm, Organization: w.org, Name: vm, Host: "hv0", Groups: []string{group}}))
	case 6:
		return only(w.DeleteInstance(ctx, w.org, vm))
	case 7:
		return only(w.AttachGroup(ctx, w.org, vm, group, true))
	case 8:
		return only(w.DetachGroup(ctx, w.org, vm, group, true))
	}
	return only(w.UpdateInstance(ctx, w.org, vm, func(i *gabion.Instance) error {
		n := byte(r.IntN(4))
		i.Host = fmt.Sprint("hv", r.IntN(2))
		i.NICs = []gabion.NIC{nic(fmt.Sprint("tap", n), fmt.Sprintf("52:54:00:00:02:%02x", r.IntN(4)), fmt.Sprintf("10.0.0.%d", 1+r.IntN(4)))}
		return nil
	}))
}
