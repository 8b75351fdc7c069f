package faults_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/lab"
)

const (
	servicePort = 4000  // of the victim: the friend may reach it
	closedPort  = 9999  // of the victim: nobody may
	flowPort    = 40000 // of the friend
)

// Rates that the page promises, in packets a second.
const (
	deniedRate  = 1200
	allowedRate = 10500
	openerRate  = 200
	echoEvery   = 10
)

// traffic is what flows while something is broken.
type traffic struct {
	streams   []*stream
	receivers []*receiver
	stopping  chan struct{}
	senders   sync.WaitGroup
	reading   sync.WaitGroup
	stopped   sync.Once
	begun     time.Time
}

// startTraffic lets numbered packets flow: those that are denied to the victim, from
// whom it does not let in and to what nobody may reach; those that are allowed, in one
// flow both ways and each in a flow of its own.
func (s *site) startTraffic(t *testing.T) *traffic {
	t.Helper()
	traffic := &traffic{stopping: make(chan struct{}), begun: time.Now()}
	service := netip.AddrPortFrom(s.victim.Addr4, servicePort)
	closed := netip.AddrPortFrom(s.victim.Addr4, closedPort)
	allowed := times(allowedRate/4, allowedRate)
	echo := &stream{name: "answers to the friend", allowed: true, from: s.victim.Endpoint}
	traffic.streams = []*stream{
		{name: "denied to the stranger", rate: deniedRate / 3, from: s.stranger.Endpoint, to: service, source: everyPort},
		{name: "denied to the neighbour", rate: deniedRate / 3, from: s.neighbour.Endpoint, to: service, source: everyPort},
		{name: "denied to all", rate: deniedRate / 3, from: s.friend.Endpoint, to: closed, source: everyPort},
		{name: "flow of the friend", allowed: true, rate: allowed, from: s.friend.Endpoint, to: service, source: fixed(flowPort)},
		{name: "flows of the friend", allowed: true, rate: openerRate, from: s.friend.Endpoint, to: service, source: everyPort},
		echo,
	}
	traffic.receive(t, s, echo)
	for _, stream := range traffic.streams {
		if stream.rate > 0 {
			traffic.senders.Go(func() { stream.run(traffic.stopping) })
		}
	}
	t.Cleanup(traffic.close)
	return traffic
}

// receive opens the ports at which streams end. The victim answers in the friend's flow.
func (f *traffic) receive(t *testing.T, s *site, echo *stream) {
	t.Helper()
	byID := map[uint16]*stream{}
	for i, stream := range f.streams {
		stream.id = uint16(i + 1)
		byID[stream.id] = stream
	}
	for _, port := range []struct {
		at     *lab.Endpoint
		number uint16
	}{{s.victim.Endpoint, servicePort}, {s.victim.Endpoint, closedPort}, {s.friend.Endpoint, flowPort}} {
		r, err := listen(port.at, port.number, byID)
		must(t, err)
		f.receivers = append(f.receivers, r)
	}
	answering := f.receivers[0]
	answering.echo = func(of *stream, number uint64, to netip.AddrPort) {
		if to.Port() == flowPort && number%echoEvery == 0 {
			n := echo.sent.Load()
			if _, err := answering.conn.WriteToUDPAddrPort(payload(echo.id, n), to); err == nil {
				echo.stamp(n)
				echo.sent.Add(1)
			}
		}
	}
	for _, r := range f.receivers {
		f.reading.Go(r.run)
	}
}

const (
	// quiet is how long nothing has to arrive any more before no more is waited for.
	quiet = 200 * time.Millisecond
	// silence is that where something is missing: receivers may have been kept from reading.
	silence = 2 * time.Second
)

// calm waits until nothing has arrived for a while. What is counted may be complete.
func calm(arrived func() uint64, complete func() bool) {
	last, since := arrived(), time.Now()
	for time.Since(since) < quiet || time.Since(since) < silence && !complete() {
		if got := arrived(); got != last {
			last, since = got, time.Now()
		}
		time.Sleep(look)
	}
}

// stop ends the senders, and waits for what is under way.
func (f *traffic) stop(t *testing.T) {
	t.Helper()
	f.stopped.Do(func() { close(f.stopping) })
	f.senders.Wait()
	calm(f.arrived, func() bool {
		sent, arrived, _ := f.sums(true)
		return sent == arrived
	})
	f.close()
	for _, s := range f.streams {
		if *worked {
			t.Logf("%-24s sent %9d, arrived %9d, %.0f/s", s.name, s.sent.Load(), s.got.count(), s.held())
		}
		if s.failure != nil {
			t.Logf("%s: some were not sent: %v", s.name, s.failure)
		}
	}
}

// close lets go of the sockets.
func (f *traffic) close() {
	f.stopped.Do(func() { close(f.stopping) })
	f.senders.Wait()
	for _, r := range f.receivers {
		r.conn.Close() //nolint:errcheck // it may be closed
	}
	f.reading.Wait()
}

func (f *traffic) arrived() (all uint64) {
	for _, s := range f.streams {
		all += s.got.count()
	}
	return all
}

// sums are the packets of all streams of one kind.
func (f *traffic) sums(allowed bool) (sent, arrived uint64, rate float64) {
	for _, s := range f.streams {
		if s.allowed == allowed {
			sent, arrived = sent+s.sent.Load(), arrived+s.got.count()
			rate += s.held()
		}
	}
	return sent, arrived, rate
}

// holes says of what was lost when it was sent, in runs, at most so many.
func (f *traffic) holes(most int) []string {
	var all []string
	for _, s := range f.streams {
		if !s.allowed {
			continue
		}
		lost := s.lost()
		for len(lost) > 0 && len(all) < most {
			n := run(lost)
			all = append(all, fmt.Sprintf("%s: %d lost, sent %.3f s after the start", s.name, n, s.at(lost[0]).Sub(f.begun).Seconds()))
			lost = lost[n:]
		}
	}
	return all
}

// run is how many numbers at the beginning follow one another.
func run(numbers []uint64) int {
	for i := range numbers {
		if numbers[i] != numbers[0]+uint64(i) {
			return i
		}
	}
	return len(numbers)
}

// quantile is the q-th of the durations.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
