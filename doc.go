// Package gabion is the vocabulary of the project: organizations, groups,
// rules, instances, hosts, flows, verdicts and errors, with the validation that
// makes a value of them meaningful.
//
// It imports only the standard library and knows nothing of HTTP, etcd, gRPC or
// the kernel. Every other package speaks in these terms.
//
// Ingress and egress are always the instance's view: a frame that an instance
// sends is egress although it enters the host at the instance's tap.
package gabion
