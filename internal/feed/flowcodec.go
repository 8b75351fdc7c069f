package feed

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/flow"
)

func encodeAddress(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}

func encodeEvent(e *flow.Event) *feedpb.FlowEvent {
	return &feedpb.FlowEvent{
		Instance: e.Instance.ID, Interface: e.Interface, Time: e.Time.UnixNano(),
		Direction: uint32(e.Direction), Reason: uint32(e.Reason), Protocol: uint32(e.Protocol),
		Remote: encodeAddress(e.Remote.Addr()), RemotePort: uint32(e.Remote.Port()),
		Local: encodeAddress(e.Local.Addr()), LocalPort: uint32(e.Local.Port()),
		IcmpType: uint32(e.ICMP.Type), IcmpCode: uint32(e.ICMP.Code), Rule: e.Rule,
	}
}

func decodeEvent(m *feedpb.FlowEvent) (flow.Event, error) {
	e := flow.Event{
		Instance: flow.Named{ID: m.GetInstance()}, Interface: m.GetInterface(), Time: time.Unix(0, m.GetTime()).UTC(),
		Direction: gabion.Direction(m.GetDirection() & 1), Rule: m.GetRule(),
		ICMP: gabion.ICMPMatch{Type: int(m.GetIcmpType()), Code: int(m.GetIcmpCode())},
	}
	if m.GetReason() > math.MaxUint8 || m.GetProtocol() > math.MaxUint8 || m.GetIcmpType() > math.MaxUint8 || m.GetIcmpCode() > math.MaxUint8 {
		return e, fmt.Errorf("an event of %q has a number that is out of range", m.GetInstance())
	}
	e.Reason, e.Protocol = gabion.Reason(m.GetReason()), gabion.Protocol(m.GetProtocol())
	var err error
	if e.Local, err = decodeAddrPort(m.GetLocal(), m.GetLocalPort()); err != nil {
		return e, err
	}
	e.Remote, err = decodeAddrPort(m.GetRemote(), m.GetRemotePort())
	return e, err
}

// decodeAddrPort is not valid for what has no address.
func decodeAddrPort(address []byte, port uint32) (netip.AddrPort, error) {
	if port > math.MaxUint16 {
		return netip.AddrPort{}, fmt.Errorf("%d is not a port", port)
	}
	if len(address) == 0 {
		return netip.AddrPort{}, nil
	}
	a, err := decodeAddress(address)
	return netip.AddrPortFrom(a, uint16(port)), err
}

func encodeQuestion(q flow.Question) *feedpb.Question {
	return &feedpb.Question{
		Instance: q.Instance, Direction: uint32(q.Direction), Local: encodeAddress(q.Local), Remote: encodeAddress(q.Remote),
		Protocol: uint32(q.Protocol), Port: uint32(q.Port), IcmpType: uint32(q.Type), IcmpCode: uint32(q.Code),
	}
}

func decodeQuestion(m *feedpb.Question) (flow.Question, error) {
	q := flow.Question{
		Instance: m.GetInstance(), Direction: gabion.Direction(m.GetDirection() & 1),
		Type: uint8(m.GetIcmpType()), Code: uint8(m.GetIcmpCode()),
	}
	if m.GetProtocol() > math.MaxUint8 || m.GetPort() > math.MaxUint16 {
		return q, fmt.Errorf("a question has a number that is out of range")
	}
	q.Protocol, q.Port = gabion.Protocol(m.GetProtocol()), uint16(m.GetPort())
	var err error
	if q.Local, err = decodeAddress(m.GetLocal()); err != nil {
		return q, err
	}
	q.Remote, err = decodeAddress(m.GetRemote())
	return q, err
}

func encodeOpen(f flow.Open) *feedpb.Flow {
	return &feedpb.Flow{
		Interface: f.Interface, Direction: uint32(f.Direction), Protocol: uint32(f.Protocol),
		Local: encodeAddress(f.Local.Addr()), LocalPort: uint32(f.Local.Port()),
		Remote: encodeAddress(f.Remote.Addr()), RemotePort: uint32(f.Remote.Port()),
		State: f.State, Idle: uint32(f.Idle / time.Second), Rule: f.Rule,
	}
}

func decodeOpen(m *feedpb.Flow) (flow.Open, error) {
	f := flow.Open{
		Interface: clip(m.GetInterface()), Direction: gabion.Direction(m.GetDirection() & 1), Protocol: gabion.Protocol(m.GetProtocol()),
		State: clip(m.GetState()), Idle: time.Duration(m.GetIdle()) * time.Second, Rule: clip(m.GetRule()),
	}
	var err error
	if f.Local, err = decodeAddrPort(m.GetLocal(), m.GetLocalPort()); err != nil {
		return f, err
	}
	f.Remote, err = decodeAddrPort(m.GetRemote(), m.GetRemotePort())
	return f, err
}

func encodeRuleCount(r flow.RuleCount) *feedpb.RuleCounter {
	return &feedpb.RuleCounter{Rule: r.Rule, Life: r.Life, Packets: r.Packets, Bytes: r.Bytes}
}

func encodeDropCount(d flow.DropCount) *feedpb.DropCounter {
	return &feedpb.DropCounter{
		Instance: d.Instance, Interface: d.Interface, Reason: uint32(d.Reason), Life: d.Life, Packets: d.Packets,
	}
}
