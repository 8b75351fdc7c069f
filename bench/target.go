package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A target bounds a figure, or its ratio to another.
type target struct {
	what   string
	figure func([]Result) (float64, bool)
	least  bool // the bound is the least, otherwise the most
	bound  float64
	unit   string
}

var targets = []target{
	{"established flow among 4,096, program run", value("program/established, 4096 flows"), false, 150, "ns"},
	{"new flow with 10,000 rules, 1,000 networks, 100,000 members, program run", value("program/new flow, 10,000 rules, 100,000 members"), false, 1200, "ns"},
	{"10,000 rules by one, established", ratio("program/established, 4096 flows, 10,000 rules", "program/established, 4096 flows"), false, 1.1, "×"},
	{"10,000 rules by one, new flow", ratio("program/new flow, 10,000 rules", "program/new flow"), false, 1.1, "×"},
	{"10,000 rules by one, new flow, both with 100,000 members", ratio("program/new flow, 10,000 rules, 100,000 members", "program/new flow, 100,000 members"), false, 1.1, "×"},
	{"100,000 members by ten, new flow", ratio("program/new flow, 100,000 members", "program/new flow, 10 members"), false, 1.3, "×"},

	{"60-byte frames, established, 1 rule", ofUnfiltered("frames/established/gabion/1-rules"), true, 0.8, "of unfiltered"},
	{"60-byte frames, established, 1,000 rules", ofUnfiltered("frames/established/gabion/1000-rules"), true, 0.8, "of unfiltered"},
	{"60-byte frames, established, 10,000 rules", ofUnfiltered("frames/established/gabion/10000-rules"), true, 0.8, "of unfiltered"},
	{"60-byte frames, established, 1 rule: the goal", ofUnfiltered("frames/established/gabion/1-rules"), true, 0.9, "of unfiltered"},

	{"established by iptables, 1 rule", ratio("frames/established/gabion/1-rules", "frames/established/iptables/1-rules"), true, 1.25, "×"},
	{"established by ipset, 1 rule", ratio("frames/established/gabion/1-rules", "frames/established/ipset/1-rules"), true, 1.25, "×"},
	{"established by nftables, 1 rule", ratio("frames/established/gabion/1-rules", "frames/established/nftables/1-rules"), true, 1.25, "×"},
	{"new flows by iptables, 1 rule", ratio("frames/new/gabion/1-rules", "frames/new/iptables/1-rules"), true, 1.25, "×"},
	{"new flows by ipset, 1 rule", ratio("frames/new/gabion/1-rules", "frames/new/ipset/1-rules"), true, 1.25, "×"},
	{"new flows by nftables, 1 rule", ratio("frames/new/gabion/1-rules", "frames/new/nftables/1-rules"), true, 1.25, "×"},
	{"mix by iptables, 1 rule", ratio("frames/mix/gabion/1-rules", "frames/mix/iptables/1-rules"), true, 1.25, "×"},
	{"mix by ipset, 1 rule", ratio("frames/mix/gabion/1-rules", "frames/mix/ipset/1-rules"), true, 1.25, "×"},
	{"mix by nftables, 1 rule", ratio("frames/mix/gabion/1-rules", "frames/mix/nftables/1-rules"), true, 1.25, "×"},
	{"packets of no flow by a plain chain of iptables, 1,000 rules", ratio("frames/new/gabion/1000-rules", "frames/new/iptables/1000-rules"), true, 6, "×"},
	{"packets of no flow by a plain chain of nftables, 1,000 rules", ratio("frames/new/gabion/1000-rules", "frames/new/nftables/1000-rules"), true, 6, "×"},

	{"established by the same without counters and events", ratio("frames/established/gabion/1-rules", "frames/established/uncounted/1-rules"), true, 0.95, "×"},
	{"new flows by the same without counters and events", ratio("frames/new/gabion/1-rules", "frames/new/uncounted/1-rules"), true, 0.95, "×"},
	{"mix by the same without counters and events", ratio("frames/mix/gabion/1-rules", "frames/mix/uncounted/1-rules"), true, 0.95, "×"},

	{"TCP stream with offloads, each end on a core", ofUnfiltered("stream-apart/gabion/1-rules"), true, 0.95, "of unfiltered"},
	{"TCP stream with offloads, all on one core", ofUnfiltered("stream/gabion/1-rules"), true, 0.95, "of unfiltered"},
	{"full flow table of 65,536, by the map's account", value("memory/65,536 flows"), false, 12, "MB"},
	{"full flow table of 65,536, taken from the kernel", value("memory/65,536 flows, taken from the kernel"), false, 12, "MB"},
	{"100,000 members, IPv4, taken from the kernel", value("memory/100,000 members, IPv4, taken from the kernel"), false, 15, "MB"},
	{"100,000 members, IPv6, taken from the kernel", value("memory/100,000 members, IPv6, taken from the kernel"), false, 15, "MB"},
}

func find(results []Result, name string) (Result, bool) {
	i := slices.IndexFunc(results, func(r Result) bool { return r.Name == name })
	if i < 0 {
		return Result{}, false
	}
	return results[i], true
}

func value(name string) func([]Result) (float64, bool) {
	return func(results []Result) (float64, bool) {
		r, ok := find(results, name)
		return r.Value, ok
	}
}

func ofUnfiltered(name string) func([]Result) (float64, bool) {
	return func(results []Result) (float64, bool) {
		r, ok := find(results, name)
		return r.Ratio, ok
	}
}

func ratio(name, by string) func([]Result) (float64, bool) {
	return func(results []Result) (float64, bool) {
		a, okA := find(results, name)
		b, okB := find(results, by)
		return a.Value / b.Value, okA && okB
	}
}

// cells are the target, its bound, the figure, and whether it is reached.
func (t target) cells(results []Result) []string {
	bound := "≤ "
	if t.least {
		bound = "≥ "
	}
	bound += strconv.FormatFloat(t.bound, 'f', -1, 64) + " " + t.unit
	v, ok := t.figure(results)
	if !ok {
		return []string{t.what, bound, "", "not measured"}
	}
	reached := "yes"
	if t.least && v < t.bound || !t.least && v > t.bound {
		reached = "**no**"
	}
	return []string{t.what, bound, number(v), reached}
}

// verdicts are the targets for a terminal.
func verdicts(results []Result) string {
	lines := make([]string, 0, len(targets))
	for _, t := range targets {
		c := t.cells(results)
		lines = append(lines, fmt.Sprintf("%-75s %-20s %-8s %s", c[0], c[1], c[2], strings.Trim(c[3], "*")))
	}
	return strings.Join(lines, "\n") + "\n"
}
