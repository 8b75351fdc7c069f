package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
)

// OpenFlow is a live flow of an instance.
type OpenFlow struct {
	Interface string
	Direction gabion.Direction // of who opened it
	Protocol  gabion.Protocol
	Local     netip.AddrPort // port 0 for protocols without
	Remote    netip.AddrPort
	State     string
	Idle      time.Duration // to about a second
	Rule      string        // id of the rule that admitted it; empty if none was needed, or it is gone
}

// stateNames are the states of flows, by number.
var stateNames = map[bpfFlowState]string{
	bpfFlowStateFLOW_HALF_OPEN: "half-open", bpfFlowStateFLOW_SYN_ACK: "syn-ack",
	bpfFlowStateFLOW_ESTABLISHED: "established", bpfFlowStateFLOW_CLOSING: "closing",
}

// OpenFlows are up to limit live flows of an instance, and whether there are more.
func (d *Datapath) OpenFlows(instance string, limit int) (flows []OpenFlow, more bool, err error) {
	rules := d.rules()
	now := ticksOf(sinceBoot())
	for slot, owner := range d.owners() {
		if owner.Instance != instance {
			continue
		}
		for _, outer := range []*ebpf.Map{d.kernel.maps.Flows, d.kernel.maps.HalfOpen} {
			err := within(outer, slot, 1, func(m *ebpf.Map) error {
				return eachFlow(m, func(key *bpfFlowKey, flow *bpfFlow) bool {
					if isExpired(key, flow, now) {
						return true
					}
					more = len(flows) == limit
					if !more {
						flows = append(flows, openFlow(owner, key, flow, now, rules))
					}
					return !more
				})
			})
			if err != nil || more {
				return flows, more, err
			}
		}
	}
	return flows, false, nil
}

// eachFlow yields flows until told to stop. What comes and goes meanwhile may be
// missed, or be there twice.
func eachFlow(m *ebpf.Map, yield func(*bpfFlowKey, *bpfFlow) bool) error {
	if m.Type() == ebpf.Array {
		return eachOpener(m, yield)
	}
	var cursor ebpf.MapBatchCursor
	keys, values := make([]bpfFlowKey, batch), make([]bpfFlow, batch)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		last := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !last {
			return fmt.Errorf("read flows of map %s: %w", m, err)
		}
		for i := range n {
			if !yield(&keys[i], &values[i]) {
				return nil
			}
		}
		if last {
			return nil
		}
	}
}

func openFlow(owner Owner, key *bpfFlowKey, flow *bpfFlow, now uint32, rules map[uint32]string) OpenFlow {
	f := OpenFlow{
		Interface: owner.Interface,
		Protocol:  gabion.Protocol(key.Protocol),
		Local:     netip.AddrPortFrom(key.Local.addr(), 0),
		Remote:    netip.AddrPortFrom(key.Remote.addr(), 0),
		State:     stateNames[flow.State],
		Idle:      time.Duration(max(int32(now-flow.LastSeen), 0)) << tickBits,
		Rule:      rules[flow.Rule],
	}
	if flow.Flags&flowEgress != 0 {
		f.Direction = gabion.Egress
	}
	if f.Protocol.HasPorts() {
		f.Local = netip.AddrPortFrom(f.Local.Addr(), network16(key.Lport))
		f.Remote = netip.AddrPortFrom(f.Remote.Addr(), network16(key.Rport))
	}
	return f
}

// As bpf/clock.h and bpf/abi.h have them.
const (
	tickBits   = 20 // TICK_BITS
	flowEgress = 1  // FLOW_EGRESS
	flowFIN    = 2  // FLOW_FIN
	flowEnd    = 8  // FLOW_END
	flowACK    = 32 // FLOW_ACK
)

func ticksOf(d time.Duration) uint32 { return uint32(d >> tickBits) }

func isExpired(key *bpfFlowKey, flow *bpfFlow, now uint32) bool {
	idle := now - flow.LastSeen
	return int32(idle) > 0 && idle > timeoutOf(key, flow.State)
}

// timeoutOf is timeout_of of bpf/flow.h: what is behind it is no flow any more.
func timeoutOf(key *bpfFlowKey, state bpfFlowState) uint32 {
	established := state == bpfFlowStateFLOW_ESTABLISHED
	switch p := gabion.Protocol(key.Protocol); {
	case p == gabion.TCP && established:
		return ticksOf(8000 * time.Second)
	case p == gabion.TCP && state == bpfFlowStateFLOW_CLOSING:
		return ticksOf(10 * time.Second)
	case p == gabion.TCP:
		return ticksOf(time.Minute)
	case p == gabion.UDP && established:
		return ticksOf(3 * time.Minute)
	case p == gabion.UDP, p.IsICMP():
		return ticksOf(30 * time.Second)
	}
	return ticksOf(10 * time.Minute)
}
