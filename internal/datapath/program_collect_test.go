package datapath

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
)

// TestExpiredFlowsAreCollected holds that what expired, and nothing else, is deleted.
func TestExpiredFlowsAreCollected(t *testing.T) {
	w := newOrdinary(t)
	for _, s := range conversations(0, flowLimit-1) {
		s.run(w, 0)
	}
	for _, s := range (connection{ip4, peer, guest}).opens() {
		s.run(w, 0)
	}
	w.collects(flowLimit, 0)

	w.sleep(181 * time.Second) // UDP is over, but it may be in somebody's hands
	w.collects(flowLimit, 0)
	w.sleep(10 * time.Second)
	w.collects(1, flowLimit-1)
	w.collects(1, 0)
	w.gets((connection{ip4, peer, guest}).says(ack, 2001, 7001, 0), gabion.PassFlow)

	w.sleep(8010 * time.Second)
	w.collects(0, 1)
}

// TestNothingIsCollectedOfUnknownSlots holds that a slot without a table is no error.
func TestNothingIsCollectedOfUnknownSlots(t *testing.T) {
	w := newOrdinary(t)
	c := bpfCollection{Slot: nicSlot + 1}
	w.collect(&c)
	if c.Live != 0 || c.Expired != 0 {
		t.Errorf("found %+v", c)
	}
}

func (w *programs) collects(live, expired uint32) {
	w.Helper()
	c := bpfCollection{Slot: nicSlot}
	w.collect(&c)
	if c.Live != live || c.Expired != expired {
		w.Errorf("found %d live and %d expired flows, want %d and %d", c.Live, c.Expired, live, expired)
	}
}

func (w *programs) collect(c *bpfCollection) {
	w.Helper()
	_, err := w.objects.CollectExpired.Run(&ebpf.RunOptions{Context: c, ContextOut: c})
	w.must(err)
}
