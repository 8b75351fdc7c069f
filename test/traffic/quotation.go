package traffic

import (
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// quote is an ICMP error about a packet of a conversation. It goes the other way.
func (g *generator) quote() Step {
	c := g.anyConversation()
	quoted := gabion.Direction(g.IntN(2))
	said := g.wrap(c, quoted, c.protocol, g.upper(c, quoted, 8))
	body := said[14:]
	if g.IntN(6) == 0 {
		body = g.mutate(said)[14:]
	}
	body = body[:max(0, len(body)-mostly(g.Rand, 4, 0, 1, 8, 9, 20))]
	way := mostly(g.Rand, 12, quoted.Opposite(), quoted)
	protocol, told := g.error(c, body)
	teller := *c
	if way == gabion.Ingress && g.IntN(3) == 0 {
		teller.remote = g.zone.remote(c.nic, c.local.Is6()) // a router on the way
	}
	if g.IntN(8) == 0 {
		g.pieces(&teller, way, protocol, append(told, make([]byte, 24)...))
		return g.nextWaiting()
	}
	return g.zone.step(c.nic, way, g.wrap(&teller, way, protocol, told))
}

// error is an ICMP error, mostly, with what it quotes.
func (g *generator) error(c *conversation, body []byte) (protocol uint8, told []byte) {
	kind := pick[uint8](g.Rand, 3, 3, 4, 11, 12, 5)
	if protocol = 1; c.local.Is6() {
		protocol, kind = 58, pick[uint8](g.Rand, 1, 2, 3, 4, 5)
	}
	return protocol, frame.ICMP{Type: kind, Body: body}.Bytes()
}

// straddle is an opener and the fragments of an error about it: a policy may change
// before the later ones.
func (g *generator) straddle() (before, after []Step) {
	c := g.newConversation()
	said := g.say(c, c.opener)
	protocol, told := g.error(c, append(said[14:], make([]byte, 16)...))
	told = told[:len(told)&^7]
	back := c.opener.Opposite()
	piece := func(offset int, more bool, body []byte) Step {
		return g.zone.step(c.nic, back, g.piece(c, back, protocol, 7, offset, more, body))
	}
	rest := make([]byte, 8)
	before = []Step{g.zone.step(c.nic, c.opener, said), piece(0, true, told)}
	after = []Step{piece(len(told), true, rest), piece(len(told)+8, false, rest)}
	if g.IntN(4) == 0 {
		before, after = append(before, after[0]), after[1:]
	}
	return before, after
}
