package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// A workload is traffic from the sender to the receiver, and what is measured of it.
type workload func(*scene) ([]figure, error)

type figure struct {
	name, unit string
	value      float64
}

// A suite is workloads that the same rules admit.
type suite struct {
	name      string
	scene     scene
	rules     map[string][]int                                     // by contender
	passes    func(s *scene, from source, to uint16) (bool, error) // whether packets to a port arrive
	sources   []source
	workloads []workload
}

// source is who packets pretend to come from.
type source string

const (
	owned  source = "an owned address"
	forged source = "a forged address"
)

// A plain chain of 10,000 would take minutes.
var (
	frameRules = map[string][]int{
		unfilteredName: {0}, "empty-tcx": {0}, "gabion": {1, 1_000, 10_000}, "uncounted": {1},
		"iptables": {1, 1_000}, "ipset": {1, 1_000}, "nftables": {1, 1_000},
	}
	connectionRules = map[string][]int{
		unfilteredName: {0}, "empty-tcx": {0}, "gabion": {1, 10_000},
		"iptables": {1, 1_000}, "ipset": {1}, "nftables": {1, 1_000},
	}
)

// benchTraffic measures what passes from guest to guest across a bridge.
func benchTraffic(rounds int) (results []Result, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	restore, err := prepareNetfilter()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	suites, err := newSuites(l)
	if err != nil {
		return nil, err
	}
	all := newSamples()
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "traffic: round %d of %d\n", round+1, rounds)
		for _, s := range suites {
			if err := s.round(round, all); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return all.results(), nil
}

// newSuites makes a host with two guests. The addresses that frames are from and
// to are not those that the guests' kernels know: who receives such a frame does
// nothing with it. Connections are between their kernels.
func newSuites(l *lab.Lab) ([]suite, error) {
	host, err := l.AddHost("bench")
	if err != nil {
		return nil, err
	}
	sender, errSender := host.AddGuest("sender")
	receiver, errReceiver := host.AddGuest("receiver")
	if err := errors.Join(errSender, errReceiver); err != nil {
		return nil, err
	}
	if err := errors.Join(forgetConnections(sender), forgetConnections(receiver)); err != nil {
		return nil, err
	}
	frames := scene{
		host: host, sender: sender, receiver: receiver, protocol: gabion.UDP,
		sending: netip.MustParseAddr("10.77.0.201"), receiving: netip.MustParseAddr("10.77.0.202"),
	}
	connections := scene{
		host: host, sender: sender, receiver: receiver, protocol: gabion.TCP,
		sending: sender.Addr4, receiving: receiver.Addr4,
	}
	return []suite{
		{"frames", frames, frameRules, framesPass, []source{owned, forged}, []workload{flood(established), flood(newFlows), flood(mixed)}},
		{"connections", connections, connectionRules, connects, []source{owned}, []workload{connecting, streaming, streamingApart, pingPong}},
	}, nil
}

// round lets each contender take its turn; in the first, each shows that it filters.
func (s *suite) round(round int, all *samples) error {
	for _, c := range contenders {
		for _, rules := range s.rules[c.name] {
			if err := s.turn(c, rules, round == 0, all); err != nil {
				return fmt.Errorf("%s with %d rules: %w", c.name, rules, err)
			}
		}
	}
	return nil
}

func (s *suite) turn(c contender, rules int, check bool, all *samples) (err error) {
	tearDown, err := c.setUp(&s.scene, rules)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tearDown()) }()
	if check {
		if err := s.check(c); err != nil {
			return err
		}
	}
	for _, w := range s.workloads {
		figures, err := w(&s.scene)
		if err != nil {
			return err
		}
		for _, f := range figures {
			all.add(f, c.name, rules)
		}
	}
	return nil
}

// check tells apart who filters and who does not: all deliver what is admitted,
// the others alone what is not.
func (s *suite) check(c contender) error {
	for _, from := range s.sources {
		for _, to := range []uint16{port, refusedPort} {
			want := !c.filters || from == owned && to == port
			got, err := s.passes(&s.scene, from, to)
			if err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("from %s to port %d: passes is %t, want %t", from, to, got, want)
			}
		}
	}
	return nil
}

// samples are what was measured, in the order it was measured first.
type samples struct {
	order  []subject
	values map[subject][]float64
}

// subject is what samples are of.
type subject struct {
	figure, unit, contender string
	rules                   int
}

func newSamples() *samples { return &samples{values: map[subject][]float64{}} }

func (s *samples) add(f figure, contender string, rules int) {
	of := subject{f.name, f.unit, contender, rules}
	if s.values[of] == nil {
		s.order = append(s.order, of)
	}
	s.values[of] = append(s.values[of], f.value)
}

// results holds each contender's median against that of the unfiltered bridge.
func (s *samples) results() []Result {
	var results []Result
	for _, of := range s.order {
		unfiltered := median(s.values[subject{of.figure, of.unit, unfilteredName, 0}])
		results = append(results, result(of.name(), of.unit, median(s.values[of]), unfiltered))
	}
	return results
}

func (of subject) name() string {
	if of.rules == 0 {
		return of.figure + "/" + of.contender
	}
	return fmt.Sprintf("%s/%s/%d-rules", of.figure, of.contender, of.rules)
}
