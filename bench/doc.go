// Command bench measures what filtering costs: Gabion beside the same policy in
// iptables, ipset and nftables, and beside no filter at all. Contenders take
// turns within one run, so that a machine that slows down slows all of them;
// what counts is the ratio of medians.
//
// Its figures go to bench/results.json, and from there into docs/performance.md,
// which says how they are to be read.
//
// It needs root, and works in network namespaces of its own.
package main
