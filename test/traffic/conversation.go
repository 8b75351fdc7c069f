package traffic

import (
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// conversation is what two ends say to each other, and how far they are.
type conversation struct {
	nic           *nic
	remote, local netip.Addr
	protocol      uint8
	ports         [2]uint16        // the remote's and the local one; of an echo the first is the identifier
	opener        gabion.Direction // of the first packet
	sent          [2]uint32        // TCP, by direction: the next sequence number
	said          int              // packets so far
}

// Protocols without ports, among them some that no rule names.
var plain = []uint8{47, 50, 51, 4, 132, 41}

const maxConversations = 24

// talk goes on with a conversation, or begins one.
func (g *generator) talk() Step {
	c := g.anyConversation()
	way := c.opener
	if c.said > 0 && g.IntN(5) < 3 {
		way = way.Opposite()
	}
	return g.zone.step(c.nic, way, g.say(c, way))
}

func (g *generator) anyConversation() *conversation {
	if len(g.conversations) > 0 && g.IntN(10) < 8 {
		return pick(g.Rand, g.conversations...)
	}
	c := g.newConversation()
	if len(g.conversations) < maxConversations {
		g.conversations = append(g.conversations, c)
	} else {
		g.conversations[g.IntN(maxConversations)] = c
	}
	return c
}

func (g *generator) newConversation() *conversation {
	isIPv6 := g.IntN(2) == 0
	c := &conversation{nic: g.zone.anyNIC(), opener: gabion.Direction(g.IntN(2))}
	c.remote, c.local = g.zone.remote(c.nic, isIPv6), g.zone.address(c.nic, isIPv6)
	if isIPv6 && g.IntN(6) == 0 {
		c.local = mostly(g.Rand, 2, c.nic.MAC.LinkLocal(), privacy(1), privacy(2))
	}
	c.sent = [2]uint32{g.Uint32(), g.Uint32()}
	c.protocol, c.ports = g.protocol(isIPv6), [2]uint16{uint16(40000 + g.IntN(4)), g.servicePort()}
	if c.opener == gabion.Egress {
		c.ports[0], c.ports[1] = c.ports[1], c.ports[0]
	}
	return c
}

func (g *generator) servicePort() uint16 { return pick[uint16](g.Rand, 22, 22, 53, 80, 443, 0, 65535) }

func (g *generator) protocol(isIPv6 bool) uint8 {
	switch k := g.IntN(20); {
	case k < 9:
		return 6
	case k < 13:
		return 17
	case k < 17 && isIPv6:
		return 58
	case k < 17:
		return 1
	case k == 17:
		return pick(g.Rand, uint8(1), 58) // also over the other version
	}
	return pick(g.Rand, plain...)
}

// privacy is the n-th link-local address that an instance may make up.
func privacy(n byte) netip.Addr { return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: 0x12, 15: n}) }

// say is the next packet that goes that way, in its frame.
func (g *generator) say(c *conversation, way gabion.Direction) []byte {
	c.said++
	return g.wrap(c, way, c.protocol, g.upper(c, way, 8*g.IntN(3)))
}

// upper is the next upper layer that goes that way, with so many bytes of payload.
func (g *generator) upper(c *conversation, way gabion.Direction, size int) []byte {
	isIPv6 := c.local.Is6()
	source, destination := c.ports[way], c.ports[way.Opposite()]
	switch {
	case c.protocol == 6:
		return g.segment(c, way, source, destination, size)
	case c.protocol == 17:
		return frame.UDP{Source: source, Destination: destination, Payload: make([]byte, size)}.Bytes()
	case c.protocol == 1 && !isIPv6, c.protocol == 58 && isIPv6:
		return g.echo(c, way, isIPv6, size)
	}
	return make([]byte, size)
}

