package datapath

import (
	"errors"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Flow is what a test puts into the maps, or finds there: TCP of the remote's port
// with the only NIC, by the instance's port 80.
type Flow struct {
	Port          uint16
	Direction     gabion.Direction
	State         string
	Settled       bool
	Rule          uint32
	Epoch         uint32
	End, Ack      [2]uint32
	Local, Remote netip.Addr
	Idle          time.Duration
}

// PutFlow puts a flow where it belongs.
func (d *Datapath) PutFlow(f Flow) error {
	key := bpfFlowKey{
		Local: addressOf(f.Local), Remote: addressOf(f.Remote), Protocol: uint8(gabion.TCP),
		Lport: network16(80), Rport: network16(f.Port),
	}
	flow := bpfFlow{LastSeen: ticksOf(sinceBoot()) - ticksOf(f.Idle), Epoch: f.Epoch, Rule: f.Rule, End: f.End, Ack: f.Ack, Flags: flowEnd | flowACK}
	for state, name := range stateNames {
		if name == f.State {
			flow.State = state
		}
	}
	if f.Direction == gabion.Egress {
		flow.Flags |= flowEgress
	}
	outer := d.kernel.maps.HalfOpen
	if f.Settled {
		outer = d.kernel.maps.Flows
	}
	return within(outer, d.onlySlot(), 1, func(m *ebpf.Map) error {
		if f.Settled {
			return m.Put(&key, &flow)
		}
		return m.Put(uint32(f.Port), &bpfOpeners{Tags: [8]uint16{3: 7}, Openers: [8]bpfOpener{3: {Key: key, Flow: flow}}})
	})
}

// SettledFlows are what the only NIC's table holds, by the remote's port.
func (d *Datapath) SettledFlows() (map[uint16]Flow, error) {
	flows := map[uint16]Flow{}
	err := within(d.kernel.maps.Flows, d.onlySlot(), 1, func(m *ebpf.Map) error {
		return eachFlow(m, func(key *bpfFlowKey, flow *bpfFlow) bool {
			f := Flow{
				Port: network16(key.Rport), State: stateNames[flow.State], Settled: true, Rule: flow.Rule, Epoch: flow.Epoch,
				End: flow.End, Ack: flow.Ack, Local: key.Local.addr(), Remote: key.Remote.addr(),
			}
			if flow.Flags&flowEgress != 0 {
				f.Direction = gabion.Egress
			}
			flows[f.Port] = f
			return true
		})
	})
	return flows, err
}

func (d *Datapath) onlySlot() uint32 {
	for slot := range d.actual.Slots {
		return slot
	}
	return 0
}

// Learn has the only NIC's instance have found out that a link-local address is free.
func (d *Datapath) Learn(a netip.Addr) error {
	var state bpfNicState
	state.Learned[0].Address, state.Learned[0].Since = addressOf(a), 1
	return d.kernel.maps.NicStates.Put(d.onlySlot(), &state)
}

// Learned is the first address that the only NIC's instance has found out to be free.
func (d *Datapath) Learned() (a netip.Addr, err error) {
	var state bpfNicState
	err = d.kernel.maps.NicStates.Lookup(d.onlySlot(), &state)
	return state.Learned[0].Address.addr(), err
}

// Passes tells whether our program lets a segment pass to the instance: the first of a
// connection, or one in its midst.
func (d *Datapath) Passes(f Flow, first bool, ifindex int) (bool, error) {
	q := Question{Local: f.Local, Remote: f.Remote, Protocol: gabion.TCP, Port: 80}
	frame := q.frame(gabion.MAC{})
	segment := frame[etherHeader+ipv4Header:]
	segment[0], segment[1] = byte(f.Port>>8), byte(f.Port)
	if !first {
		segment[13] = 0x10 // ACK
	}
	action, err := d.programs.ToInstance.Run(&ebpf.RunOptions{Data: frame, Context: &runContext{Ifindex: uint32(ifindex)}})
	const next = -1
	return int32(action) == next, err
}

// AskFormer begins to take over.
func (d *Datapath) AskFormer() error {
	formers := d.openFormers()
	defer d.closeFormers(formers)
	return d.askFormer(formers)
}

// LeaveFormer ends what AskFormer has begun.
func (d *Datapath) LeaveFormer() error { return d.leaveFormer() }

// TakeOverHalfway does what Apply does, and ends like an agent that dies before the former maps are removed.
func (d *Datapath) TakeOverHalfway(v *policy.View, links map[string]int) error {
	attached, _ := d.attach(v, links)
	if _, err := d.write(v, attached); err != nil {
		return err
	}
	formers := d.openFormers()
	defer d.closeFormers(formers)
	d.copyFlows(formers, true)
	return errors.Join(d.askFormer(formers), d.links.replace())
}
