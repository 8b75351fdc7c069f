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

// TestWhatNeverSettledIsCollected, too: half-open flows, and datagrams in fragments.
func TestWhatNeverSettledIsCollected(t *testing.T) {
	w := newOrdinary(t)
	w.sends(ip4(guest, stranger, protoUDP, udp(7, 7)), gabion.PassEgressOpen) // 30 s
	w.sends(ip4(guest, stranger, protoTCP, web), gabion.PassEgressOpen)       // 60 s
	w.gets(ip4(stranger, guest, protoTCP, tcp(80, 40000, syn|ack)), gabion.PassFlow)
	w.sends(piece4(guest, peer, 1, 0, 16, true), gabion.PassEgressOpen) // a flow and a datagram, 30 s both
	w.collects(4, 0)
	w.sleep(34 * time.Second) // expired, but they may be in somebody's hands
	w.collects(4, 0)
	w.sleep(2 * time.Second)
	w.collects(1, 3)
	w.sleep(30 * time.Second)
	w.collects(0, 1)
}

// TestExpiredIsExpiredForGood holds that what was collected does not come back when the ticks wrap.
func TestExpiredIsExpiredForGood(t *testing.T) {
	w := newOrdinary(t)
	const wrapped = 1 << 32 << 20 // ns
	question, answer := ip4(guest, stranger, protoUDP, udp(7, 7)), ip4(stranger, guest, protoUDP, udp(7, 7))
	for _, collected := range []bool{false, true} {
		w.reset()
		w.sends(question, gabion.PassEgressOpen)
		w.sends(piece4(guest, stranger, 1, 0, 16, true), gabion.PassEgressOpen)
		w.sleep(time.Minute)
		w.gets(answer, gabion.DropDeniedIngress)
		want, wantPiece := gabion.PassFlow, gabion.PassFlow // the control: that is why they are collected
		if collected {
			w.collects(0, 3)
			want, wantPiece = gabion.DropDeniedIngress, gabion.DropFragmentOrphan
		}
		w.sleep(wrapped - time.Minute)
		w.gets(answer, want)
		w.sends(piece4(guest, stranger, 1, 16, 16, false), wantPiece)
	}
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
