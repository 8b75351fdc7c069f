package policy_test

import (
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// seed gives a fuzz target one frame of every kind that the parsers know.
func seed(f *testing.F) {
	for _, s := range conversation() {
		f.Add(s.data)
	}
	f.Add(ethernet(frame.KindARP, arp(frame.ARPRequest, nicMAC, nic4, remote4)))
	f.Add(ethernet(frame.KindRARP, arp(frame.RARPRequest, nicMAC, nic4, remote4)))
	f.Add(udp(out4, 68, 67))
	f.Add(out4(frame.IPv4{Protocol: 6, Options: []byte{7, 3, 4, 0}, Payload: syn.Bytes()}))
	f.Add(out6(nd{kind: frame.NeighborSolicitation, body: frame.About(remote6, frame.LinkLayer(frame.SourceLinkLayer, nicMAC))}.packet()))
	f.Add(out6(nd{source: nicLinkLocal, kind: frame.MLDv2Report, hops: 1}.packet()))
	f.Add(in6(nd{source: remoteLinkLocal, kind: frame.RouterAdvertisement, body: make([]byte, 8)}.packet()))
	f.Add(in6(frame.IPv6{
		Extensions: []frame.Extension{frame.Options(frame.HopByHop, 1), frame.Route(2), frame.Piece(1, 0, true), frame.Options(frame.Destination, 0)},
		Protocol:   6, Payload: append(syn.Bytes(), 0, 0, 0, 0),
	}))
	f.Add(about6(in6, frame.TooBig6, quote(udp6(out6, 4000, 53), 40)))
}

func FuzzFromInstance(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t, dns, ping)
		checkReason(t, b.evaluator.FromInstance(uint64(b.now), tap, policy.Frame{Data: data}))
		checkReason(t, b.evaluator.FromInstance(uint64(b.now), tap, policy.Frame{Data: data}))
	})
}

func FuzzToInstance(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t, dns, ping)
		checkReason(t, b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: data}))
		checkReason(t, b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: data}))
	})
}

// FuzzParse gives the parsers the bytes without the steps before them.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t, dns, ping)
		for _, kind := range []uint16{frame.KindARP, frame.KindRARP, frame.KindIPv4, frame.KindIPv6} {
			out := frame.Ethernet{Destination: remoteMAC, Source: nicMAC, Kind: kind, Payload: data}.Bytes()
			checkReason(t, b.evaluator.FromInstance(uint64(b.now), tap, policy.Frame{Data: out}))
			checkReason(t, b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: addressed(nicMAC, out)}))
		}
		// The same bytes as what an ICMP error quotes.
		b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: about(in4, frame.Unreachable, data)})
		b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: about6(in6, frame.TooBig6, data)})
	})
}

func checkReason(t *testing.T, r policy.Result) {
	t.Helper()
	if r.Reason == gabion.ReasonNone || r.Reason.String() == "unknown" {
		t.Fatalf("reason %d", r.Reason)
	}
}
