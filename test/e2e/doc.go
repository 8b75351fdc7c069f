// Package e2e holds the end-to-end tests: the gabion binary as it is delivered,
// hosts and guests out of network namespaces, and real packets. What they should
// meet is the evaluator's to say.
package e2e
