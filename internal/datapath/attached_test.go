package datapath_test

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// wantPrograms counts the programs on both hooks of an interface.
func wantPrograms(t *testing.T, ifindex, want int) {
	t.Helper()
	got := 0
	for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		q, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: hook})
		if err != nil {
			t.Fatal(err)
		}
		got += len(q.Programs)
	}
	if got != want {
		t.Errorf("interface %d has %d programs, want %d", ifindex, got, want)
	}
}
