package traffic

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// Offsets in a frame, for what is changed in place.
const (
	etherType        = 12
	network          = 14
	ipv4TotalLength  = network + 2
	ipv6PayloadBytes = network + 4
	longest          = 1400
)

// mutate changes a frame somewhere. It stays long enough to be one.
func (g *generator) mutate(data []byte) []byte {
	data = slices.Clone(data)
	switch g.IntN(8) {
	case 0:
		return data[:14+g.IntN(len(data)-13)]
	case 1:
		return append(data, make([]byte, 1+g.IntN(40))...)
	case 2:
		data[g.IntN(len(data))] ^= 1 << g.IntN(8)
	case 3:
		at := ipv4TotalLength
		if binary.BigEndian.Uint16(data[etherType:]) == frame.KindIPv6 {
			at = ipv6PayloadBytes
		}
		if len(data) >= at+2 {
			binary.BigEndian.PutUint16(data[at:], binary.BigEndian.Uint16(data[at:])+uint16(pick(g.Rand, -8, -1, 1, 8)))
		}
	case 4: // where most of what is looked at stands
		data[g.IntN(min(len(data), 100))] = pick[byte](g.Rand, 0, 1, 4, 5, 6, 8, 17, 43, 44, 58, 60, 128, 135, 136, 255)
	default:
		data[g.IntN(min(len(data), 100))] = byte(g.IntN(256))
	}
	return data
}

// misaddress sends a packet of a conversation with a wrong address.
func (g *generator) misaddress() Step {
	c := g.anyConversation()
	way := mostly(g.Rand, 2, c.opener, c.opener.Opposite())
	wrong := *c
	if c.local.Is4() {
		wrong.local = pick(g.Rand, local4(0), local4(1), away4(0), strangers4[0], zero4, everybody4)
		wrong.remote = mostly(g.Rand, 3, c.remote, netip.MustParseAddr("224.0.0.251"), everybody4, zero4)
	} else {
		wrong.local = pick(g.Rand, local6(0), local6(1), away6(0), strangers6[0], zero6, privacy(3), netip.MustParseAddr("::ffff:10.0.0.1"))
		wrong.remote = mostly(g.Rand, 3, c.remote, allNodes, netip.MustParseAddr("::ffff:10.0.0.10"))
	}
	data := g.say(&wrong, way)
	macs := []gabion.MAC{frame.Broadcast, {0x33, 0x33, 0, 0, 0, 1}, neighbour, c.nic.MAC, gateway}
	if g.IntN(3) == 0 {
		to := pick(g.Rand, macs...)
		copy(data, to[:])
	}
	if g.IntN(6) == 0 {
		from := pick(g.Rand, macs...)
		copy(data[6:], from[:])
	}
	return g.zone.step(c.nic, way, data)
}

// noise is nothing that anybody would send: other EtherTypes, tags, random bytes.
func (g *generator) noise(n *nic, way gabion.Direction) []byte {
	kind := pick[uint16](g.Rand, 0x8100, 0x88a8, 0x9100, 46, 1500, 0x88cc, 0x8847, frame.KindIPv4, frame.KindIPv6, frame.KindARP)
	payload := make([]byte, g.IntN(120))
	if g.IntN(20) == 0 {
		payload = make([]byte, g.IntN(longest))
	}
	for k := range payload {
		payload[k] = byte(g.Uint32())
	}
	if len(payload) > 0 && kind == frame.KindIPv4 {
		payload[0] = mostly[byte](g.Rand, 2, 0x45, 0x46, 0x4f)
	}
	if len(payload) > 0 && kind == frame.KindIPv6 {
		payload[0] = 0x60
	}
	return ethernet(n, way, kind, payload)
}
