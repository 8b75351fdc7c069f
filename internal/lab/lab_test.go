package lab_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/privilege"
)

const (
	tcpPort = 80
	udpPort = 4321
)

// build makes a lab with two hosts of two guests each, all of which serve, without agents.
func build(t *testing.T) *lab.Lab {
	t.Helper()
	privilege.Require(t)
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range 2 {
		host, err := l.AddHost(fmt.Sprintf("h%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if _, err := host.AddGuest(fmt.Sprintf("%s%d", name, i+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range l.Endpoints() {
		if err := e.Serve([]uint16{tcpPort}, []uint16{udpPort}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// Without agents nothing is filtered: whatever a probe says later, it is not the
// lab that stopped it.
func TestEverythingPassesWithoutAgents(t *testing.T) {
	l := build(t)
	probes := everyPair(l)
	passed, err := lab.Try(t.Context(), probes...)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range probes {
		if !passed[i] {
			t.Errorf("%s: no answer", p)
		}
	}
}

func everyPair(l *lab.Lab) []lab.Probe {
	var probes []lab.Probe
	for _, from := range l.Endpoints() {
		for _, to := range l.Endpoints() {
			if from == to {
				continue
			}
			probes = append(probes,
				lab.Probe{From: from, To: to, Protocol: gabion.ICMP},
				lab.Probe{From: from, To: to, Protocol: gabion.ICMPv6})
			for _, v6 := range []bool{false, true} {
				probes = append(probes,
					lab.Probe{From: from, To: to, Protocol: gabion.TCP, Port: tcpPort, IPv6: v6},
					lab.Probe{From: from, To: to, Protocol: gabion.UDP, Port: udpPort, IPv6: v6},
					lab.Probe{From: from, To: to, Protocol: gabion.TCP, Port: tcpPort, IPv6: v6, Size: 100_000},
					lab.Probe{From: from, To: to, Protocol: gabion.UDP, Port: udpPort, IPv6: v6, Size: 4000})
			}
		}
	}
	return probes
}

func TestSilenceIsNoAnswer(t *testing.T) {
	l := build(t)
	a, b := l.Guests()[0], l.Guests()[3]
	if err := b.SetUp(false); err != nil {
		t.Fatal(err)
	}
	probes := []lab.Probe{
		{From: a.Endpoint, To: b.Endpoint, Protocol: gabion.TCP, Port: tcpPort},
		{From: a.Endpoint, To: b.Endpoint, Protocol: gabion.UDP, Port: udpPort, IPv6: true},
		{From: a.Endpoint, To: b.Endpoint, Protocol: gabion.ICMP},
	}
	passed, err := lab.Try(t.Context(), probes...)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range probes {
		if passed[i] {
			t.Errorf("%s: answered by a machine that is off", p)
		}
	}
	if _, err := lab.Try(t.Context(), lab.Probe{From: a.Endpoint, To: l.Outside, Protocol: gabion.TCP, Port: 81}); err == nil {
		t.Error("a port that nobody serves: no error")
	}
}

func TestPlug(t *testing.T) {
	l := build(t)
	a, b := l.Guests()[0], l.Guests()[2]
	if err := b.Unplug(); err != nil {
		t.Fatal(err)
	}
	if err := b.Plug(); err != nil {
		t.Fatal(err)
	}
	conn, err := a.Dial(t.Context(), netip.AddrPortFrom(b.Addr6, tcpPort))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestCapture(t *testing.T) {
	l := build(t)
	from, at := l.Guests()[0], l.Guests()[2]
	capture, err := at.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	frame := func(payload string) []byte {
		ethernet := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, from.MAC[:]...)
		return append(append(ethernet, payload...), make([]byte, 46)...)
	}
	plain, tagged := frame("\x88\xb5"), frame("\x81\x00\x20\x07\x88\xb5")
	if err := from.Send(tagged, plain); err != nil {
		t.Fatal(err)
	}
	before, err := capture.Until(t.Context(), func(f lab.Frame) bool { return bytes.Equal(f.Wire(), plain) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(before, func(f lab.Frame) bool { return bytes.Equal(f.Wire(), tagged) }) {
		t.Errorf("the tagged frame is not among the %d before the last", len(before))
	}
}

func TestUntilEndsWithItsContext(t *testing.T) {
	l := build(t)
	capture, err := l.Guests()[0].Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := capture.Until(ctx, func(lab.Frame) bool { return false }); err == nil {
		t.Error("no error")
	}
}

func TestTap(t *testing.T) {
	l := build(t)
	tap, err := l.Hosts()[0].AddTap("c1")
	if err != nil {
		t.Fatal(err)
	}
	guest := l.Guests()[2]
	capture, err := guest.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	out := append(append(guest.MAC[:], tap.MAC[:]...), append([]byte{0x88, 0xb5}, make([]byte, 46)...)...)
	if err := tap.Send(out); err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Until(t.Context(), func(f lab.Frame) bool { return bytes.Equal(f.Wire(), out) }); err != nil {
		t.Error(err)
	}
	back := append(append(tap.MAC[:], guest.MAC[:]...), out[12:]...)
	if err := guest.Send(back); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(5 * time.Second); ; {
		got, err := tap.Next(late)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, back) {
			return
		}
	}
}
