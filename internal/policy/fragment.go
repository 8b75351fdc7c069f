package policy

import (
	"net/netip"

	"github.com/gabion/gabion"
)

const (
	fragmentTimeout = 30 // seconds
	maxDatagram     = 65535
)

// datagramKey names a fragmented datagram within a NIC and direction.
type datagramKey struct {
	source, destination netip.Addr
	id                  uint32
	protocol            uint8 // IPv4 only
}

// datagram is one whose first fragment passed.
type datagram struct {
	began  ticks
	epoch  uint32  // the NIC's when it did
	next   int     // where the next fragment must begin
	first  segment // what the first fragment said
	result Result  // what it got
}

func (w *walk) datagramKey() datagramKey {
	p := &w.packet
	key := datagramKey{source: p.source, destination: p.destination, id: p.fragment.id}
	if p.source.Is4() {
		key.protocol = p.protocol
	}
	return key
}

// fragmentsThenFlows is "Fragments", then "Flows".
func (w *walk) fragmentsThenFlows() Result {
	switch p := &w.packet; {
	case p.isLater():
		return w.laterFragment()
	case p.isFragment():
		return w.firstFragment()
	}
	return w.judge(segmentOf(&w.packet))
}

// firstFragment is judged like any packet, and those that follow by what it says.
func (w *walk) firstFragment() Result {
	p := &w.packet
	if len(p.upper)%8 != 0 {
		return Result{Reason: gabion.DropFragmentInvalid}
	}
	first, expected := segmentOf(p), w.fragments[w.direction]
	result := w.judge(first)
	if result.Verdict() == gabion.Pass {
		expected[w.datagramKey()] = &datagram{
			began: ticksOf(w.now), epoch: w.epoch, next: p.fragment.length, first: first, result: result,
		}
	} else {
		delete(expected, w.datagramKey())
	}
	return result
}

// laterFragment must be in its form and at the expected place.
func (w *walk) laterFragment() Result {
	p := &w.packet
	if p.isInvalidLater() {
		return Result{Reason: gabion.DropFragmentInvalid}
	}
	key, expected := w.datagramKey(), w.fragments[w.direction]
	d := expected[key]
	switch {
	case d == nil, ticksOf(w.now)-d.began > ticksIn(fragmentTimeout), p.fragment.offset > d.next:
		return Result{Reason: gabion.DropFragmentOrphan}
	case p.fragment.offset < d.next:
		delete(expected, key)
		return Result{Reason: gabion.DropFragmentInvalid}
	}
	result := w.judgeLater(d)
	if result.Verdict() == gabion.Pass {
		d.next = p.fragment.offset + p.fragment.length
		if !p.fragment.more {
			delete(expected, key)
		}
	}
	return result
}

func (p *packet) isInvalidLater() bool {
	f := &p.fragment
	return f.more && (f.length%8 != 0 || f.length == 0) ||
		f.offset+f.length > maxDatagram ||
		p.source.Is4() && p.isTCP() && f.offset == 8
}

// judgeLater judges a fragment in place. What an ICMP error is about was found out
// from the first, which alone holds the quotation; nobody can ask that again.
func (w *walk) judgeLater(d *datagram) Result {
	switch {
	case d.result.Reason != gabion.PassICMPError:
		return w.judge(d.first.later())
	case d.epoch != w.epoch:
		return Result{Reason: gabion.DropFragmentOrphan}
	}
	return d.result
}
