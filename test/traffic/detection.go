package traffic

import (
	"net/netip"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// router is one that some scripts name. It could be an address that an instance made up.
var router = netip.MustParseAddr("fe80::53:53")

// madeUp is how many link-local addresses instances make up: more than are learned.
const madeUp = 6

// detection asks whether anybody else has the target, mostly so that they hear it.
func (g *generator) detection(target netip.Addr, mac gabion.MAC) ndPlan {
	p := ndPlan{source: zero6, destination: frame.SolicitedNode(target), kind: frame.NeighborSolicitation, hops: 255, body: frame.About(target)}
	p.destination = mostly(g.Rand, 8, p.destination, frame.SolicitedNode(g.madeUp()), allNodes, target)
	if g.IntN(8) == 0 {
		p.body = g.about(target, frame.SourceLinkLayer, mac)
	}
	return p
}

func (g *generator) madeUp() netip.Addr { return privacy(byte(1 + g.IntN(madeUp))) }

// adopt is an instance that takes one link-local address or more, and uses them
// before and after it may. Somebody else may have them.
func (g *generator) adopt(n *nic) Step {
	var all []Step
	for range mostly(g.Rand, 3, 1, 5) {
		a := g.madeUp()
		all = append(all, g.zone.step(n, gabion.Egress, g.ndPacket(n, gabion.Egress, g.detection(a, n.MAC))))
		all = append(all, g.use(n, a, g.IntN(3))...)
		all = append(all, after(g.almostASecond(), g.use(n, a, 1+g.IntN(3)))...)
	}
	g.hurry(all)
	return g.nextOfRush()
}

// almostASecond is how long an address that is new does not count, or a little more or less.
func (g *generator) almostASecond() time.Duration {
	const tick = 1 << 20 * time.Nanosecond
	return pick(g.Rand, 952*tick, 953*tick, 954*tick, 2*time.Second, time.Duration(g.IntN(int(time.Second))), 0)
}

func after(d time.Duration, steps []Step) []Step {
	steps[0].Wait = d
	return steps
}

// use is n frames in which the address plays a part.
func (g *generator) use(n *nic, a netip.Addr, frames int) []Step {
	var all []Step
	for range frames {
		way := gabion.Direction(g.IntN(2))
		all = append(all, g.zone.step(n, way, g.useOnce(n, way, a)))
	}
	return all
}

func (g *generator) useOnce(n *nic, way gabion.Direction, a netip.Addr) []byte {
	p := ndPlan{source: a, destination: allNodes, hops: 255, kind: frame.NeighborSolicitation, body: frame.About(g.zone.remote(n, true))}
	if way == gabion.Ingress {
		p.source, p.body = gateway.LinkLocal(), frame.About(a)
	}
	switch g.IntN(6) {
	case 0:
		return g.ndPacket(n, way, p)
	case 1:
		p.kind, p.body = frame.NeighborAdvertisement, frame.About(a)
		return g.ndPacket(n, way, p)
	case 2:
		return g.ndPacket(n, way, g.detection(a, n.MAC))
	}
	c := conversation{nic: n, remote: gateway.LinkLocal(), local: a, opener: way, protocol: 6, ports: [2]uint16{22, 22}}
	c.ports[way] = uint16(40000 + g.IntN(4))
	return g.say(&c, way)
}
