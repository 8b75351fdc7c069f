package traffic

import (
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

var (
	neighbour  = gabion.MAC{2, 0xff, 0, 0, 0, 2}
	allNodes   = netip.MustParseAddr("ff02::1")
	dhcpv6     = netip.MustParseAddr("ff02::1:2")
	everybody4 = netip.MustParseAddr("255.255.255.255")
	zero4      = netip.IPv4Unspecified()
	zero6      = netip.IPv6Unspecified()
)

// arp is ARP or RARP, right but for one field or so.
func (g *generator) arp(n *nic, way gabion.Direction) []byte {
	own := g.zone.address(n, false)
	other := g.zone.remote(n, false)
	a := frame.ARP{
		Operation: pick[uint16](g.Rand, frame.ARPRequest, frame.ARPReply), SenderMAC: n.MAC, TargetMAC: gateway,
		SenderIP: mostly(g.Rand, 4, own, zero4, other), TargetIP: mostly(g.Rand, 3, other, own),
	}
	e := frame.Ethernet{Destination: frame.Broadcast, Source: n.MAC, Kind: frame.KindARP}
	if way == gabion.Ingress {
		a.SenderMAC, a.TargetMAC = gateway, n.MAC
		a.SenderIP, a.TargetIP = mostly(g.Rand, 4, other, own), mostly(g.Rand, 3, own, other)
		if g.IntN(4) == 0 {
			a.TargetIP = a.SenderIP
		}
		e.Source = gateway
	}
	if g.IntN(3) == 0 {
		e.Kind, a.Operation, a.TargetMAC = frame.KindRARP, mostly[uint16](g.Rand, 8, frame.RARPRequest, 4), mostly(g.Rand, 8, n.MAC, neighbour)
		a.SenderMAC = n.MAC
	}
	a.Operation = mostly(g.Rand, 20, a.Operation, 0, 3, 9)
	a.SenderMAC = mostly(g.Rand, 10, a.SenderMAC, neighbour, n.MAC)
	e.Destination = mostly(g.Rand, 3, e.Destination, n.MAC, neighbour, gabion.MAC{0x33, 0x33, 0, 0, 0, 1})
	e.Payload = a.Bytes()
	return e.Bytes()
}

// storm is as much of one thing at once as an allowance might not hold.
func (g *generator) storm(n *nic) Step {
	if g.IntN(2) == 0 {
		g.flood(n)
	} else {
		g.announce(n)
	}
	return g.nextOfRush()
}

// announce is what a machine says after a migration, too often.
func (g *generator) announce(n *nic) {
	rarp := frame.ARP{Operation: frame.RARPRequest, SenderMAC: n.MAC, TargetMAC: n.MAC, SenderIP: zero4, TargetIP: zero4}
	data := frame.Ethernet{Destination: frame.Broadcast, Source: n.MAC, Kind: frame.KindRARP, Payload: rarp.Bytes()}.Bytes()
	var all []Step
	for range 14 {
		all = append(all, g.zone.step(n, gabion.Egress, data))
	}
	g.hurry(all)
}

// flood is many flows of one NIC: now and then with answers and what follows them,
// so that its table fills.
func (g *generator) flood(n *nic) {
	way, isIPv6 := gabion.Direction(g.IntN(2)), g.IntN(2) == 0
	c := conversation{nic: n, remote: g.zone.remote(n, isIPv6), local: g.zone.address(n, isIPv6), protocol: 17, ports: [2]uint16{53, 53}}
	rounds := mostly(g.Rand, 4, []gabion.Direction{way}, []gabion.Direction{way, way.Opposite(), way})
	var all []Step
	for _, d := range rounds {
		for k := range uint16(30 / len(rounds)) {
			c.ports[way] = 1000 + k
			all = append(all, g.zone.step(n, d, g.say(&c, d)))
		}
	}
	g.hurry(all)
}

func (g *generator) hurry(all []Step) {
	g.waiting = append(all, g.waiting...)
	g.rush = len(all)
}

func (g *generator) nextOfRush() Step {
	g.rush--
	return g.nextWaiting()
}

// ndPlan is a message of neighbour discovery before its odds are thrown.
type ndPlan struct {
	source, destination netip.Addr
	kind                uint8
	hops                uint8
	body                []byte
}

// neighbour is neighbour discovery, MLD or what routers say.
func (g *generator) neighbour(n *nic, way gabion.Direction) []byte {
	return g.ndPacket(n, way, g.ndPlan(n, way))
}

// ndPacket is what was planned, but for some odds.
func (g *generator) ndPacket(n *nic, way gabion.Direction, p ndPlan) []byte {
	packet := frame.IPv6{
		Source: p.source, Destination: p.destination, HopLimit: mostly(g.Rand, 12, p.hops, 1, 64, 254, 255), Protocol: 58,
		Payload: frame.ICMP{Type: p.kind, Code: mostly[uint8](g.Rand, 20, 0, 1), Body: p.body}.Bytes(),
	}
	if g.IntN(10) == 0 {
		packet.Extensions = []frame.Extension{pick(g.Rand, frame.Piece(1, 0, false), frame.Piece(1, 0, true),
			frame.Options(frame.HopByHop, 0), frame.Options(frame.Destination, 0))}
	}
	e := frame.Ethernet{Destination: mostly(g.Rand, 20, frame.Multicast(p.destination), frame.Multicast(frame.SolicitedNode(g.madeUp())), frame.Multicast(allNodes), gateway), Source: n.MAC, Kind: frame.KindIPv6, Payload: packet.Bytes()}
	if way == gabion.Ingress {
		e.Source = gateway
		e.Destination = mostly(g.Rand, 2, e.Destination, n.MAC)
	}
	return e.Bytes()
}

func (g *generator) ndPlan(n *nic, way gabion.Direction) ndPlan {
	own, linkLocal, other := g.zone.address(n, true), n.MAC.LinkLocal(), g.zone.remote(n, true)
	learned := g.madeUp()
	p := ndPlan{source: mostly(g.Rand, 4, own, linkLocal, learned, other), destination: allNodes, hops: 255}
	mac, target := n.MAC, mostly(g.Rand, 3, own, linkLocal, learned, other)
	if way == gabion.Ingress {
		p.source, mac = mostly(g.Rand, 4, gateway.LinkLocal(), router, other, zero6), gateway
	}
	switch g.IntN(12) {
	case 0, 1, 2:
		p.kind, p.body = frame.NeighborSolicitation, g.about(target, frame.SourceLinkLayer, mac)
	case 3, 4:
		return g.detection(mostly(g.Rand, 4, target, learned, allNodes, router), mac)
	case 5, 6, 7:
		p.kind, p.body = frame.NeighborAdvertisement, g.about(target, frame.TargetLinkLayer, mac)
	case 8:
		p.kind, p.source, p.body = frame.RouterSolicitation, mostly(g.Rand, 4, linkLocal, own, zero6), g.options(frame.SourceLinkLayer, mac)
	case 9:
		p.kind, p.body = frame.RouterAdvertisement, make([]byte, mostly(g.Rand, 6, 8, 7))
	case 10:
		p.kind, p.body = frame.Redirect6, make([]byte, 32)
	default:
		p.kind, p.hops = pick[uint8](g.Rand, frame.MLDQuery, frame.MLDQuery, frame.MLDReport, frame.MLDDone, frame.MLDv2Report), 1
		if way == gabion.Egress {
			p.source = mostly(g.Rand, 6, linkLocal, zero6, own, learned)
		}
		p.body = make([]byte, 16)
	}
	return p
}

// about is the body of a message about the target, cut one time in twenty.
func (g *generator) about(target netip.Addr, kind uint8, mac gabion.MAC) []byte {
	b := append(frame.About(target), g.options(kind, mac)...)
	return b[:mostly(g.Rand, 20, len(b), 15, 8)]
}

// options are options of neighbour discovery, the sender's MAC among them most of the time.
func (g *generator) options(kind uint8, mac gabion.MAC) []byte {
	nonce := []byte{14, 1, 0, 0, 0, 0, 0, 0}
	var b []byte
	for range mostly(g.Rand, 10, g.IntN(3), 7, 8, 9) {
		b = append(b, mostly(g.Rand, 8, nonce, []byte{14, 0, 0, 0, 0, 0, 0, 0}, []byte{14, 9, 0, 0, 0, 0, 0, 0}, frame.LinkLayer(3-kind, neighbour))...)
	}
	if g.IntN(3) > 0 {
		b = append(b, mostly(g.Rand, 8, frame.LinkLayer(kind, mac), frame.LinkLayer(kind, neighbour), append([]byte{kind, 2}, make([]byte, 14)...), []byte{kind})...)
	}
	return b
}

// dhcp is DHCP of either version, of a client or a server.
func (g *generator) dhcp(n *nic, way gabion.Direction) []byte {
	if g.IntN(3) == 0 {
		return g.dhcpv6(n, way)
	}
	asks := mostly(g.Rand, 5, way == gabion.Egress, way == gabion.Ingress)
	operation, u := uint8(2), frame.UDP{Source: frame.DHCPServer, Destination: frame.DHCPClient}
	if asks {
		operation, u = 1, frame.UDP{Source: frame.DHCPClient, Destination: frame.DHCPServer}
	}
	u.Payload = frame.DHCP(mostly(g.Rand, 10, operation, 3-operation), mostly(g.Rand, 6, n.MAC, neighbour))
	if g.IntN(12) == 0 {
		u.Payload[1+g.IntN(2)] = 7
	}
	u.Payload = u.Payload[:mostly(g.Rand, 10, 240, 34, 33, 0)]
	p := frame.IPv4{Source: g.zone.remote(n, false), Destination: mostly(g.Rand, 6, everybody4, g.zone.address(n, false)), Protocol: 17, Payload: u.Bytes()}
	if way == gabion.Egress {
		p.Source = mostly(g.Rand, 4, zero4, g.zone.address(n, false), g.zone.remote(n, false))
		p.Destination = mostly(g.Rand, 6, everybody4, g.zone.remote(n, false))
	}
	if g.IntN(15) == 0 {
		p.More = true
	}
	e := frame.Ethernet{Destination: mostly(g.Rand, 5, frame.Broadcast, n.MAC, gateway), Source: n.MAC, Kind: frame.KindIPv4, Payload: p.Bytes()}
	if way == gabion.Ingress {
		e.Source = gateway
	}
	return e.Bytes()
}

func (g *generator) dhcpv6(n *nic, way gabion.Direction) []byte {
	p := frame.IPv6{Source: mostly(g.Rand, 5, n.MAC.LinkLocal(), privacy(1), g.zone.address(n, true)), Destination: mostly(g.Rand, 6, dhcpv6, allNodes), Protocol: 17}
	u := frame.UDP{Source: frame.DHCPv6Client, Destination: frame.DHCPv6Server, Payload: make([]byte, 8)}
	e := frame.Ethernet{Destination: frame.Multicast(dhcpv6), Source: n.MAC, Kind: frame.KindIPv6}
	if way == gabion.Ingress {
		p.Source, p.Destination = g.zone.remote(n, true), mostly(g.Rand, 5, n.MAC.LinkLocal(), privacy(1), g.zone.address(n, true))
		e.Destination, e.Source = mostly(g.Rand, 6, n.MAC, neighbour, frame.Multicast(allNodes)), gateway
	}
	if mostly(g.Rand, 6, way == gabion.Ingress, way == gabion.Egress) {
		u.Source, u.Destination = u.Destination, u.Source
	}
	if g.IntN(12) == 0 {
		p.Extensions = []frame.Extension{frame.Piece(1, 0, g.IntN(2) == 0)}
	}
	p.Payload = u.Bytes()
	e.Payload = p.Bytes()
	return e.Bytes()
}
