package hypervisor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/hypervisor"
)

const (
	beltRounds = 60
	beltFrames = 5000
)

// BenchmarkBelt says which part of the rate of bridged 60-byte frames is left with the
// belt, sender and receiver included: of two admitted interfaces of a hundred, and from
// one that the belt does not name. Contenders take turns;
// ratios are those of each one's fastest turn, which others on the machine disturb least.
func BenchmarkBelt(b *testing.B) {
	s := newSwitchboard(b)
	names := []string{"v0", "v1"}
	for n := range 98 {
		names = append(names, "other"+string(rune('a'+n/10))+string(rune('a'+n%10)))
	}
	slices.Sort(names)
	nothing := []unix.SockFilter{{Code: unix.BPF_RET}}
	for _, socket := range s.sockets { // a copy for each would be part of the cost
		if err := unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
			b.Fatal(err)
		}
	}
	s.group(b, "v0")
	s.group(b, "v1")
	contenders := []struct {
		name, from string
		belt       bool
	}{
		{"no-belt", "v0", false}, {"admitted", "v0", true}, {"no-belt-uplink", "v2", false}, {"uplink", "v2", true},
	}
	took := make([][]float64, len(contenders))
	for range beltRounds * b.N {
		for i, c := range contenders {
			if c.belt {
				s.fasten(b, hypervisor.Belt{Names: names}, false)
			} else if err := s.LoosenBelt(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], float64(s.flood(b, c.from, "v1").Nanoseconds())/beltFrames)
		}
	}
	fastest := func(i int) float64 { return slices.Min(took[i]) }
	b.ReportMetric(fastest(0), "ns/frame")
	b.ReportMetric(fastest(0)/fastest(1), "rate-admitted/none")
	b.ReportMetric(fastest(2)/fastest(3), "rate-uplink/none")
}

// flood sends frames from one port to another, and makes sure that they arrived.
func (s *switchboard) flood(b *testing.B, from, to string) time.Duration {
	b.Helper()
	source, target := s.end(b, from), s.end(b, to)
	frame := make([]byte, 60)
	copy(frame, target.HardwareAddr)
	copy(frame[6:], source.HardwareAddr)
	copy(frame[12:], []byte{0x88, 0xb5})
	answer := slices.Concat(source.HardwareAddr, target.HardwareAddr, frame[12:]) // so the bridge knows where it is
	s.inject(b, answer, target.Index)
	begun := time.Now()
	for range beltFrames {
		s.inject(b, frame, source.Index)
	}
	took := time.Since(begun)
	if got := s.end(b, to).Statistics.RxPackets - target.Statistics.RxPackets; got < beltFrames {
		b.Fatalf("%d of %d frames arrived", got, beltFrames)
	}
	return took
}

func (s *switchboard) inject(b *testing.B, frame []byte, index int) {
	b.Helper()
	if err := unix.Sendto(s.sender, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		b.Fatal(err)
	}
}

// end is the far end of a port.
func (s *switchboard) end(b *testing.B, port string) *netlink.LinkAttrs {
	b.Helper()
	l, err := netlink.LinkByIndex(s.far[port])
	if err != nil {
		b.Fatal(err)
	}
	return l.Attrs()
}
