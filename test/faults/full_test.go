package faults_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab"
)

// tableSize is how many settled flows an interface may have.
const tableSize = 65536

// An interface whose table of flows is full takes no new ones, and says so; what it has
// goes on, and its neighbour does not notice.
func TestFlowTableFull(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	var flooders []*lab.Guest // two: their own tables must not be full
	for _, name := range []string{"flood1", "flood2"} {
		g, err := s.h2.AddGuest(name)
		must(t, err)
		flooders = append(flooders, g)
	}
	s.agentArgs = []string{"--metrics-listen", metricsAddress}
	s.start(t)
	for _, g := range flooders {
		s.register(t, g, "friends")
		runNFT(t, g.Namespace(), "table ip gbft {\nchain output { type filter hook output priority 0; meta l4proto icmp drop; }\n}")
	}
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	f := newFlood(t, s, flooders)
	settled := f.settle(t, tableSize)
	t.Logf("%d flows settled, %d openings arrived", settled, f.count(f.first))
	await(t, "the table to be full", func() bool { return s.refusals(t) > 0 || settled < tableSize })
	before := s.refusals(t)
	const more = 1000
	passed := f.settle(t, more)
	t.Logf("%d of %d more", passed, more)
	await(t, "what is refused to be counted", func() bool { return s.refusals(t) >= before+more-passed })
	r.packets(traffic)
	r.say("%s flows settled, %d of %d more; %s refused and counted", count(uint64(settled)), passed, more, count(uint64(s.refusals(t))))
	if passed > more/2 || settled < tableSize/2 {
		r.Errorf("%d flows of %d, and %d of %d more", settled, tableSize, passed, more)
	}
	r.converged(s, churn)
}

// flood opens flows from guests to the victim, each with its own ports, and speaks in
// each again once it was answered: only then it takes a place in the table.
type flood struct {
	guests []*lab.Guest
	fds    []int
	to     netip.Addr
	again  map[uint16]*tally // what arrived of second packets, by destination port
	first  map[uint16]*tally
	next   int
}

// floodPorts are the victim's that friends may reach.
var floodPorts = []uint16{triedPort, triedPort + 1}

// Kinds of packets of a flood.
const (
	opening = 1
	again   = 2
)

func newFlood(t *testing.T, s *site, guests []*lab.Guest) *flood {
	t.Helper()
	f := &flood{guests: guests, to: s.victim.Addr4, again: map[uint16]*tally{}, first: map[uint16]*tally{}}
	for _, g := range guests {
		fd, err := rawSocket(g.Endpoint)
		must(t, err)
		t.Cleanup(func() { must(t, unix.Close(fd)) })
		f.fds = append(f.fds, fd)
	}
	for _, port := range floodPorts {
		openings, seconds := &stream{}, &stream{}
		f.first[port], f.again[port] = &openings.got, &seconds.got
		r, err := listen(s.victim.Endpoint, port, map[uint16]*stream{opening: openings, again: seconds})
		must(t, err)
		r.echo = func(of *stream, number uint64, from netip.AddrPort) {
			if of == openings {
				r.conn.WriteToUDPAddrPort(payload(opening, number), from) //nolint:errcheck // what is not answered does not settle
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.run()
		}()
		t.Cleanup(func() {
			r.conn.Close() //nolint:errcheck // nobody uses it any more
			<-done
		})
	}
	return f
}

// portsEach is how many flows go to each port.
const portsEach = 60000

// settle opens n more flows, a few hundred at a time, as so many wait for an answer at
// once, and returns how many of their second packets arrived.
func (f *flood) settle(t *testing.T, n int) (arrived int) {
	t.Helper()
	const batch = 500
	before, want := f.count(f.again), f.count(f.again)+n
	for ; n > 0; n -= batch {
		size := min(batch, n)
		begun := f.count(f.first)
		f.send(t, opening, size)
		for late := time.Now().Add(time.Second); f.count(f.first) < begun+size && time.Now().Before(late); {
			time.Sleep(time.Millisecond)
		}
		f.send(t, again, size)
		f.next += size
	}
	calm(func() uint64 { return uint64(f.count(f.again)) }, func() bool { return f.count(f.again) >= want })
	return f.count(f.again) - before
}

func (f *flood) send(t *testing.T, kind uint16, n int) {
	t.Helper()
	for i := f.next; i < f.next+n; i++ {
		who := i % len(f.guests)
		port := floodPorts[i/portsEach%len(floodPorts)]
		from := netip.AddrPortFrom(f.guests[who].Addr4, uint16(2000+i%portsEach))
		packet := datagram(from, netip.AddrPortFrom(f.to, port), kind, uint64(i))
		must(t, unix.Sendto(f.fds[who], packet, 0, &unix.SockaddrInet4{Addr: f.to.As4()}))
	}
}

func (f *flood) count(by map[uint16]*tally) (n int) {
	for _, y := range by {
		n += int(y.count())
	}
	return n
}

// metricsAddress is where agents answer, each in its own network.
const metricsAddress = "127.0.0.1:9911"

var tableFull = regexp.MustCompile(`(?m)^gabion_\S*\{[^}]*reason="table-full"[^}]*\} (\S+)$`)

// refusals is how many packets the agent of h1 counted that found the table full.
func (s *site) refusals(t *testing.T) (n int) {
	t.Helper()
	must(t, s.h1.Namespace().Do(func() error {
		conn, err := net.Dial("tcp", metricsAddress)
		if err != nil {
			return err
		}
		defer conn.Close()
		request, err := http.NewRequest(http.MethodGet, "http://"+metricsAddress+"/metrics", nil)
		if err != nil {
			return err
		}
		request.Close = true
		if err := request.Write(conn); err != nil {
			return err
		}
		text, err := io.ReadAll(conn)
		for _, found := range tableFull.FindAllSubmatch(text, -1) {
			value, _ := strconv.ParseFloat(string(found[1]), 64)
			n += int(value)
		}
		if n == 0 && !bytes.Contains(text, []byte("gabion_")) {
			return fmt.Errorf("no metrics: %q", text)
		}
		return err
	}))
	return n
}
