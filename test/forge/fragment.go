package forge

import (
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/frame"
)

// Fragments of honest datagrams, none of which may arrive: what they belong to has
// not been seen, or can't be.
var (
	// Orphan4 follows a first fragment that nobody sent.
	Orphan4 = Forgery{"an IPv4 fragment without its first", func(from, victim *lab.Endpoint) ([]byte, error) {
		return ipv4(from, victim, frame.IPv4{ID: 2, Offset: 1480, Protocol: uint8(gabion.UDP), Payload: payload}), nil
	}}

	// Orphan6 follows a first fragment that nobody sent.
	Orphan6 = Forgery{"an IPv6 fragment without its first", func(from, victim *lab.Endpoint) ([]byte, error) {
		return ipv6(from, victim, frame.IPv6{
			Extensions: []frame.Extension{frame.Piece(4, 1448, false)}, Protocol: uint8(gabion.UDP), Payload: payload,
		}), nil
	}}

	// Tiny4 is too small for the flags of its segment.
	Tiny4 = Forgery{"a first IPv4 fragment with half a TCP header", func(from, victim *lab.Endpoint) ([]byte, error) {
		syn := frame.TCP{Source: 4321, Destination: 80, Flags: frame.SYN}
		return ipv4(from, victim, frame.IPv4{ID: 3, More: true, Protocol: uint8(gabion.TCP), Payload: syn.Bytes()[:8]}), nil
	}}

	// Tiny6 is too small for the flags of its segment.
	Tiny6 = Forgery{"a first IPv6 fragment with half a TCP header", func(from, victim *lab.Endpoint) ([]byte, error) {
		syn := frame.TCP{Source: 4321, Destination: 80, Flags: frame.SYN}
		return ipv6(from, victim, frame.IPv6{
			Extensions: []frame.Extension{frame.Piece(5, 0, true)}, Protocol: uint8(gabion.TCP), Payload: syn.Bytes()[:8],
		}), nil
	}}

	// Overwriting would replace the flags of a segment that has passed.
	Overwriting = Forgery{"an IPv4 fragment that begins within the TCP header", func(from, victim *lab.Endpoint) ([]byte, error) {
		return ipv4(from, victim, frame.IPv4{ID: 4, Offset: 8, Protocol: uint8(gabion.TCP), Payload: payload}), nil
	}}
)

// Fragments are all that can't be judged.
var Fragments = []Forgery{Orphan4, Orphan6, Tiny4, Tiny6, Overwriting}
