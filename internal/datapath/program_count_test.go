package datapath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

// TestEveryVerdictIsCounted holds that nothing moves but the counter of the reason.
func TestEveryVerdictIsCounted(t *testing.T) {
	w := newOrdinary(t)
	w.sends(ip4(guest, stranger, protoUDP, udp(1, 2)), gabion.PassEgressOpen)
	w.sends(ip4(guest, stranger, protoUDP, udp(1, 2)), gabion.PassFlow)
	w.sends(ip4(guest, stranger, protoUDP, udp(1, 2)), gabion.PassFlow)
	w.gets(ip4(stranger, guest, protoTCP, ssh), gabion.DropDeniedIngress)
	want := map[gabion.Reason]uint64{gabion.PassEgressOpen: 1, gabion.PassFlow: 2, gabion.DropDeniedIngress: 1}
	if diff := cmp.Diff(want, w.counted(nicSlot)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}

	w.must(w.objects.Nics.Delete(uint32(loopback)))
	w.gets(ip4(stranger, guest, protoTCP, ssh), gabion.DropNoPolicy)
	if diff := cmp.Diff(map[gabion.Reason]uint64{gabion.DropNoPolicy: 1}, w.counted(0)); diff != "" {
		t.Errorf("counters of unknown NICs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.counted(nicSlot)); diff != "" {
		t.Errorf("counters after a frame of an unknown NIC (-want +got):\n%s", diff)
	}
}

// TestRulesAreCounted holds that a rule counts what passes because of it, replies included.
func TestRulesAreCounted(t *testing.T) {
	w := newOrdinary(t)
	c := connection{ip4, peer, guest}
	w.gets(c.says(syn, 1, 0, 0), gabion.PassRule)
	w.sends(c.answers(syn|ack, 1, 2, 0), gabion.PassFlow)
	w.gets(c.says(ack, 2, 2, 100), gabion.PassFlow)
	w.gets(ip4(stranger, guest, protoTCP, ssh), gabion.DropDeniedIngress)
	w.sends(ip4(guest, stranger, protoUDP, udp(1, 2)), gabion.PassEgressOpen)
	if got, want := w.hits(rulePeerSSH), (bpfRuleHit{Packets: 3, Bytes: 3*54 + 100}); got != want {
		t.Errorf("hits of the rule: got %+v, want %+v", got, want)
	}
	if got := w.hits(0); got != (bpfRuleHit{}) {
		t.Errorf("hits of no rule: %+v", got)
	}
}

// TestOffloadsAreCountedAsPackets: what a guest hands over as one is many on the wire.
func TestOffloadsAreCountedAsPackets(t *testing.T) {
	w := newOrdinary(t)
	w.skb = &skb{Ifindex: loopback, GSOSize: 1000}
	c := connection{ip4, peer, guest}
	w.gets(c.says(syn, 1, 0, 0), gabion.PassRule)
	w.sends(c.answers(syn|ack, 1, 2, 2001), gabion.PassFlow)
	w.sends(c.answers(ack, 2, 2, 2000), gabion.PassFlow)
	w.sends(c.answers(ack, 2, 2, 1), gabion.PassFlow)
	want := map[gabion.Reason]uint64{gabion.PassRule: 1, gabion.PassFlow: 3 + 2 + 1}
	if diff := cmp.Diff(want, w.counted(nicSlot)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if got := w.hits(rulePeerSSH).Packets; got != 1+3+2+1 {
		t.Errorf("packets of the rule: got %d, want 7", got)
	}
}

// TestDropsAreTold holds who is told of, once, and what is said.
func TestDropsAreTold(t *testing.T) {
	w := newOrdinary(t)
	events := w.listen()
	denied := ip4(stranger, guest, protoTCP, tcp(5, 22, syn))

	w.gets(denied, gabion.DropDeniedIngress)
	want := bpfEvent{
		Time: uint64(w.now), Slot: nicSlot, Direction: bpfDirectionINGRESS, Reason: bpfReasonDROP_DENIED_INGRESS,
		Flow: bpfFlowKey{
			Remote: addressBytes(stranger.ip4), Local: addressBytes(guest.ip4), Rport: swap16(5), Lport: swap16(22), Protocol: protoTCP,
		},
	}
	if diff := cmp.Diff(want, events.next()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	w.gets(denied, gabion.DropDeniedIngress)                                          // told already
	w.gets(ip4(stranger, guest, protoTCP, tcp(6, 22, syn)), gabion.DropDeniedIngress) // from another port: too
	w.gets(ip4(peer, stranger, protoTCP, ssh), gabion.DropNotForNIC)                  // nobody's business
	w.gets(ip4(peer, guest, protoTCP, ssh), gabion.PassRule)                          // no drop
	w.gets(ip4(stranger, guest, protoTCP, tcp(5, 23, syn)), gabion.DropDeniedIngress) // another port
	w.sends(ip4(guest.behind(peer.mac), peer, protoTCP, ssh), gabion.DropMACSpoof)    // not looked into
	w.gets(echo6.asks(stranger, guest, 3), gabion.DropDeniedIngress)                  // ICMP has a type
	w.gets(ip4(stranger, guest, protoTCP, tcp(6, 22, ack)), gabion.DropNoFlow)        // another reason
	w.sleep(61 * time.Second)                                                         // a minute later
	w.gets(ip4(stranger, guest, protoTCP, tcp(7, 22, syn)), gabion.DropDeniedIngress) // it is news again
	var got []gabion.Reason
	for range 5 {
		got = append(got, gabion.Reason(events.next().Reason))
	}
	wantReasons := []gabion.Reason{
		gabion.DropDeniedIngress, gabion.DropMACSpoof, gabion.DropDeniedIngress, gabion.DropNoFlow, gabion.DropDeniedIngress,
	}
	if diff := cmp.Diff(wantReasons, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	events.none()
}

// TestTooManyEventsAreCounted holds that one NIC's flood is cut and that the next event says by how much.
func TestTooManyEventsAreCounted(t *testing.T) {
	w := newOrdinary(t)
	events := w.listen()
	const flood = 150
	for port := range uint16(flood) {
		w.gets(ip4(stranger, guest, protoTCP, tcp(5, port, syn)), gabion.DropDeniedIngress)
	}
	sent := 0
	for events.isNext() {
		sent++
	}
	if sent != 101 {
		t.Errorf("%d events of %d were sent, want the allowance and one", sent, flood)
	}
	w.sleep(time.Second)
	w.gets(ip4(stranger, guest, protoTCP, tcp(5, 1000, syn)), gabion.DropDeniedIngress)
	if lost := events.next().Lost; lost != uint32(flood-sent) {
		t.Errorf("%d are reported as lost, want %d", lost, flood-sent)
	}
	w.gets(ip4(stranger, guest, protoTCP, tcp(5, 1001, syn)), gabion.DropDeniedIngress)
	if lost := events.next().Lost; lost != 0 {
		t.Errorf("%d are reported as lost again", lost)
	}
}

func (w *programs) sends(frame []byte, want gabion.Reason) {
	w.Helper()
	sends(frame, want).run(w, 0)
}

func (w *programs) gets(frame []byte, want gabion.Reason) {
	w.Helper()
	gets(frame, want).run(w, 0)
}

// counted is the counters of a slot that moved.
func (w *programs) counted(slot uint32) map[gabion.Reason]uint64 {
	w.Helper()
	counted := map[gabion.Reason]uint64{}
	for i := range uint32(64) {
		var perCPU []uint64
		w.must(w.objects.Verdicts.Lookup(slot*64+i, &perCPU))
		for _, n := range perCPU {
			if n != 0 {
				counted[gabion.Reason(i)] += n
			}
		}
	}
	return counted
}

func (w *programs) hits(rule uint32) (sum bpfRuleHit) {
	w.Helper()
	var perCPU []bpfRuleHit
	w.must(w.objects.RuleHits.Lookup(rule, &perCPU))
	for _, h := range perCPU {
		sum.Packets += h.Packets
		sum.Bytes += h.Bytes
	}
	return sum
}

// flow is a flow of the guest's, half-open or not.
func (w *programs) flow(key bpfFlowKey) (f bpfFlow) {
	w.Helper()
	err := w.table.Lookup(key, &f)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		f, _ = w.opener(key)
		return f
	}
	w.must(err)
	return f
}

// opener is a flow of the guest's that is not settled.
func (w *programs) opener(key bpfFlowKey) (f bpfFlow, found bool) {
	w.Helper()
	w.must(eachOpener(w.openers, func(k *bpfFlowKey, opener *bpfFlow) bool {
		if *k == key {
			f, found = *opener, true
		}
		return !found
	}))
	return f, found
}

// listener reads events as they come.
type listener struct {
	*programs
	reader *ringbuf.Reader
}

func (w *programs) listen() listener {
	w.Helper()
	r, err := ringbuf.NewReader(w.objects.Events)
	w.must(err)
	w.Cleanup(func() { r.Close() })
	r.SetDeadline(time.Unix(0, 0)) // what is not there by now never comes
	return listener{w, r}
}

func (l listener) next() (e bpfEvent) {
	l.Helper()
	record, err := l.reader.Read()
	l.must(err)
	l.must(binary.Read(bytes.NewReader(record.RawSample), binary.NativeEndian, &e))
	return e
}

func (l listener) isNext() bool {
	_, err := l.reader.Read()
	return err == nil
}

func (l listener) none() {
	l.Helper()
	if _, err := l.reader.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		l.Errorf("there is one more event (%v)", err)
	}
}
