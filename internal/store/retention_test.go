package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

func TestOldOperationsAreSweptButForTheNewest(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	var ops []gabion.Operation
	create := func(n int) {
		for range n {
			ops = append(ops, mustOp(t)(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: fmt.Sprint(len(ops))})))
		}
	}
	kept := func(what string, gone int) {
		t.Helper()
		for i, op := range ops {
			_, err := w.Operation(ctx, w.org, op.ID)
			if i < gone {
				refused(t, err, gabion.CodeNotFound)
			} else if err != nil {
				t.Fatalf("%s: operation %d: %v", what, i, err)
			}
		}
	}
	sweep := func(keep int64, before time.Time) { must(t, store.SweepOperations(w.Store, ctx, w.org, keep, before)) }
	create(250)
	later := time.Now().Add(time.Hour)
	sweep(1000, later)
	kept("few", 0)
	sweep(10, later.Add(-24*time.Hour))
	kept("young", 0)
	sweep(10, ops[150].Created)
	kept("some old", 150)
	sweep(10, later)
	kept("old", 240)
	create(5)
	sweep(10, later)
	kept("more", 245)
	w.audit()
}
