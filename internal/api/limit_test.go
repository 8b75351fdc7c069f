package api

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
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
		if take(l.use("EXO1").limiter) > 0 || l.gotItWrong(netip.Prefix{}, true) > 0 {
			t.Fatal("there is a limit")
		}
	}
}

func TestMemoryOfLimitsIsBounded(t *testing.T) {
	l := newLimits(10)
	for i := range 3 * maxSources {
		l.gotItWrong(source(netip.AddrFrom16([16]byte{0x20, 1, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i)})), false)
	}
	if n := l.wrong.Len(); n != maxSources {
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

func TestDenialsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counts []int
		d := newDenials(func(e gabion.AuditEntry) { counts = append(counts, e.Count) })
		refuse := func(action string, times int) {
			for range times {
				d.add(gabion.AuditEntry{Log: "o", Key: "EXO1", Action: action})
			}
		}
		refuse("list-hosts", 1)
		refuse("list-api-keys", 5)
		if diff := cmp.Diff([]int{1, 1}, counts); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		time.Sleep(2 * gathering)
		synctest.Wait()
		if diff := cmp.Diff([]int{1, 1, 4}, counts); diff != "" {
			t.Errorf("after a minute (-want +got):\n%s", diff)
		}
		refuse("list-hosts", 1)
		time.Sleep(2 * gathering)
		synctest.Wait()
		if len(counts) != 4 || len(d.gathered) != 0 {
			t.Errorf("got %v, and %d are still gathered", counts, len(d.gathered))
		}
	})
}

func TestKindsOfDenialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written, denied := 0, 0
		d := newDenials(func(e gabion.AuditEntry) { written++; denied += e.Count })
		for i := range 10_000 {
			d.add(gabion.AuditEntry{Log: "o", Remote: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()})
		}
		if written > maxGathered+1 {
			t.Errorf("%d records were written, want at most %d", written, maxGathered+1)
		}
		time.Sleep(2 * gathering)
		synctest.Wait()
		if denied != 10_000 {
			t.Errorf("the records stand for %d denials, want 10000", denied)
		}
	})
}
