package datapath

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/gabion/gabion"
	"golang.org/x/sys/unix"
)

// Event is the first packet of its kind that was dropped, or, after TellAllowed, that
// was admitted. The programs tell of a conversation once a minute, and of a NIC so
// many a second.
type Event struct {
	Owner
	Time      time.Time
	Direction gabion.Direction // of the packet
	Reason    gabion.Reason
	Remote    netip.AddrPort // not valid for frames that are not IP; port 0 for protocols without
	Local     netip.AddrPort
	Protocol  gabion.Protocol
	ICMP      gabion.ICMPMatch // of ICMP and ICMPv6; zero otherwise
	Rule      string           // id of the rule that admitted it; empty if none did
	Lost      uint32           // events of the NIC that were not told since the last one
}

// Events hands over events as they come, until ctx ends. One caller at a time may
// listen; what comes while nobody does is kept up to 256 KiB.
func (d *Datapath) Events(ctx context.Context, handle func(Event)) error {
	reader, err := ringbuf.NewReader(d.kernel.maps.Events)
	if err != nil {
		return fmt.Errorf("open events: %w", err)
	}
	defer reader.Close()
	stop := context.AfterFunc(ctx, func() { reader.Close() })
	defer stop()

	var record ringbuf.Record
	for {
		err := reader.ReadInto(&record)
		switch {
		case errors.Is(err, os.ErrClosed):
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read event: %w", err)
		}
		if event, ok := d.event(record.RawSample); ok {
			handle(event)
		}
	}
}

// event reads what a program has written, unless the NIC is gone meanwhile.
func (d *Datapath) event(sample []byte) (Event, bool) {
	var raw bpfEvent
	if _, err := binary.Decode(sample, binary.NativeEndian, &raw); err != nil {
		return Event{}, false // not ours
	}
	owner, known := d.owner(raw.Slot)
	if !known {
		return Event{}, false
	}
	e := eventOf(&raw, owner, sinceBoot())
	e.Rule = d.rules()[raw.Rule]
	return e, true
}

// eventOf translates an event; now is the monotonic clock, by which programs tell the time.
func eventOf(raw *bpfEvent, owner Owner, now time.Duration) Event {
	e := Event{
		Owner:     owner,
		Time:      time.Now().Add(time.Duration(raw.Time) - now),
		Direction: gabion.Direction(raw.Direction),
		Reason:    gabion.Reason(raw.Reason),
		Protocol:  gabion.Protocol(raw.Flow.Protocol),
		Lost:      raw.Lost,
	}
	if raw.Flow.Remote == (Address{}) && raw.Flow.Local == (Address{}) {
		return e
	}
	e.Remote = netip.AddrPortFrom(raw.Flow.Remote.addr(), 0)
	e.Local = netip.AddrPortFrom(raw.Flow.Local.addr(), 0)
	switch {
	case e.Protocol.HasPorts():
		e.Remote = netip.AddrPortFrom(e.Remote.Addr(), network16(raw.Flow.Rport))
		e.Local = netip.AddrPortFrom(e.Local.Addr(), network16(raw.Flow.Lport))
	case e.Protocol.IsICMP():
		e.ICMP = gabion.ICMPMatch{Type: int(raw.IcmpType), Code: int(raw.IcmpCode)}
	}
	return e
}

func sinceBoot() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // cannot fail: the clock exists and the pointer is ours
	}
	return time.Duration(now.Nano())
}
