// Package forge makes frames that no instance may get through: false addresses,
// answers that only servers and routers give, and frames for nobody in particular.
// It shows who sees them. It must not know whether Gabion runs: without it,
// everybody sees them.
package forge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// Forgery is a kind of frame that nobody but its sender may ever see.
type Forgery struct {
	Name  string
	Build func(from, victim *lab.Endpoint) ([]byte, error)
}

// Addresses that no guest owns.
var (
	gateway4  = netip.MustParseAddr("10.77.0.1")
	gateway6  = netip.MustParseAddr("fd77::1")
	nobody4   = netip.MustParseAddr("10.77.0.200")
	nobody6   = netip.MustParseAddr("fd77::200")
	nobodyMAC = gabion.MAC{0x02, 0x77, 0, 0, 0, 0xee}
	unlearned = gabion.MAC{0x02, 0x77, 0, 0, 0, 0xef} // never a source, so that bridges flood what is sent to it

	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = netip.MustParseAddr("ff02::1")
)

// All are all kinds.
var All = slices.Concat(Link, Network, Evasion, Fragments)

// Sender puts frames on its link, as they are and in that order.
type Sender interface{ Send(frames ...[]byte) error }

// Seen lets the sender, whose addresses are those of from, send the forgeries to the
// victim and tells, in order, which ones it saw. Behind them goes an honest ARP
// request: a capture that shows that one has shown everything before it.
func Seen(ctx context.Context, sender Sender, from, victim *lab.Endpoint, forgeries ...Forgery) ([]bool, error) {
	capture, err := victim.Capture()
	if err != nil {
		return nil, err
	}
	defer capture.Close()
	frames := make([][]byte, len(forgeries))
	for i, f := range forgeries {
		if frames[i], err = f.Build(from, victim); err != nil {
			return nil, fmt.Errorf("forge %s: %w", f.Name, err)
		}
	}
	honest, err := arp(from.MAC, from.MAC, from.Addr4, victim.Addr4, layers.ARPRequest)
	if err != nil {
		return nil, err
	}
	if err := sender.Send(append(frames, honest)...); err != nil {
		return nil, err
	}
	arrived, err := capture.Until(ctx, func(f lab.Frame) bool { return bytes.Equal(f.Wire(), honest) })
	if err != nil {
		return nil, fmt.Errorf("wait for the honest request: %w", err)
	}
	seen := make([]bool, len(forgeries))
	for _, a := range arrived {
		for i, frame := range frames {
			seen[i] = seen[i] || bytes.Equal(a.Wire(), frame)
		}
	}
	return seen, nil
}

func ethernet(from gabion.MAC, to []byte, t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: from[:], DstMAC: to, EthernetType: t}
}

// sourcePort is one that nobody serves: two echo services that a forged datagram
// introduces to each other talk for ever.
const sourcePort = 40_000

// payload is what frames carry where it does not matter.
var payload = gopacket.Payload("gabion forges this frame, and nobody is to see it")

func serialize(all ...gopacket.SerializableLayer) ([]byte, error) {
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, all...); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
