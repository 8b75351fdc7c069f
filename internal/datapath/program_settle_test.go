package datapath

import (
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
)

// TestWhatSettles holds which frame moves a flow into the table that nothing is
// evicted from: the opener's first one behind an answer.
func TestWhatSettles(t *testing.T) {
	w := newOrdinary(t)
	c := connection{ip4, peer, guest}
	for _, flow := range []struct {
		name     string
		protocol uint8
		lport    uint16
		rport    uint16
		before   []step
		settling step
	}{
		{
			"TCP", protoTCP, 22, 40000,
			[]step{
				gets(c.says(syn, 1000, 0, 0), gabion.PassRule),
				sends(c.answers(ack, 4999, 1001, 0), gabion.PassFlow),
				gets(c.says(ack, 1001, 5000, 0), gabion.PassFlow), // of what was no answer
				sends(c.answers(syn|ack, 5000, 1001, 0), gabion.PassFlow),
				sends(c.answers(ack, 5001, 1001, 0), gabion.PassFlow),
				gets(c.says(syn|ack, 1000, 5001, 0), gabion.PassFlow),
			},
			gets(c.says(ack, 1001, 5001, 0), gabion.PassFlow),
		},
		{
			"UDP", protoUDP, 999, 53,
			[]step{
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassEgressOpen),
				sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassFlow),
				gets(ip4(peer, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
				gets(ip4(peer, guest, protoUDP, udp(53, 999)), gabion.PassFlow),
			},
			sends(ip4(guest, peer, protoUDP, udp(999, 53)), gabion.PassFlow),
		},
		{
			"GRE", protoGRE, 0, 0,
			[]step{
				gets(ip4(peer, guest, protoGRE, nil), gabion.PassRule),
				sends(ip4(guest, peer, protoGRE, nil), gabion.PassFlow),
			},
			gets(ip4(peer, guest, protoGRE, nil), gabion.PassFlow),
		},
	} {
		w.reset()
		key := bpfFlowKey{
			Remote: addressBytes(peer.ip4), Local: addressBytes(guest.ip4),
			Rport: swap16(flow.rport), Lport: swap16(flow.lport), Protocol: flow.protocol,
		}
		for i, s := range flow.before {
			s.run(w, i)
			if _, opens := w.opener(key); w.isSettled(key) || !opens {
				t.Errorf("%s: settled after frame %d", flow.name, i+1)
			}
		}
		flow.settling.run(w, len(flow.before))
		if _, opens := w.opener(key); !w.isSettled(key) || opens {
			t.Errorf("%s: not settled in the end", flow.name)
		}
	}
}

// TestWhatDoesNotSettleStaysAsItWas: a full table leaves a flow to try again.
func TestWhatDoesNotSettleStaysAsItWas(t *testing.T) {
	w := newOrdinary(t)
	for _, s := range conversations(0, flowLimit) {
		s.run(w, 0)
	}
	c := connection{ip4, peer, guest}
	w.gets(c.says(syn, 1000, 0, 0), gabion.PassRule)
	w.sends(c.answers(syn|ack, 5000, 1001, 0), gabion.PassFlow)
	w.bump()
	key := bpfFlowKey{
		Remote: addressBytes(peer.ip4), Local: addressBytes(guest.ip4), Rport: swap16(40000), Lport: swap16(22), Protocol: protoTCP,
	}
	before := w.flow(key)
	w.gets(c.says(ack, 1001, 5001, 100), gabion.DropTableFull)
	if after := w.flow(key); after != before {
		t.Errorf("flow was %+v, is %+v", before, after)
	}
}

// TestHalfOpenFlowsGiveWayToLaterOnes holds that a flood of what nobody answers
// is forgotten by age, and what came last is not.
func TestHalfOpenFlowsGiveWayToLaterOnes(t *testing.T) {
	w := newOrdinary(t)
	const start, flood, some = 1000, 20_000, 500
	for port := range uint16(flood) {
		if port%100 == 0 {
			w.sleep(2 * time.Millisecond)
		}
		w.sends(ip4(guest, stranger, protoUDP, udp(start+port, 9)), gabion.PassEgressOpen)
	}
	remembered := func(port uint16) int {
		if w.run(gabion.Ingress, ip4(stranger, guest, protoUDP, udp(9, start+port))).reason == gabion.PassFlow {
			return 1
		}
		return 0
	}
	first, last := 0, 0
	for port := range uint16(some) {
		first += remembered(port)
		last += remembered(flood - 1 - port)
	}
	if last != some || first > some/100 {
		t.Errorf("of %d each, the first %d and the last %d are remembered", some, first, last)
	}
}

// TestPlacesOfNobodyComeFirst: also where the ticks begin anew, after 52 days, no flow
// gives way while there is room.
func TestPlacesOfNobodyComeFirst(t *testing.T) {
	w := newOrdinary(t)
	const start, some = 1000, 600
	w.sleep(time.Duration(1<<52) - 10*time.Second - w.now)
	for port := range uint16(some) {
		if port%100 == 0 {
			w.sleep(2 * time.Second)
		}
		w.sends(ip4(guest, stranger, protoUDP, udp(start+port, 9)), gabion.PassEgressOpen)
	}
	for port := range uint16(some) {
		w.gets(ip4(stranger, guest, protoUDP, udp(9, start+port)), gabion.PassFlow)
	}
}

// isSettled tells whether the guest's table has the flow.
func (w *programs) isSettled(key bpfFlowKey) bool {
	w.Helper()
	var f bpfFlow
	err := w.table.Lookup(key, &f)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		w.Fatal(err)
	}
	return err == nil
}
