// Package faults breaks a running Gabion in every way that docs/reliability.md lists,
// while numbered packets flow and rules change, and counts what arrived that should
// not have, and what did not that should have. It writes the tables of that page.
//
// It must not know how Gabion is made: it runs the real programs, and breaks them
// from outside.
package faults