func (g *generator) echo(c *conversation, way gabion.Direction, isIPv6 bool, size int) []byte {
	request, reply := uint8(frame.Echo), uint8(frame.EchoReply)
	if isIPv6 {
		request, reply = frame.Echo6, frame.EchoReply6
	}
	kind := mostly(g.Rand, 12, request, reply)
	if way != c.opener {
		kind = mostly(g.Rand, 12, reply, request)
	}
	kind = mostly(g.Rand, 25, kind, 3, 5, 11, 13, 1, 2, 133, 137)
	m := frame.ICMP{Type: kind, Code: mostly(g.Rand, 12, uint8(0), 1), Identifier: c.ports[0], Body: make([]byte, size)}
	return m.Bytes()
}

// segment is what TCP would say next, most of the time.
func (g *generator) segment(c *conversation, way gabion.Direction, source, destination uint16, size int) []byte {
	t := frame.TCP{
		Source: source, Destination: destination,
		Flags:    g.flags(c, way),
		Sequence: c.sent[way], Acknowledgment: c.sent[way.Opposite()],
	}
	if t.Flags&frame.SYN == 0 || g.IntN(8) == 0 {
		t.Payload = make([]byte, size)
	}
	if t.Flags&frame.RST != 0 || g.IntN(12) == 0 {
		t.Sequence += g.offset()
		t.Acknowledgment += g.offset()
	}
	if t.Flags&frame.RST == 0 {
		c.sent[way] = t.Sequence + uint32(len(t.Payload))
		if t.Flags&(frame.SYN|frame.FIN) != 0 {
			c.sent[way]++
		}
	}
	if g.IntN(10) == 0 {
		t.Options = []byte{1, 1, 1, 0}
	}
	return t.Bytes()
}

// offset is how far a number is from the expected one: the edges of windows and moves.
func (g *generator) offset() uint32 {
	return pick[uint32](g.Rand, 0, 0, 0, 1, ^uint32(0), 8, 1<<30, 1<<30-1, 1<<31, g.Uint32())
}

func (g *generator) flags(c *conversation, way gabion.Direction) uint8 {
	if g.IntN(15) == 0 {
		return uint8(g.IntN(256))
	}
	switch {
	case c.said <= 1:
		return frame.SYN
	case c.said == 2 && way != c.opener:
		return frame.SYN | frame.ACK
	}
	switch g.IntN(12) {
	case 0:
		return frame.FIN | frame.ACK
	case 1:
		return pick(g.Rand, uint8(frame.RST), frame.RST|frame.ACK)
	case 2:
		c.said = 1
		return frame.SYN
	case 3:
		return frame.SYN | frame.ACK
	}
	return frame.ACK
}

// wrap puts an upper layer into a packet that goes that way, and that into a frame.
func (g *generator) wrap(c *conversation, way gabion.Direction, protocol uint8, upper []byte) []byte {
	source, destination := c.remote, c.local
	if way == gabion.Egress {
		source, destination = c.local, c.remote
	}
	if source.Is4() {
		return ethernet(c.nic, way, frame.KindIPv4, frame.IPv4{Source: source, Destination: destination, Protocol: protocol, ID: uint16(g.IntN(8)), Payload: upper}.Bytes())
	}
	return ethernet(c.nic, way, frame.KindIPv6, frame.IPv6{Source: source, Destination: destination, Protocol: protocol, Payload: upper}.Bytes())
}

// ethernet puts a packet between the NIC and the gateway.
func ethernet(n *nic, way gabion.Direction, kind uint16, payload []byte) []byte {
	if way == gabion.Egress {
		return frame.Ethernet{Destination: gateway, Source: n.MAC, Kind: kind, Payload: payload}.Bytes()
	}
	return frame.Ethernet{Destination: n.MAC, Source: gateway, Kind: kind, Payload: payload}.Bytes()
}

// divide is a packet of a conversation in pieces.
func (g *generator) divide() Step {
	c := g.anyConversation()
	way := mostly(g.Rand, 3, c.opener, c.opener.Opposite())
	c.said++
	g.pieces(c, way, c.protocol, g.upper(c, way, 24+g.IntN(40)))
	return g.nextWaiting()
}

