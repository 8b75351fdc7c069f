// Package lab builds a small data center out of network namespaces: hosts with a
// bridge each, an underlay that joins the bridges and routes to an outside
// client, and guests whose host ends are the interfaces that Gabion filters. It
// starts the real server and agents in it, and tries real connections.
//
// It must not know what policy means: it tells what passed, and its callers
// (demo, end-to-end tests, benchmarks) hold that against the evaluator.
//
//	outside ── fabric (router, bridge) ─┬─ host h1: bridge ── taps ── guests
//	                                    └─ host h2: bridge ── taps ── guests
//
// Everything of run N carries the prefix "glabN-", so that Close, or the next
// run after a crash, finds and removes all of it.
package lab
