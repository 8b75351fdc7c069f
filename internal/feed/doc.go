// Package feed is the stream that keeps each host's policy current: the server's
// end, which turns what the store says into deltas for the hosts that they
// concern and remembers who has enforced what, and the host's end.
//
// What arrives is checked as if an enemy had sent it. A host gets nothing but its
// own view. The package must not know of etcd, HTTP or the kernel.
package feed