// pieces lines the fragments of a datagram up, mostly in order and whole.
func (g *generator) pieces(c *conversation, way gabion.Direction, protocol uint8, upper []byte) {
	id, at := uint32(g.IntN(6)), len(g.waiting)
	g.waiting = g.waiting[:at:at]
	var pieces []Step
	for offset := 0; offset < len(upper); {
		size := min(mostly(g.Rand, 6, 24, 8, 16, 32), len(upper)-offset)
		if offset == 0 {
			size = min(mostly(g.Rand, 8, 24, 8, 16, 40), len(upper))
		}
		place := max(0, offset+mostly(g.Rand, 25, 0, -8, 8))
		more := mostly(g.Rand, 40, offset+size < len(upper), offset+size >= len(upper))
		body := upper[offset : offset+mostly(g.Rand, 40, size, size-1, 0)]
		pieces = append(pieces, g.zone.step(c.nic, way, g.piece(c, way, protocol, id, place, more, body)))
		offset += size
	}
	if g.IntN(8) == 0 {
		g.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	}
	if g.IntN(8) == 0 {
		pieces = append(pieces, pick(g.Rand, pieces...))
	}
	g.waiting = append(pieces, g.waiting...)
}

func (g *generator) piece(c *conversation, way gabion.Direction, protocol uint8, id uint32, offset int, more bool, body []byte) []byte {
	source, destination := c.remote, c.local
	if way == gabion.Egress {
		source, destination = c.local, c.remote
	}
	if source.Is4() {
		return ethernet(c.nic, way, frame.KindIPv4, frame.IPv4{
			Source: source, Destination: destination, Protocol: protocol, ID: uint16(id), Offset: offset, More: more, Payload: body,
		}.Bytes())
	}
	extensions := []frame.Extension{frame.Piece(id, offset, more)}
	if g.IntN(6) == 0 {
		extensions = append([]frame.Extension{frame.Options(frame.HopByHop, 0)}, extensions...)
	}
	return ethernet(c.nic, way, frame.KindIPv6, frame.IPv6{
		Source: source, Destination: destination, Extensions: extensions, Protocol: protocol, Payload: body,
	}.Bytes())
}

// extend puts IPv4 options or IPv6 extension headers before an upper layer.
func (g *generator) extend() Step {
	c := g.anyConversation()
	way := c.opener
	source, destination := c.remote, c.local
	if way == gabion.Egress {
		source, destination = c.local, c.remote
	}
	upper := g.upper(c, way, 8)
	if source.Is4() {
		options := pick(g.Rand, []byte{1, 1, 1, 1}, []byte{0, 131, 3, 4}, []byte{68, 4, 5, 0}, []byte{68, 1, 0, 0}, []byte{68, 5, 5, 0},
			[]byte{1, 1, 1, 7}, []byte{131, 3, 4, 0}, []byte{1, 137, 3, 4}, []byte{7, 7, 4, 0, 0, 0, 0, 0}, []byte{131, 1, 1, 1})
		return g.zone.step(c.nic, way, ethernet(c.nic, way, frame.KindIPv4, frame.IPv4{
			Source: source, Destination: destination, Protocol: c.protocol, Options: options, Payload: upper,
		}.Bytes()))
	}
	return g.zone.step(c.nic, way, ethernet(c.nic, way, frame.KindIPv6, frame.IPv6{
		Source: source, Destination: destination, Extensions: g.chain(), Protocol: c.protocol, Payload: upper,
	}.Bytes()))
}

func (g *generator) chain() []frame.Extension {
	var chain []frame.Extension
	if g.IntN(2) == 0 {
		chain = append(chain, frame.Options(frame.HopByHop, g.IntN(2)))
	}
	for range mostly(g.Rand, 3, g.IntN(4), 6, 7, 8, 9) {
		chain = append(chain, mostly(g.Rand, 8, frame.Options(frame.Destination, g.IntN(2)),
			frame.Options(frame.HopByHop, 0), frame.Route(0), frame.Route(2), frame.Piece(1, 0, false), frame.Piece(1, 0, true), frame.Piece(1, 24, true)))
	}
	return chain
}
