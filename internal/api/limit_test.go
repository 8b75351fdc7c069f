package api

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeysMayHurryForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(10)
		allowed := func(key string) (n int) {
			for take(l.use(key).limiter) == 0 {
				n++
			}
			return n
		}
		if n := allowed("EXO1"); n != 50 {
			t.Errorf("a key got %d requests at once, want 50", n)
		}
		if n := allowed("EXO2"); n != 50 {
			t.Errorf("another key got %d requests at once, want 50", n)
		}
		if wait := take(l.use("EXO1").limiter); wait != 100*time.Millisecond {
			t.Errorf("the next may come in %s, want 100ms", wait)
		}
		time.Sleep(time.Second)
		if n := allowed("EXO1"); n != 10 {
			t.Errorf("a second later it got %d, want 10", n)
		}
	})
}

func TestNoLimit(t *testing.T) {
	l := newLimits(0)
	for range 10_000 {
		if take(l.use("EXO1").limiter) > 0 || l.wrong.add(netip.Prefix{}) > 0 || l.wrongSignIns.add(netip.Prefix{}) > 0 {
			t.Fatal("there is a limit")
		}
	}
}

func TestMemoryOfLimitsIsBounded(t *testing.T) {
	l := newLimits(10)
	for i := range 3 * maxSources {
		l.wrong.add(source(netip.AddrFrom16([16]byte{0x20, 1, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i)})))
	}
	if n := l.wrong.by.Len(); n != maxSources {
		t.Errorf("%d sources are remembered, want %d", n, maxSources)
	}
}

func TestSources(t *testing.T) {
	for _, tt := range [][3]string{
		{"192.0.2.1", "192.0.2.1/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
	} {
		if got := source(netip.MustParseAddr(tt[0])).String(); got != tt[1] {
			t.Errorf("%s counts for %s, want %s", tt[0], got, tt[1])
		}
	}
	if got := source(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address counts for %s", got)
	}
}
