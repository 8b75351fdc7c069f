package datapath

import (
	"math/bits"

	"github.com/gabion/gabion"
)

// portPrefix stands for all ports whose first bits are those of port.
type portPrefix struct {
	port uint16
	bits int // 0 to 16
}

var everyPort = []portPrefix{{}}

// portPrefixes says what a rule asks of a packet's port, or of its ICMP type<<8|code.
func portPrefixes(r *gabion.Rule) []portPrefix {
	switch {
	case r.Protocol.IsICMP():
		return []portPrefix{icmpPrefix(r.ICMP)}
	case r.Ports.IsAny():
		return everyPort
	}
	return rangePrefixes(r.Ports)
}

// icmpPrefix has the type first, so that "any code" is a prefix.
func icmpPrefix(m gabion.ICMPMatch) portPrefix {
	switch {
	case m.Type == -1:
		return portPrefix{}
	case m.Code == -1:
		return portPrefix{port: uint16(m.Type) << 8, bits: 8}
	}
	return portPrefix{port: uint16(m.Type)<<8 | uint16(m.Code), bits: 16}
}

// rangePrefixes are the fewest prefixes that hold exactly the range: at each step
// the largest aligned block that begins here and does not pass the end.
func rangePrefixes(r gabion.PortRange) []portPrefix {
	var prefixes []portPrefix
	for at, end := uint32(r.Start), uint32(r.End)+1; at < end; {
		free := min(bits.TrailingZeros32(at|1<<16), bits.Len32(end-at)-1)
		prefixes = append(prefixes, portPrefix{port: uint16(at), bits: 16 - free})
		at += 1 << free
	}
	return prefixes
}
