package agent_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
)

func TestStartWithoutServer(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	next(t, "Apply", b.applied)

	again := start(t, dir)
	if got := again.Held(); got != (feed.Position{Epoch: "e", Revision: 5}) {
		t.Errorf("it holds %+v, want revision 5", got)
	}
	none(t, "Apply before the interfaces are known", again.applied)
	again.Links(tap1(true))
	if got := next(t, "Apply", again.applied); got.revision != 5 || !slices.Equal(got.instances, []string{"one"}) {
		t.Errorf("enforced %+v, want revision 5", got)
	}
	again.answer <- nil
	next(t, "an observation", again.observed)
	if err := again.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestDamagedStateFileIsNotEnforced(t *testing.T) {
	good, _, err := (&feed.State{Epoch: "e", View: view(5, one(false))}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-3] ^= 4
	for name, content := range map[string][]byte{
		"empty": {}, "truncated": good[:len(good)-1], "bit flipped": flipped, "garbage": []byte("garbage"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "policy.pb"), content, 0o600); err != nil {
				t.Fatal(err)
			}
			b := start(t, dir)
			if got := b.Held(); got != (feed.Position{}) {
				t.Errorf("it holds %+v, want nothing", got)
			}
			b.Links(tap1(true))
			b.Replace("e", view(7)) // the first thing that is enforced is the server's
			if got := next(t, "Apply", b.applied); got.revision != 7 {
				t.Errorf("enforced revision %d, want 7", got.revision)
			}
		})
	}
}

func TestStateFileThatCannotBeWrittenIsRemoved(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	b.Links(tap1(true))
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")

	bad := &gabion.Instance{ID: "\xff", Groups: []string{"g"}} // no encoding of it exists
	b.Change(&policy.Delta{Revision: 6, Instances: []*gabion.Instance{bad}})
	if got := next(t, "Apply", b.applied); got.revision != 6 {
		t.Errorf("enforced revision %d, want 6 nonetheless", got.revision)
	}
	b.answer <- nil
	b.expectAck(t, 6, "")
	if _, err := os.Stat(filepath.Join(dir, "policy.pb")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the older policy is still there: %v", err)
	}
}

// BenchmarkStateFile writes the policy of a host that knows so many members, as it
// does for each change: whole, and safe from a power cut.
func BenchmarkStateFile(b *testing.B) {
	for _, members := range []int{100, 1000, 10000, 100000} {
		v := view(1, one(false))
		for n := range members {
			id := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
			v.Members[id] = &policy.Member{
				Instance: id, Organization: "00000000-0000-4000-8000-000000000000", Groups: []string{"00000000-0000-4000-8000-000000000001"},
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})},
			}
		}
		state := &feed.State{Epoch: "e", View: v}
		data, _, err := state.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			dir := b.TempDir()
			b.ReportMetric(float64(len(data)), "bytes")
			for b.Loop() {
				if err := agent.SaveState(dir, "hv1", state); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(members, "/encode"), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := state.Encode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
