// Package server is the composition root of `gabion server`: it starts the store,
// the certificate authority, the API and the agents' stream, ties them together,
// and stops them in the reverse order. It decides nothing: what a request means is
// the API's, what a packet meets is policy's.
package server
