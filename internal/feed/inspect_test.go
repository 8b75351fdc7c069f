package feed_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// named are the names of the groups as of the revision or later.
func (z *zone) named(ctx context.Context, revision int64) (names []string, err error) {
	err = z.server.Inspect(ctx, revision, func(w *policy.World) {
		groups, _ := w.Groups("o").Find("", 0, 1000, nil)
		for _, g := range groups {
			names = append(names, g.Name)
		}
	})
	return names, err
}

// TestWhoInspectsSeesWhatWasCommitted holds that nobody misses what was committed
// before he asked, however far behind the watch is: also across a history that was lost.
func TestWhoInspectsSeesWhatWasCommitted(t *testing.T) {
	z := newZone(t, populated())
	for n := range 200 {
		if n == 100 {
			z.lose("second")
			eventually(t, "the store is watched again", z.watched)
		}
		revision := z.commit(policy.Change{Groups: []*gabion.Group{group(fmt.Sprintf("h%03d", n))}})
		names, err := z.named(t.Context(), revision)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) != n+2 || names[n+1] != fmt.Sprintf("h%03d", n) {
			t.Fatalf("revision %d shows %d groups, want %d: %v", revision, len(names), n+2, names)
		}
	}
}

func TestWhoAsksForTheFutureIsToldSo(t *testing.T) {
	z := newZone(t, populated())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := z.named(gone, 1000); gabion.CodeOf(err) != gabion.CodeUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if names, err := z.named(gone, 1); err != nil || len(names) != 1 { // what is there needs no time
		t.Errorf("got %v %v, want one group", names, err)
	}
}
