// Package client talks to a Gabion server in the words of api/openapi.yaml: it
// signs requests, waits for operations and turns refusals into *gabion.Error with
// the server's message. The command line is built on it, and so can yours be.
//
// It must not know of the server's insides: the contract is all it has.
package client
