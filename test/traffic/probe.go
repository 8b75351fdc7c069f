package traffic

import (
	"math/rand/v2"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// Prober makes up first packets of flows that no script has, and that never come again.
type Prober struct {
	*generator
	source *rand.PCG
	port   uint16
}

// NewProber is a prober of the NICs that scripts have.
func NewProber() *Prober {
	source := rand.NewPCG(0, 0)
	p := &Prober{generator: &generator{Rand: rand.New(source)}, source: source, port: firstProbe}
	p.zone = newZone(p.Rand)
	p.zone.begin()
	return p
}

// Seed determines the probes that follow, but for their ports.
func (p *Prober) Seed(seed uint64) { p.source.Seed(seed, 0) }

const firstProbe = 45000 // no script uses ports above, but the last one

// Probe is the first packet of a flow of any NIC, to a service that rules are about.
func (p *Prober) Probe() Step {
	if p.port++; p.port == 65535 {
		p.port = firstProbe
	}
	n, isIPv6 := p.zone.anyNIC(), p.IntN(2) == 0
	way := gabion.Direction(p.IntN(2))
	c := conversation{nic: n, remote: p.zone.remote(n, isIPv6), local: p.zone.address(n, isIPv6), opener: way, protocol: 17}
	c.ports[way], c.ports[way.Opposite()] = p.port, pick[uint16](p.Rand, 22, 53, 80, 443)
	upper := frame.UDP{Source: c.ports[way], Destination: c.ports[way.Opposite()]}.Bytes()
	if p.IntN(2) == 0 {
		c.protocol = 6
		upper = frame.TCP{Source: c.ports[way], Destination: c.ports[way.Opposite()], Flags: frame.SYN}.Bytes()
	}
	return p.zone.step(n, way, p.wrap(&c, way, c.protocol, upper))
}
