package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gabion/gabion/internal/lab"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often the contenders take turns")
	out := flag.String("out", "bench/results.json", "where the figures go")
	flag.Parse()
	if err := run(*rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, out string) error {
	results, err := benchWire(rounds)
	if err != nil {
		return err
	}
	return errors.Join(print(results), write(out, results))
}

// wireRules is at how many rules each contender runs. A plain chain of 10,000 takes minutes.
var wireRules = map[string][]int{
	"unfiltered": {0}, "empty-tcx": {0},
	"gabion":   {1, 1_000, 10_000},
	"iptables": {1, 1_000}, "ipset": {1, 1_000}, "nftables": {1, 1_000},
}

// benchWire measures 60-byte frames from guest to guest across a bridge.
func benchWire(rounds int) (results []Result, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	restore, err := roomForConnections()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	s, err := newScene(l)
	if err != nil {
		return nil, err
	}
	samples := map[string][]float64{}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "wire: round %d of %d\n", round+1, rounds)
		if err := s.round(samples); err != nil {
			return nil, err
		}
	}
	return wireResults(samples), nil
}

// round lets each contender take its turn.
func (s *scene) round(samples map[string][]float64) error {
	for _, c := range contenders() {
		for _, rules := range wireRules[c.name] {
			tearDown, err := c.setUp(s, rules)
			if err != nil {
				return fmt.Errorf("set up %s with %d rules: %w", c.name, rules, err)
			}
			for _, kind := range []string{established, newFlows, mixed} {
				rate, err := s.measure(kind)
				if err != nil {
					return errors.Join(fmt.Errorf("measure %s: %w", c.name, err), tearDown())
				}
				name := fmt.Sprintf("%s %s %d", kind, c.name, rules)
				samples[name] = append(samples[name], rate)
			}
			if err := tearDown(); err != nil {
				return fmt.Errorf("take %s down: %w", c.name, err)
			}
		}
	}
	return nil
}

// wireResults holds each contender's median against the unfiltered bridge's.
func wireResults(samples map[string][]float64) (results []Result) {
	for _, kind := range []string{established, newFlows, mixed} {
		unfiltered := median(samples[kind+" unfiltered 0"])
		for _, c := range contenders() {
			for _, rules := range wireRules[c.name] {
				key := fmt.Sprintf("%s %s %d", kind, c.name, rules)
				name := fmt.Sprintf("wire/%s/%s/%d-rules", kind, c.name, rules)
				results = append(results, result(name, "frames/s", median(samples[key]), unfiltered))
			}
		}
	}
	return results
}

const connectionLimit = "/proc/sys/net/netfilter/nf_conntrack_max"

// roomForConnections keeps netfilter's table from filling up, which would have it
// drop what the others pass.
func roomForConnections() (restore func() error, err error) {
	before, err := os.ReadFile(connectionLimit)
	if err != nil {
		return nil, fmt.Errorf("read limit of connections (is nf_conntrack there?): %w", err)
	}
	set := func(value string) error { return os.WriteFile(connectionLimit, []byte(value), 0) }
	return func() error { return set(strings.TrimSpace(string(before))) }, set(strconv.Itoa(4 << 20))
}
